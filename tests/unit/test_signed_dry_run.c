/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_signed_dry_run.c - what a signed cut would do here is told before anybody has signed it, and
 * telling it does nothing.
 */
#include "tests/unit/signed_orders.h"
#include "user/base/file.h"

static json_object *try_as(struct host *host, const struct caller *caller, const char *text)
{
	json_object *request = json_object_new_object(), *answer;
	const char *line;
	char *said;

	json_object_object_add(request, "request", json_object_new_string("order-try"));
	json_object_object_add(request, "text", json_object_new_string(text));
	line = json_object_to_json_string(request);
	said = request_answer(host, caller, line, strlen(line));
	assert_non_null(said);
	answer = json_tokener_parse(said);
	assert_true(json_object_is_type(answer, json_type_object));
	free(said);
	json_object_put(request);
	return answer;
}

/* What a file of the host's state holds; "" when it is not there. */
static char *state_text(const char *name)
{
	char path[128], *text = NULL;
	size_t length;

	snprintf(path, sizeof(path), "%s/unit/%s", state_root, name);
	return file_read(path, 1 << 20, &text, &length) == 0 ? text : strdup("");
}

static bool is_kept(const char *cut)
{
	char name[96], *kept;
	bool is_there;

	snprintf(name, sizeof(name), "orders/%s/order", id_of(cut)); /* archive.c */
	kept = state_text(name);
	is_there = kept[0] != '\0';
	free(kept);
	return is_there;
}

/* "nord sued": the partners that it names; that nothing changed is looked at each time. */
static void expect_partners(struct host *host, const char *text, const char *wanted)
{
	size_t cuts = fake.cut_count, orders = fake.order_count;
	char *journal = state_text("journal.jsonl"), *events = state_text("events.jsonl"), *after;
	bool was_kept = is_kept(text);
	json_object *answer = try_as(host, &me, text), *partners = member(answer, "partners");
	char said[256] = "";

	expect_code(answer, 0);
	assert_true(json_object_get_boolean(member(answer, "dry_run")));
	for (size_t i = 0; i < json_object_array_length(partners); i++) {
		json_object *one = json_object_array_get_idx(partners, i);

		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", i ? " " : "",
			 json_object_get_string(member(one, "name")));
	}
	assert_string_equal(said, wanted);
	json_object_put(answer);
	after = state_text("journal.jsonl");
	assert_string_equal(after, journal);
	free(after);
	after = state_text("events.jsonl");
	assert_string_equal(after, events);
	assert_int_equal(fake.cut_count, cuts);
	assert_int_equal(fake.order_count, orders);
	assert_int_equal(is_kept(text), was_kept);
	free(journal);
	free(events);
	free(after);
}

static const char *refused(json_object *answer)
{
	json_object *why;

	return json_object_object_get_ex(answer, "refused", &why) ? json_object_get_string(why)
								  : NULL;
}

static void it_says_whom_it_would_stop(void **state)
{
	char *cut = order("cut", "target: partner:nord\ntarget: partner:nobody\n", "a");
	json_object *answer;

	expect_partners(*state, cut, "nord");
	answer = try_as(*state, &me, cut);
	assert_int_equal(json_object_get_int(member(answer, "matched")), 1);
	assert_false(json_object_get_boolean(member(answer, "known")));
	assert_null(refused(answer));
	json_object_put(answer);
	expect(*state, cut, 0);
	assert_int_equal(fake.order_count, 2); /* of both names: the other is kept */
	assert_true(is_kept(cut));
	expect_partners(*state, cut, "nord");
	free(cut);
}

static void it_need_not_be_signed(void **state)
{
	char *cut = order("cut", "target: class:hospital\n", "");
	json_object *answer = try_as(*state, &me, cut);

	assert_non_null(refused(answer));
	json_object_put(answer);
	expect_partners(*state, cut, "nord sued");
	expect(*state, cut, 1);
	free(cut);
}

static void who_may_sign_need_not_be_known(void **state)
{
	char *cut = order("cut", "target: partner:payer\n", "a");
	json_object *answer;

	setenv("WEIR_CONFIG_DIR", "/nonexistent", 1);
	answer = try_as(*state, &me, cut);
	assert_non_null(refused(answer));
	json_object_put(answer);
	expect_partners(*state, cut, "payer");
	setenv("WEIR_CONFIG_DIR", signing_directory, 1);
	free(cut);
}

