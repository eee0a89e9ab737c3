/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_four_eyes.c - a local order that loosens waits for a second login, and for nothing else.
 */
#include "tests/unit/two_people.h"
#include "user/daemon/applying.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/returning.h"

#define REOPEN "{\"request\":\"reopen\",\"targets\":[\"partner:nord\"],\"reason\":\"checked\"}"
#define REOPEN_AS_WELL                                                                             \
	"{\"reason\":\"I looked too\",\"targets\":[\"partner:nord\"],\"request\":\"reopen\"}"
#define CUT "{\"request\":\"cut\",\"targets\":[\"partner:nord\"],\"reason\":\"incident\"}"

/* ---- reopen --------------------------------------------------------------------------------- */

static void test_a_reopening_takes_two(void **state)
{
	struct host *host = *state;

	does(host, &nobody, CUT);
	assert_int_equal(fake.cut_count, 1);
	waits(host, &alice, REOPEN);
	assert_int_equal(fake.cut_count, 1);
	assert_int_equal(pending_count(host), 1);
	is_refused(host, &alice, REOPEN_AS_WELL, "alice(1001) has asked for this already");
	assert_int_equal(fake.cut_count, 1);
	does(host, &bob, REOPEN_AS_WELL);
	assert_int_equal(fake.cut_count, 0);
	assert_int_equal(pending_count(host), 0);
}

static void test_the_answer_says_who_and_what(void **state)
{
	struct host *host = *state;

	does(host, &alice, CUT);
	is_refused(host, &alice, REOPEN,
		   "within 15m another login than alice(1001) has to type: weir reopen "
		   "partner:nord --reason TEXT --instance unit");
	passed_ns += 5 * NS_PER_MINUTE;
	is_refused(host, &alice, REOPEN, "for 9m");
}

static void test_the_journal_names_both(void **state)
{
	struct host *host = *state;
	json_object *record, *first;

	does(host, &alice, CUT);
	waits(host, &alice, REOPEN);
	record = last_record(host);
	assert_string_equal(text_of(record, "result"), "asked");
	assert_string_equal(text_of(record, "kind"), "reopen");
	assert_int_equal(json_object_get_uint64(member(member(record, "by"), "login_uid")), 1001);
	assert_int_not_equal(json_object_get_uint64(member(record, "waits_until_ns")), 0);
	json_object_put(record);
	does(host, &bob, REOPEN_AS_WELL);
	record = last_record(host);
	first = member(record, "asked_by");
	assert_string_equal(text_of(record, "result"), "accepted");
	assert_int_equal(json_object_get_uint64(member(member(record, "by"), "login_uid")), 1002);
	assert_int_equal(json_object_get_uint64(member(first, "login_uid")), 1001);
	assert_string_equal(text_of(record, "reason"), "I looked too");
	assert_string_equal(text_of(first, "reason"), "checked");
	assert_int_equal(json_object_get_int(member(first, "line")), 3); /* apply, cut, asked */
	json_object_put(record);
	/* what comes later is nobody's second */
	does(host, &bob, CUT);
	record = last_record(host);
	assert_false(json_object_object_get_ex(record, "asked_by", NULL));
	json_object_put(record);
}

static void test_who_has_no_login_is_nobody(void **state)
{
	struct host *host = *state;

	does(host, &nobody, CUT);
	is_refused(host, &nobody, REOPEN, "root(0) has no login uid");
	assert_int_equal(pending_count(host), 0);
	waits(host, &alice, REOPEN);
	is_refused(host, &nobody, REOPEN, "root(0) has no login uid");
	assert_int_equal(fake.cut_count, 1);
}

static void test_one_can_do_it_without_the_key(void **state)
{
	struct host *host = *state;
	char *policy = policy_with("four_eyes: false\n"), *request = applying(policy, "");

	waits(host, &alice, request);
	does(host, &bob, request);
	does(host, &nobody, CUT);
	does(host, &nobody, REOPEN);
	assert_int_equal(fake.cut_count, 0);
	free(request);
	free(policy);
}

static void test_other_fields_are_another_request(void **state)
{
	struct host *host = *state;

	does(host, &alice, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"}");
	waits(host, &alice, REOPEN);
	waits(host, &bob,
	      "{\"request\":\"reopen\",\"targets\":[\"partner:sued\"],\"reason\":\"checked\"}");
	waits(host, &bob,
	      "{\"request\":\"reopen\",\"targets\":[\"partner:nord\"],\"order\":\"c1\","
	      "\"reason\":\"checked\"}");
	assert_int_equal(pending_count(host), 3);
	assert_int_equal(host->orders.count, 1);
}