static void what_was_let_back_is_left_out(void **state)
{
	char *cut = order("cut", "target: partner:sued\ntarget: partner:payer\n", "a");
	char lines[256], *part, *all;
	json_object *answer;

	snprintf(lines, sizeof(lines), "cut: %s\ntarget: partner:sued\n", id_of(cut));
	part = order("reopen", lines, "ab");
	snprintf(lines, sizeof(lines), "cut: %s\n", id_of(cut));
	all = order("reopen", lines, "ab");
	expect_partners(*state, cut, "sued payer");
	expect(*state, part, 0); /* before its cut */
	expect_partners(*state, cut, "payer");
	expect(*state, all, 0);
	answer = try_as(*state, &me, cut);
	expect_code(answer, 0);
	assert_int_equal(json_object_get_int(member(answer, "matched")), 0);
	assert_false(json_object_object_get_ex(answer, "dry_run", NULL));
	assert_false(is_kept(cut));
	json_object_put(answer);
	free(cut);
	free(part);
	free(all);
}

static size_t count_of_damaged(void)
{
	char *events = state_text("events.jsonl");
	size_t count = 0;

	for (const char *at = events; (at = strstr(at, "\"kind\":\"damaged-state\"")); at++)
		count++;
	free(events);
	return count;
}

/* The real one tells that a reopening is damaged; who asks a hundred times writes no hundred
 * events. */
static void it_makes_no_event(void **state)
{
	struct host *host = *state;
	char *cut = order("cut", "target: partner:sued\n", "a"), lines[128], path[256], *back;
	size_t before;

	snprintf(lines, sizeof(lines), "cut: %s\n", id_of(cut));
	back = order("reopen", lines, "ab");
	expect(host, back, 0);
	snprintf(path, sizeof(path), "%s/unit/orders/%s/%s", state_root, id_of(cut), id_of(back));
	assert_int_equal(truncate(path, 40), 0);
	before = count_of_damaged();
	expect_partners(host, cut, "sued");
	expect(host, cut, 0);
	assert_int_equal(count_of_damaged(), before + 1);
	free(cut);
	free(back);
}

static void for_other_hosts_it_does_nothing(void **state)
{
	const struct host_config config = {0};
	struct host *host = *state;
	char *cut = order("cut", "hosts: bonn\ntarget: all\n", "a");
	json_object *answer;

	host->config = &config;
	answer = try_as(host, &me, cut);
	host->config = NULL;
	expect_code(answer, 0);
	assert_false(json_object_get_boolean(member(answer, "is_for_us")));
	assert_false(json_object_object_get_ex(answer, "partners", NULL));
	json_object_put(answer);
	free(cut);
}

static void only_a_cut_has_one(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), lines[128], *back;
	json_object *answer;

	snprintf(lines, sizeof(lines), "cut: %s\n", id_of(cut));
	back = order("reopen", lines, "ab");
	answer = try_as(*state, &me, back);
	expect_code(answer, 1);
	json_object_put(answer);
	answer = try_as(*state, &me, "no order");
	expect_code(answer, 1);
	json_object_put(answer);
	free(cut);
	free(back);
}

/* What a host has connections with is nothing for what speaks to the brokers. */
static void an_agent_may_not_ask(void **state)
{
	const struct caller agent = {.uid = 7, .user = "agent", .by = "agent", .is_agent = true};
	char *cut = order("cut", "target: all\n", "a");
	json_object *answer = try_as(*state, &agent, cut);

	expect_code(answer, 1);
	assert_false(json_object_object_get_ex(answer, "partners", NULL));
	json_object_put(answer);
	free(cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_whom_it_would_stop),
		cmocka_unit_test(it_need_not_be_signed),
		cmocka_unit_test(who_may_sign_need_not_be_known),
		cmocka_unit_test(what_was_let_back_is_left_out),
		cmocka_unit_test(it_makes_no_event),
		cmocka_unit_test(for_other_hosts_it_does_nothing),
		cmocka_unit_test(only_a_cut_has_one),
		cmocka_unit_test(an_agent_may_not_ask),
	};

	return cmocka_run_group_tests(tests, signing_up, signing_down);
}