static void test_it_expires(void **state)
{
	struct host *host = *state;

	does(host, &alice, CUT);
	waits(host, &alice, REOPEN);
	passed_ns += SECOND_PERSON_NS - NS_PER_SECOND;
	assert_int_equal(pending_count(host), 1);
	passed_ns += NS_PER_SECOND;
	assert_int_equal(pending_count(host), 0);
	waits(host, &bob, REOPEN);
	assert_int_equal(fake.cut_count, 1);
	passed_ns += SECOND_PERSON_NS - NS_PER_SECOND;
	is_refused(host, &bob, REOPEN, "already"); /* it renews nothing */
	passed_ns += NS_PER_SECOND;
	waits(host, &alice, REOPEN);
	passed_ns += SECOND_PERSON_NS - NS_PER_SECOND;
	does(host, &bob, REOPEN);
	assert_int_equal(fake.cut_count, 0);
}

static void test_only_so_many_wait(void **state)
{
	struct host *host = *state;
	char request[160];

	does(host, &alice, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"}");
	for (int i = 0; i <= SECOND_PERSON_PLACES; i++) {
		snprintf(request, sizeof(request),
			 "{\"request\":\"reopen\",\"targets\":[\"addr:192.0.2.%d\"],"
			 "\"reason\":\"x\"}",
			 i);
		if (i < SECOND_PERSON_PLACES)
			waits(host, &alice, request);
		else
			is_refused(host, &alice, request, "16 requests wait for one already");
	}
	assert_int_equal(pending_count(host), SECOND_PERSON_PLACES);
	/* the first of them is still what it was */
	does(host, &bob,
	     "{\"request\":\"reopen\",\"targets\":[\"addr:192.0.2.0\"],\"reason\":\"x\"}");
	waits(host, &alice, request);
}

static void test_what_was_cut_anew_is_something_else(void **state)
{
	struct host *host = *state;

	does(host, &alice, CUT);
	waits(host, &alice, REOPEN);
	waits(host, &alice, "{\"request\":\"reopen\",\"order\":\"c1\",\"reason\":\"x\"}");
	does(host, &bob, "{\"request\":\"reopen\",\"order\":\"c1\",\"reason\":\"x\"}");
	assert_int_equal(fake.cut_count, 0);
	does(host, &bob, CUT);
	is_refused(host, &bob, REOPEN, "has changed since it was asked for");
	assert_int_equal(fake.cut_count, 1);
	does(host, &alice, REOPEN); /* bob is the first now */
	assert_int_equal(fake.cut_count, 0);
}

static void test_a_latch_that_was_severed_anew(void **state)
{
	struct host *host = *state;
	const char *request = "{\"request\":\"reopen\",\"targets\":[\"grant:bills\"],"
			      "\"reason\":\"x\"}";

	latch("bills", "sftp", "payer", 5);
	waits(host, &alice, request);
	fake.meters[0].severed_ns = 7;
	is_refused(host, &bob, request, "has changed");
	assert_int_equal(fake.meters[0].severed_ns, 7);
	does(host, &alice, request);
	assert_int_equal(fake.meters[0].severed_ns, 0);
}

static void test_what_is_wrong_waits_for_nobody(void **state)
{
	struct host *host = *state;

	is_refused(host, &alice, REOPEN, "nothing to reopen");
	is_refused(host, &alice,
		   "{\"request\":\"extend\",\"targets\":[\"partner:payer\"],\"grant\":\"bulls\","
		   "\"more_bytes\":1,\"for_seconds\":60,\"reason\":\"x\"}",
		   "no grant");
	assert_int_equal(pending_count(host), 0);
}

static void test_without_a_daemon_nobody_can_wait(void **state)
{
	struct host *host = *state;
	json_object *answer;

	does(host, &alice, CUT);
	host->is_daemon = false;
	answer = ask_as(host, &alice, REOPEN);
	expect_code(answer, 3);
	assert_non_null(strstr(text_of(answer, "problem"), "no daemon answers"));
	json_object_put(answer);
	answer = ask_as(host, &alice, "{\"request\":\"unload\"}");
	expect_code(answer, 3);
	json_object_put(answer);
	assert_true(fake.is_pinned);
	does(host, &nobody, CUT);
	host->is_daemon = true;
	assert_int_equal(fake.cut_count, 2);
}

/* Whose policy is not on disk may be one with four eyes. */
static void test_on_a_foreign_guard_nothing_loosens_without_a_daemon(void **state)
{
	struct host *host = *state;
	json_object *answer;
	char *off = policy_with(""), *request = applying(off, "");

	waits(host, &alice, request);
	does(host, &bob, request);
	does(host, &alice, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"}");
	host->is_daemon = false;
	host->is_foreign = true;
	answer = ask_as(host, &alice,
			"{\"request\":\"reopen\",\"targets\":[\"all\"],\"reason\":\"x\"}");
	expect_code(answer, 3);
	assert_non_null(strstr(text_of(answer, "problem"), "weir run --policy FILE"));
	json_object_put(answer);
	assert_int_equal(fake.cut_count, 1);
	host->is_foreign = false;
	does(host, &alice, "{\"request\":\"reopen\",\"targets\":[\"all\"],\"reason\":\"x\"}");
	host->is_daemon = true;
	free(request);
	free(off);
}

/* ---- all that loosens ----------------------------------------------------------------------- */

/* It waits, changes nothing in the kernel, and is done by the second. */
static void takes_two(struct host *host, const char *request)
{
	fake.calls[0] = '\0';
	waits(host, &alice, request);
	assert_string_equal(fake.calls, "");
	is_refused(host, &nobody, request, "has no login uid");
	assert_string_equal(fake.calls, "");
	does(host, &bob, request);
}

static void test_each_order_that_loosens(void **state)
{
	struct host *host = *state;

	takes_two(host, "{\"request\":\"extend\",\"targets\":[\"partner:payer\"],"
			"\"grant\":\"bills\",\"more_bytes\":1025,\"for_seconds\":90,"
			"\"reason\":\"x\"}");
	assert_int_equal(host->orders.count, 1);
	takes_two(host, "{\"request\":\"pause\",\"for_seconds\":60,\"reason\":\"x\"}");
	assert_int_equal(host->orders.count, 2);
	takes_two(host, "{\"request\":\"confirm-clock\",\"reason\":\"x\"}");
	takes_two(host, "{\"request\":\"unload\"}");
	assert_false(fake.is_pinned);
	host->has_ended = false;
}

#define PAUSE_ASKED(at)                                                                            \
	"{\"request\":\"pause\",\"for_seconds\":60,\"reason\":\"x\",\"asked_boot_ns\":" at "}"

static void test_two_do_not_ask_at_the_same_time(void **state)
{
	struct host *host = *state;

	waits(host, &alice, PAUSE_ASKED("1000"));
	is_refused(host, &alice, PAUSE_ASKED("2000"), "has asked for this already");
	does(host, &bob, PAUSE_ASKED("3000"));
	assert_int_equal(host->orders.count, 1);
}

static void test_the_clock_may_not_be_set_between_the_two(void **state)
{
	struct host *host = *state;
	const char *request = "{\"request\":\"confirm-clock\",\"reason\":\"x\"}";
	int64_t offset = fake.control.wall_offset_ns;

	waits(host, &alice, request);
	fake.control.wall_offset_ns -= NS_PER_HOUR; /* as if somebody had set it ahead */
	is_refused(host, &bob, request, "has changed");
	fake.control.wall_offset_ns = offset;
	is_refused(host, &alice, request, "has changed");
	fake.control.wall_offset_ns = offset + 2 * (int64_t)NS_PER_SECOND; /* it was slewed */
	does(host, &bob, request);
}

static void test_what_tightens_takes_one(void **state)
{
	struct host *host = *state;
	json_object *status;

	does(host, &nobody, CUT);
	takes_two(host, "{\"request\":\"pause\",\"for_seconds\":60,\"reason\":\"x\"}");
	status = status_of(host);
	assert_int_equal(json_object_array_length(member(status, "overrides")), 1);
	json_object_put(status);
	does(host, &nobody, "{\"request\":\"end\",\"order\":\"o2\",\"reason\":\"enough\"}");
	assert_int_equal(host->orders.count, 1);
}

/* Of a plan that was lost: its end gives the whole budget back. */
static void test_the_end_of_a_probation_takes_two(void **state)
{
	static const char end[] = "{\"request\":\"end\",\"order\":\"o1\",\"reason\":\"x\"}";
	const struct order_text text = {.target = "partner:payer",
					.reason = "x",
					.by = "x",
					.since_ns = 1,
					.kind = WEIR_ORDER_PROBATION,
					.parts = 102};
	_cleanup_orders_ struct orders orders = {0};
	struct host *host = *state;
	char *problem = NULL;
	uint64_t id;

	assert_int_equal(orders_begin(host, &orders, &problem), 0);
	assert_int_equal(orders_add_override(&orders, &text, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(orders_tighten(host, &orders, &problem), 0);
	is_refused(host, &alice, end, "weir order end o1 --reason TEXT");
	assert_int_equal(host->orders.count, 1);
	does(host, &bob, end);
	assert_int_equal(host->orders.count, 0);
}

static void test_the_command_can_be_typed(void **state)
{
	static const struct {
		const char *request, *command;
	} row[] = {
		{"{\"request\":\"extend\",\"targets\":[\"partner:payer\"],\"grant\":\"bills\","
		 "\"more_bytes\":1025,\"for_seconds\":5400,\"reason\":\"x\"}",
		 "weir extend partner:payer --grant bills --by 1025B --for 5400s --reason TEXT"},
		{"{\"request\":\"extend\",\"targets\":[\"class:x@service:y\"],\"grant\":\"b\","
		 "\"more_bytes\":2147483648,\"for_seconds\":3600,\"reason\":\"x\"}",
		 "weir extend class:x@service:y --grant b --by 2GiB --for 1h --reason TEXT"},
		{"{\"request\":\"apply\",\"path\":\"/a b/it's.yaml\",\"confirm_seconds\":60}",
		 "weir apply '/a b/it'\\''s.yaml' --confirm 60"},
		{"{\"request\":\"apply\",\"path\":\"/\\u001b[31m\"}", "weir apply '/?[31m'"},
		{"{\"request\":\"rollback\",\"digest\":\"abcd\"}", "weir rollback abcd"},
		{"{\"request\":\"confirm-clock\",\"reason\":\"x\"}",
		 "weir confirm clock --reason TEXT"},
		{"{\"request\":\"meters-reset\",\"target\":\"all\",\"reason\":\"x\"}",
		 "weir meters reset all --reason TEXT"},
		{"{\"request\":\"reopen\",\"targets\":[],\"order\":\"c7\",\"reason\":\"x\"}",
		 "weir reopen --order c7 --reason TEXT"},
		{"{\"request\":\"end\",\"order\":\"o7\",\"reason\":\"x\"}",
		 "weir order end o7 --reason TEXT"},
		{"{\"request\":\"unload\"}", "weir unload"},
		{"{\"request\":\"partner-add\",\"targets\":[\"partner:payer\"],"
		 "\"prefix\":\"192.0.2.0/28\",\"for_seconds\":60,\"reason\":\"x\"}",
		 "weir partner add partner:payer 192.0.2.0/28 --for 1m --reason TEXT"},
		{"{\"request\":\"apply\",\"path\":\"/a\",\"for_seconds\":3600,\"reason\":\"x\"}",
		 "weir apply /a --for 1h --reason TEXT"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		json_object *request = json_tokener_parse(row[i].request);
		char *command = second_person_command("host", request);

		assert_string_equal(command, row[i].command);
		free(command);
		json_object_put(request);
	}
}

/* ---- policies ------------------------------------------------------------------------------- */

/* a_policy under four eyes, with one text put in the place of another; malloc'd. */
static char *changed(const char *old, const char *new)
{
	char *policy = policy_with("four_eyes: true\n"), *at = strstr(policy, old);
	char *text = calloc(1, strlen(policy) + strlen(new) + 1);

	assert_non_null(at);
	memcpy(text, policy, at - policy);
	strcat(strcat(text, new), at + strlen(old));
	free(policy);
	return text;
}

static char *applying_changed(const char *old, const char *new, const char *more)
{
	char *policy = changed(old, new), *request = applying(policy, more);

	free(policy);
	return request;
}

static void test_a_policy_that_loosens(void **state)
{
	struct host *host = *state;
	char *looser = applying_changed("1MiB/1h", "2MiB/1h", "");
	char *other = applying_changed("1MiB/1h", "3MiB/1h", "");
	char *tighter = applying_changed("1MiB/1h", "1MiB/2h", "");
	char *unsure = applying_changed("payer, serves: tcp/22", "payer, serves: tcp/23", "");
	char before[DIGEST_TEXT];

	strcpy(before, host->digest);
	takes_two(host, looser);
	assert_string_not_equal(host->digest, before);
	waits(host, &alice, unsure);
	waits(host, &alice, other);
	waits(host, &bob, looser = (free(looser), applying_changed("1MiB/1h", "9MiB/1h", "")));
	assert_int_equal(pending_count(host), 3);
	does(host, &nobody, tighter);
	assert_int_equal(pending_count(host), 0); /* another policy is in force */
	waits(host, &bob, other);
	free(looser);
	free(other);
	free(tighter);
	free(unsure);
}

/* What a cut covers goes by the names of the policy. */
static void test_while_something_is_cut_names_stay_what_they_are(void **state)
{
	struct host *host = *state;
	const char *one = "[198.51.100.32/28]", *both = "[198.51.100.32/28, 203.0.113.0/24]";
	char *more = applying_changed(one, both, ""), *less = applying_changed(one, one, "");
	char *tighter = applying_changed("1MiB/1h", "1KiB/1h", "");

	takes_two(host, more);
	does(host, &nobody, less); /* strangers get less than a partner */
	takes_two(host, more);
	does(host, &nobody,
	     "{\"request\":\"cut\",\"targets\":[\"partner:payer\"],"
	     "\"reason\":\"x\"}");
	takes_two(host, less);
	does(host, &nobody, tighter); /* it moves nothing */
	takes_two(host, more);
	takes_two(host, "{\"request\":\"reopen\",\"targets\":[\"partner:payer\"],"
			"\"reason\":\"x\"}");
	latch("bills", "sftp", "payer", 5);
	takes_two(host, less);
	takes_two(host, more);
	fake.meters[0].severed_ns = 0;
	does(host, &nobody, less);
	free(more);
	free(less);
	free(tighter);
}

static void test_to_turn_it_off_takes_two(void **state)
{
	struct host *host = *state;
	char *off = applying_changed("four_eyes: true\n", "", "");
	char *tighter_and_off = applying_changed("four_eyes: true\n", "four_eyes: false\n", "");

	waits(host, &alice, tighter_and_off);
	takes_two(host, off);
	assert_false(host->image.four_eyes);
	free(off);
	free(tighter_and_off);
}

static void test_a_change_of_the_policy_voids_what_waits(void **state)
{
	struct host *host = *state;
	char *tighter = applying_changed("1MiB/1h", "1KiB/1h", "");

	does(host, &alice, CUT);
	waits(host, &alice, REOPEN);
	does(host, &alice, tighter);
	assert_int_equal(pending_count(host), 0);
	waits(host, &bob, REOPEN);
	assert_int_equal(fake.cut_count, 1);
	free(tighter);
}

static void test_the_same_policy_anew_voids_nothing(void **state)
{
	struct host *host = *state;
	char *same = applying_changed("1MiB/1h", "1MiB/1h", "");

	does(host, &alice, CUT);
	waits(host, &alice, REOPEN);
	does(host, &alice, same); /* it loosens nothing */
	assert_int_equal(pending_count(host), 1);
	does(host, &bob, REOPEN);
	free(same);
}

static void test_rollback(void **state)
{
	struct host *host = *state;
	char *tighter = applying_changed("1MiB/1h", "1KiB/1h", "");
	char before[DIGEST_TEXT], request[128];

	strcpy(before, host->digest);
	does(host, &alice, tighter);
	takes_two(host, "{\"request\":\"rollback\"}");
	assert_string_equal(host->digest, before);
	does(host, &nobody, "{\"request\":\"rollback\"}"); /* forward again: tighter */
	assert_string_not_equal(host->digest, before);
	snprintf(request, sizeof(request), "{\"request\":\"rollback\",\"digest\":\"%.12s\"}",
		 before);
	takes_two(host, request);
	assert_string_equal(host->digest, before);
	free(tighter);
}

static void test_a_trial(void **state)
{
	struct host *host = *state;
	char *looser = applying_changed("1MiB/1h", "2MiB/1h", ",\"confirm_seconds\":600");
	char *off = applying_changed("four_eyes: true\n", "", ",\"confirm_seconds\":600");
	char *tighter = applying_changed("1MiB/1h", "1KiB/1h", ",\"confirm_seconds\":600");

	takes_two(host, looser);
	assert_int_not_equal(host->trial_until_ns, 0);
	takes_two(host, "{\"request\":\"confirm\"}");
	assert_int_equal(host->trial_until_ns, 0);
	/* the one that it would go back to still says so */
	takes_two(host, off);
	takes_two(host, "{\"request\":\"confirm\"}");
	assert_false(host->image.four_eyes);
	does(host, &nobody, tighter); /* and turns it on again */
	assert_true(host->image.four_eyes);
	does(host, &nobody, "{\"request\":\"confirm\"}");
	free(looser);
	free(off);
	free(tighter);
}

static void test_nobody_is_asked_when_a_trial_ends_by_itself(void **state)
{
	struct host *host = *state;
	char *tighter = applying_changed("1MiB/1h", "1KiB/1h", ",\"confirm_seconds\":600");
	char before[DIGEST_TEXT], *problem = NULL;
	struct json_out reply = {.out = fopen("/dev/null", "w")};

	strcpy(before, host->digest);
	does(host, &alice, tighter);
	takes_two(host, "{\"request\":\"pause\",\"for_seconds\":60,\"reason\":\"x\"}");
	assert_int_equal(host_rollback(host, "guard", NULL, &reply, &problem), 0);
	assert_string_equal(host->digest, before);
	fclose(reply.out);
	free(tighter);
}

static void test_a_dry_run_asks_nobody(void **state)
{
	struct host *host = *state;
	char *looser = applying_changed("1MiB/1h", "2MiB/1h", ",\"dry_run\":true");

	does(host, &nobody, looser);
	assert_int_equal(pending_count(host), 0);
	free(looser);
}

static void test_nothing_of_what_waits_is_kept(void **state)
{
	struct host *host = *state;
	char *looser = applying_changed("1MiB/1h", "2MiB/1h", "");
	json_object *before = ask(host, "{\"request\":\"policies\"}"), *after;

	waits(host, &alice, looser);
	after = ask(host, "{\"request\":\"policies\"}");
	assert_int_equal(json_object_array_length(member(before, "policies")),
			 json_object_array_length(member(after, "policies")));
	json_object_put(before);
	json_object_put(after);
	free(looser);
}

/* ---- what fails ----------------------------------------------------------------------------- */

static void test_what_fails_waits_on(void **state)
{
	struct host *host = *state;

	does(host, &alice, CUT);
	waits(host, &alice, REOPEN);
	fake.fail_set_cuts = -EIO;
	is_refused(host, &bob, REOPEN, "the kernel refused it");
	fake.fail_set_cuts = 0;
	assert_int_equal(pending_count(host), 1);
	is_refused(host, &alice, REOPEN, "already");
	does(host, &bob, REOPEN);
	assert_int_equal(fake.cut_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, two_people_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_reopening_takes_two),
		TEST(test_the_answer_says_who_and_what),
		TEST(test_the_journal_names_both),
		TEST(test_who_has_no_login_is_nobody),
		TEST(test_one_can_do_it_without_the_key),
		TEST(test_other_fields_are_another_request),
		TEST(test_it_expires),
		TEST(test_only_so_many_wait),
		TEST(test_what_was_cut_anew_is_something_else),
		TEST(test_a_latch_that_was_severed_anew),
		TEST(test_what_is_wrong_waits_for_nobody),
		TEST(test_without_a_daemon_nobody_can_wait),
		TEST(test_on_a_foreign_guard_nothing_loosens_without_a_daemon),
		TEST(test_each_order_that_loosens),
		TEST(test_two_do_not_ask_at_the_same_time),
		TEST(test_the_clock_may_not_be_set_between_the_two),
		TEST(test_what_tightens_takes_one),
		TEST(test_the_end_of_a_probation_takes_two),
		TEST(test_the_command_can_be_typed),
		TEST(test_a_policy_that_loosens),
		TEST(test_while_something_is_cut_names_stay_what_they_are),
		TEST(test_to_turn_it_off_takes_two),
		TEST(test_a_change_of_the_policy_voids_what_waits),
		TEST(test_the_same_policy_anew_voids_nothing),
		TEST(test_rollback),
		TEST(test_a_trial),
		TEST(test_nobody_is_asked_when_a_trial_ends_by_itself),
		TEST(test_a_dry_run_asks_nobody),
		TEST(test_nothing_of_what_waits_is_kept),
		TEST(test_what_fails_waits_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
