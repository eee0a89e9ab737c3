/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_signed_order.c - what is cut is a function of the set of signed orders, and neither a
 * failure nor a lost state leaves the host more open than its answers said.
 */
#include "tests/unit/signed_orders.h"
#include "user/base/file.h"
#include "user/daemon/default_policy.h"

static char *reopening(const char *cut, const char *target, const char *by)
{
	char lines[256];

	snprintf(lines, sizeof(lines), "cut: %s\n%s%s%s", id_of(cut), target[0] ? "target: " : "",
		 target, target[0] ? "\n" : "");
	return order("reopen", lines, by);
}

/* ---- a set ---------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is in force, without the numbers that the order of arrival gives; malloc'd. */
static char *in_force(struct host *host)
{
	char *lines[64], *all = calloc(64, 512);
	size_t count;

	assert_int_equal(host_refresh_orders(host), 0);
	count = host->orders.count;
	assert_in_range(count, 0, 63);
	for (size_t i = 0; i < count; i++) {
		const struct weir_order *one = &host->orders.item[i];
		const struct weir_order *of =
			one->parent ? orders_find(&host->orders, one->parent) : NULL;

		assert_int_not_equal(asprintf(&lines[i], "%02x%02x%02x %s%s%s\n",
					      (of ? of : one)->body[0], (of ? of : one)->body[1],
					      (of ? of : one)->body[2],
					      of ? of->target : one->target, of ? " but " : "",
					      of ? one->target : ""),
				     -1);
	}
	qsort(lines, count, sizeof(*lines), by_text);
	for (size_t i = 0; i < count; i++) {
		strcat(all, lines[i]);
		free(lines[i]);
	}
	return all;
}

static void start_anew(struct host *host)
{
	char path[128];

	fake.order_count = fake.cut_count = 0;
	fake_raise();
	snprintf(path, sizeof(path), "%s/unit/orders", state_root);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(host_refresh_orders(host), 0);
}

static void any_order_of_arrival_gives_the_same(void **state)
{
	char *first = order("cut", "target: class:hospital\ntarget: partner:payer\n", "a");
	char *second = order("cut", "target: all\n", "b");
	char *third = order("cut", "target: partner:nord\ntarget: partner:nobody\n", "c");
	char *orders[] = {first,
			  second,
			  third,
			  reopening(first, "partner:nord", "ab"),
			  reopening(first, "partner:payer", "ba"),
			  reopening(second, "partner:sued", "ac"),
			  reopening(second, "class:hospital", "bc"),
			  reopening(third, "", "ab"),
			  reopening(third, "partner:nord", "cb")};
	char *expected = NULL;

	srandom(20261126);
	for (int round = 0; round < 60; round++) {
		size_t taken = 0;
		bool was[COUNT(orders)] = {false};

		start_anew(*state);
		for (size_t i = 0; i < 3 * COUNT(orders) || taken < COUNT(orders); i++) {
			size_t pick = random() % COUNT(orders);

			expect(*state, orders[pick], 0);
			taken += !was[pick];
			was[pick] = true;
		}
		{
			char *now = in_force(*state);

			if (!expected)
				expected = strdup(now);
			assert_string_equal(now, expected);
			free(now);
		}
	}
	/* class:hospital but nord; all but sued and the class */
	assert_non_null(strstr(expected, " class:hospital but partner:nord\n"));
	assert_non_null(strstr(expected, " all but partner:sued\n"));
	assert_null(strstr(expected, "payer"));
	assert_null(strstr(expected, "nobody"));
	assert_int_equal(fake.cut_count, 5);
	for (size_t i = 0; i < COUNT(orders); i++)
		free(orders[i]);
	free(expected);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void refused_by_the_kernel_it_is_taken_the_next_time(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), *back = reopening(cut, "", "ab");

	start_anew(*state);
	fake.fail_set_cuts = -EIO;
	expect(*state, cut, 1);
	assert_int_equal(fake.order_count, 0);
	fake.fail_set_cuts = 0;
	expect(*state, cut, 0);
	assert_int_equal(fake.cut_count, 1);
	fake.fail_set_cuts = -EIO;
	expect(*state, back, 1);
	assert_int_equal(fake.cut_count, 1);
	fake.fail_set_cuts = 0;
	expect(*state, back, 0);
	assert_int_equal(fake.cut_count, 0);
	expect(*state, cut, 0);
	assert_int_equal(fake.cut_count, 0);
	free(cut);
	free(back);
}

/* A file stands where the directory should be. */
static void what_cannot_be_kept_cuts_and_lets_nothing_back(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), *back = reopening(cut, "", "ab");
	char path[128];

	start_anew(*state);
	snprintf(path, sizeof(path), "%s/unit/orders", state_root);
	assert_int_equal(file_write_atomic(path, "", 0, 0640), 0);
	expect(*state, cut, 1);
	assert_int_equal(fake.cut_count, 1);
	expect(*state, back, 1);
	assert_int_equal(fake.cut_count, 1);
	assert_int_equal(unlink(path), 0);
	expect(*state, cut, 0); /* now it is kept */
	expect(*state, back, 0);
	assert_int_equal(fake.cut_count, 0);
	expect(*state, cut, 0);
	assert_int_equal(fake.cut_count, 0);
	free(cut);
	free(back);
}

static void known_cut_that_was_lost_is_carried_out_again(void **state)
{
	char *cut = order("cut", "target: class:hospital\n", "a");
	char *back = reopening(cut, "partner:nord", "ab");

	start_anew(*state);
	expect(*state, cut, 0);
	expect(*state, back, 0);
	assert_int_equal(fake.cut_count, 2);
	fake.order_count = fake.cut_count = 0;
	fake_raise();
	expect(*state, cut, 0);
	assert_int_equal(fake.cut_count, 2);
	assert_true(fake.cuts[1].is_exception);
	free(cut);
	free(back);
}

/* Judged once: neither its own time nor that of a key takes anything back; but a new one is. */
static void what_was_taken_is_not_judged_again(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), *other = order("cut", "target: all\n", "a");
	char *signers = take_file("allowed_signers"), *public = public_of("b"), *text;

	start_anew(*state);
	expect(*state, cut, 0);
	assert_int_not_equal(asprintf(&text, "b namespaces=\"cut@weir\" %s\n", public), -1);
	put_file("allowed_signers", text);
	expect(*state, cut, 0);
	expect(*state, other, 1);
	put_file("allowed_signers", signers);
	expect(*state, other, 0);
	free(cut);
	free(other);
	free(signers);
	free(public);
	free(text);
}

static char *kept(const char *cut, const char *order)
{
	char path[256], *text;
	size_t length;

	snprintf(path, sizeof(path), "%s/unit/orders/%s/%s", state_root, id_of(cut), id_of(order));
	assert_int_equal(file_read(path, DOCUMENT_MAX_BYTES, &text, &length), 0);
	return text;
}

/* That the kernel refused it the first time does not make the second one's signatures count. */
static void signatures_that_counted_stay_in_the_archive(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), *back = reopening(cut, "", "ab");
	char *bare = strdup(back), *text;

	*strstr(bare, "-----BEGIN") = '\0';
	start_anew(*state);
	expect(*state, cut, 0);
	fake.fail_set_cuts = -EIO;
	expect(*state, back, 1);
	fake.fail_set_cuts = 0;
	expect(*state, bare, 0); /* it was accepted once */
	assert_int_equal(fake.cut_count, 0);
	text = kept(cut, back);
	assert_string_equal(text, back);
	free(text);
	free(cut);
	free(back);
	free(bare);
}

/* While nobody confirmed the clock, a cut is taken and nothing is let back. */
static void unconfirmed_clock_lets_nothing_back(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), *back = reopening(cut, "", "ab");

	start_anew(*state);
	fake.control.hours_closed = 1;
	expect(*state, cut, 0);
	expect(*state, back, 1);
	assert_int_equal(fake.cut_count, 1);
	fake.control.hours_closed = 0;
	expect(*state, back, 0);
	assert_int_equal(fake.cut_count, 0);
	free(cut);
	free(back);
}

/* "whole partner:nord of class:hospital" of each cut that holds what was let back. */
static void expect_holding(struct host *host, const char *text, const char *wanted)
{
	json_object *answer = take(host, text), *holding = member(answer, "holding");
	char said[512] = "";

	expect_code(answer, 0);
	for (size_t i = 0; i < json_object_array_length(holding); i++) {
		json_object *one = json_object_array_get_idx(holding, i);
		size_t used = strlen(said);

		assert_int_equal(json_object_get_string(member(one, "id"))[0], 'c');
		snprintf(said + used, sizeof(said) - used, "%s%s %s of %s", used ? "; " : "",
			 json_object_get_string(member(one, "how")),
			 json_object_get_string(member(one, "holds")),
			 json_object_get_string(member(one, "target")));
	}
	assert_string_equal(said, wanted);
	json_object_put(answer);
}

static void a_reopening_says_what_still_holds(void **state)
{
	char *first = order("cut", "target: partner:nord\n", "a");
	char *second = order("cut", "target: class:hospital\n", "b");
	char *other = order("cut", "target: addr:198.51.100.1\ntarget: partner:gone\n", "b");
	char *back = reopening(first, "", "ab"), *part = reopening(second, "partner:nord", "ab");
	char *everything = order("cut", "target: all\n", "c");
	char *all = reopening(second, "", "ab"), *gone = reopening(other, "partner:gone", "ab");

	start_anew(*state);
	expect(*state, first, 0);
	expect(*state, second, 0);
	expect(*state, other, 0);
	expect_holding(*state, back,
		       "whole partner:nord of class:hospital; "
		       "part partner:nord of addr:198.51.100.1");
	expect_holding(*state, back, ""); /* it was taken: nothing is let back */
	expect_holding(*state, part, "part partner:nord of addr:198.51.100.1");
	expect_holding(*state, all, "part class:hospital of addr:198.51.100.1");
	expect(*state, everything, 0);
	expect_holding(*state, gone, ""); /* nobody knows what that is */
	free(first);
	free(second);
	free(other);
	free(back);
	free(part);
	free(all);
	free(gone);
	free(everything);
}

static char *last_line(struct host *host)
{
	char *path = host_path(host, JOURNAL_FILE), *text, *line;
	size_t length;

	assert_int_equal(file_read(path, 1 << 20, &text, &length), 0);
	free(path);
	text[length - 1] = '\0';
	line = strdup(strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text);
	free(text);
	return line;
}

/* Who may sign is not known: then too somebody wanted it, and it was refused. */
static void without_a_list_of_signers_a_refusal_is_in_the_journal(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), *signers = take_file("allowed_signers");
	char *beat = order("beat", "version: 1\n", "a"), *back = reopening(cut, "", "a");
	char *line, *later;

	start_anew(*state);
	for (int is_there = 0; is_there < 2; is_there++) {
		assert_int_equal(shell("rm -f allowed_signers"), 0);
		if (is_there) {
			put_file("allowed_signers", signers);
			assert_int_equal(shell("chmod 666 allowed_signers"), 0);
		}
		expect(*state, cut, 1);
		assert_int_equal(fake.cut_count, 0);
		line = last_line(*state);
		assert_non_null(strstr(line, "\"kind\":\"cut\",\"result\":\"refused\""));
		assert_non_null(strstr(line, id_of(cut)));
		assert_non_null(strstr(line, is_there ? "could be changed by others than root"
						      : "no signed order is taken here"));
		expect(*state, beat, 1);
		later = last_line(*state);
		assert_string_equal(line, later);
		free(later);
		free(line);
	}
	assert_int_equal(shell("rm -f allowed_signers"), 0);
	put_file("allowed_signers", signers);
	expect(*state, back, 1);
	line = last_line(*state);
	assert_non_null(strstr(line, "\"kind\":\"reopen\",\"result\":\"refused\""));
	assert_non_null(strstr(line, "takes 2"));
	free(line);
	free(back);
	free(signers);
	free(cut);
	free(beat);
}

static void local_reopening_leaves_a_signed_cut(void **state)
{
	char *cut = order("cut", "target: partner:nord\n", "a");
	json_object *answer;

	start_anew(*state);
	expect(*state, cut, 0);
	answer = ask(*state,
		     "{\"request\":\"cut\",\"targets\":[\"partner:nord\"],\"reason\":\"x\"}");
	expect_code(answer, 0);
	json_object_put(answer);
	assert_int_equal(fake.cut_count, 2);
	answer = ask(*state,
		     "{\"request\":\"reopen\",\"targets\":[\"partner:nord\"],\"reason\":\"x\"}");
	expect_code(answer, 0); /* the local one */
	assert_true(json_object_get_boolean(
		member(json_object_array_get_idx(member(answer, "holding"), 0), "signed")));
	json_object_put(answer);
	assert_int_equal(fake.cut_count, 1);
	answer = ask(*state, "{\"request\":\"reopen\",\"targets\":[\"all\"],\"reason\":\"x\"}");
	expect_code(answer, 1);
	json_object_put(answer);
	assert_int_equal(fake.cut_count, 1);
	free(cut);
}

/* ---- crashes, limits ------------------------------------------------------------------------ */

static void remove_state(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/unit/%s", state_root, name);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Who ended behind the texts left the kernel without the cut, the disk and the journal without the
 * order: that the texts are there says nothing about the rest. */
static void cut_that_came_half_into_force_is_finished_when_it_comes_again(void **state)
{
	char *cut = order("cut", "target: class:hospital\ntarget: all\n", "a"), path[128];
	struct orders saved = {0};
	uint64_t first;

	start_anew(*state);
	expect(*state, cut, 0);
	first = fake.orders[0].id;
	fake.cut_count = 0;
	fake.order_count = 1; /* and not even all of these */
	fake_raise();
	remove_state("orders");
	remove_state("orders.json");
	remove_state("orders.json.copy");
	expect(*state, cut, 0);
	assert_int_equal(fake.cut_count, 2);
	assert_int_equal(fake.order_count, 2);
	assert_int_equal(fake.orders[0].id, first);
	snprintf(path, sizeof(path), "%s/unit/orders.json", state_root);
	assert_int_equal(orders_load(path, &saved), 0);
	assert_int_equal(saved.count, 2);
	orders_free(&saved);
	fake.calls[0] = '\0';
	expect(*state, cut, 0); /* now it is known */
	assert_null(strstr(fake.calls, "set_cuts"));
	free(cut);
}

/* A guard whose policy is not on disk: its names are not known, but it has them. */
static void change_on_a_foreign_guard_loses_no_signed_cut(void **state)
{
	struct host *host = *state;
	char *cut = order("cut", "target: partner:nord\n", "a");
	char *other = order("cut", "target: partner:sued\n", "a");
	char *address = order("cut", "target: addr:192.0.2.0/24\n", "a");
	struct image image = {0};
	json_object *answer;

	start_anew(host);
	expect(host, cut, 0);
	assert_int_equal(fake.cuts[0].target, WEIR_TARGET_PARTNER);
	assert_int_equal(default_image(host, wall_now(), &image), 0);
	assert_int_equal(host_take_image(host, &image, NULL), 0);
	host->is_foreign = true;
	answer = ask(host, "{\"request\":\"cut\",\"targets\":[\"addr:192.0.2.1\"],"
			   "\"reason\":\"x\"}");
	assert_int_equal(fake.cuts[0].target, WEIR_TARGET_PARTNER);
	expect_code(answer, 1);
	json_object_put(answer);
	expect(host, address, 1);
	assert_int_equal(fake.cuts[0].target, WEIR_TARGET_PARTNER);
	start_anew(host);
	expect(host, other, 1); /* and not "matched 0" */
	expect(host, address, 0);
	host->is_foreign = false;
	take_policy(host, a_policy);
	free(cut);
	free(other);
	free(address);
}

/* By a clock that nobody confirmed, no cut is over. */
static void unconfirmed_clock_ends_no_signed_cut(void **state)
{
	struct host *host = *state;
	char *cut = order("cut", "target: all\nuntil: 2026-11-26T16:04:05Z\n", "a");
	uint64_t offset = fake.control.wall_offset_ns;

	start_anew(host);
	fake.control.hours_closed = 1;
	fake.control.wall_offset_ns += 10 * 365 * NS_PER_DAY;
	expect(host, cut, 0);
	assert_int_equal(fake.cut_count, 1);
	assert_int_equal(host_end_orders(host), 0);
	assert_int_equal(fake.cut_count, 1);
	expect(host, cut, 0);
	assert_int_equal(fake.cut_count, 1);
	fake.control.hours_closed = 0;
	assert_int_equal(host_end_orders(host), 0);
	assert_int_equal(fake.cut_count, 0);
	expect(host, cut, 0);
	assert_int_equal(fake.cut_count, 0);
	fake.control.wall_offset_ns = offset;
	free(cut);
}

static const char large_policy[] = "weir: 1\nname: large\nmode: enforce\n"
				   "services:\n  sftp: {cgroup: system.slice/sftp.service}\n"
				   "strangers: {calls: deny, total: none}\n"
				   "partners:\n";

/* An order for many hosts names much that one of them does not have; to look for names near to
 * these among 5000 would hold it up for seconds, and each later one as well. */
static void unknown_names_hold_up_no_cut(void **state)
{
	struct host *host = *state;
	char *policy = calloc(5000, 64), *at = stpcpy(policy, large_policy);
	char *lines = calloc(250, 48), *cut;
	uint64_t began;

	start_anew(host);
	for (unsigned int i = 0; i < 5000; i++)
		at += sprintf(at, "  klinik-%04u-hamburg: {addresses: [10.%u.%u.0/28]}\n", i,
			      i >> 8, i & 255);
	for (unsigned int i = 0; i < 250; i++)
		sprintf(lines + strlen(lines), "target: partner:praxis-%04u-muenche\n", i);
	take_policy(host, policy);
	cut = order("cut", lines, "a");
	began = boot_now();
	expect(host, cut, 0);
	assert_int_equal(fake.cut_count, 250);
	assert_in_range(boot_now() - began, 0, 2 * NS_PER_SECOND);
	take_policy(host, a_policy);
	free(policy);
	free(lines);
	free(cut);
}

static char *targets(const char *word, unsigned int from, unsigned int count)
{
	char *lines = calloc(count, 48);

	for (unsigned int i = 0; i < count; i++)
		sprintf(lines + strlen(lines), "target: addr:%s.%u.0/24\n", word, from + i);
	return lines;
}

/* What finds no room is what a reopening lets back, and not the cut. */
static void cut_comes_before_what_of_it_was_let_back(void **state)
{
	char *many = targets("10.0", 0, 100), *lines, *cut, *back;
	size_t cuts = 0;

	start_anew(*state);
	for (size_t i = 0; i < WEIR_MAX_ORDERS - 150; i++) {
		fake.orders[i] = (struct weir_order){.id = i + 1};
		strcpy(fake.orders[i].target, "addr:192.0.2.1");
		strcpy(fake.orders[i].reason, "x");
	}
	fake.order_count = WEIR_MAX_ORDERS - 150;
	fake_raise();
	cut = order("cut", many, "a");
	assert_int_not_equal(asprintf(&lines, "cut: %s\ntarget: all@service:sftp\n", id_of(cut)),
			     -1);
	back = order("reopen", lines, "ab");
	expect(*state, back, 0);
	expect(*state, cut, 0);
	for (size_t i = 0; i < fake.order_count; i++)
		cuts += fake.orders[i].parent == 0 && order_is_signed(&fake.orders[i]);
	assert_int_equal(cuts, 100);
	assert_int_equal(fake.order_count, WEIR_MAX_ORDERS);
	free(many);
	free(lines);
	free(cut);
	free(back);
}

/* ---- signers -------------------------------------------------------------------------------- */

/* "a b": an allowed_signers with these, who may also change it; malloc'd. */
static char *list_of(const char *names)
{
	char *text = calloc(1, TEXT);

	for (; *names; names++) {
		char key[2] = {*names, '\0'}, *public = public_of(key);

		sprintf(text + strlen(text),
			"%s namespaces=\"cut@weir,reopen@weir,signers@weir\" %s\n", key, public);
		free(public);
	}
	return text;
}

static char *signers(unsigned int version, const char *names, const char *by)
{
	char *list = list_of(names), *lines, *text;

	assert_int_not_equal(asprintf(&lines, "version: %u\n\n%s", version, list), -1);
	text = order("signers", lines, by);
	free(list);
	free(lines);
	return text;
}

/* N + 1 by two of N and two of N + 1; from then on the old list says nothing, also after a restart
 * and whatever comes again. */
static void a_list_of_signers_follows_the_one_before(void **state)
{
	struct host *host = *state;
	char *before = take_file("allowed_signers"), *list = list_of("abc");
	char *first = signers(1, "bcd", "abc"), *few = signers(1, "bcd", "ab");
	char *skips = signers(2, "bcd", "bcd"), *second = signers(2, "cd", "cdb");
	char *cut = order("cut", "target: all\n", "a"), *other = order("cut", "target: all\n", "d");

	start_anew(host);
	put_file("allowed_signers", list);
	expect(host, skips, 1);
	expect(host, few, 1); /* b alone is in both */
	expect(host, other, 1);
	expect(host, first, 0);
	expect(host, first, 0);
	expect(host, cut, 1);
	expect(host, other, 0);
	expect(host, second, 0);
	expect(host, first, 1);
	put_file("allowed_signers", "");
	expect(host, other, 0);
	{
		char path[128];

		snprintf(path, sizeof(path), "%s/unit/signers.order", state_root);
		assert_int_equal(truncate(path, 100), 0);
		free(cut);
		cut = order("cut", "target: all\n", "d");
		expect(host, cut, 1); /* an older list would count who was taken out */
		assert_int_equal(unlink(path), 0);
	}
	put_file("allowed_signers", before);
	free(before);
	free(list);
	free(first);
	free(few);
	free(skips);
	free(second);
	free(cut);
	free(other);
}

static char *base(unsigned int version, const char *policy, const char *by)
{
	char *lines, *text;

	assert_int_not_equal(asprintf(&lines, "version: %u\n\n%s", version, policy), -1);
	text = order("base", lines, by);
	free(lines);
	return text;
}

static void a_base_never_goes_back(void **state)
{
	struct host *host = *state;
	char *first = base(1, "weir: 1\nname: one\nmode: enforce\n", "ab"),
	     *alone = base(2, "weir: 1\n", "a");
	char *second = base(2, "weir: 1\nname: two\nmode: enforce\n", "bc");
	char *bad = base(3, "weir: 1\nname: [\n", "ab"), path[128];
	json_object *answer;

	start_anew(host);
	expect(host, first, 0);
	assert_string_equal(host->image.name, "one");
	expect(host, alone, 1);
	expect(host, second, 0);
	assert_string_equal(host->image.name, "two");
	expect(host, first, 1);
	answer = take(host, bad);
	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "details")), "base 3:2:"));
	json_object_put(answer);
	expect(host, second, 0); /* known */
	assert_string_equal(host->image.name, "two");
	answer = ask(host, "{\"request\":\"orders\"}");
	assert_non_null(strstr(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN),
			       "\"kind\":\"base\""));
	json_object_put(answer);
	snprintf(path, sizeof(path), "%s/unit/base.order", state_root);
	assert_int_equal(truncate(path, 50), 0);
	free(bad);
	bad = base(4, "weir: 1\nname: four\nmode: enforce\n", "ab");
	expect(host, bad, 1); /* which one is in force is not known */
	assert_int_equal(unlink(path), 0);
	expect(host, bad, 0);
	take_policy(host, a_policy);
	free(first);
	free(alone);
	free(second);
	free(bad);
}

/* Two people have decided that; what is in force for a while leaves the base's version alone. */
static void a_base_ends_what_is_in_force_for_a_while(void **state)
{
	struct host *host = *state;
	char *first = base(5, "weir: 1\nname: one\nmode: enforce\n", "ab");
	char *second = base(6, "weir: 1\nname: two\nmode: enforce\n", "bc");
	static const char emergency[] =
		"{\"request\":\"apply\",\"for_seconds\":600,\"reason\":\"why\",\"files\":[{"
		"\"name\":\"p\",\"text\":\"weir: 1\\nname: shut\\nmode: enforce\\n\"}]}";
	json_object *answer;

	start_anew(host);
	expect(host, first, 0);
	answer = ask(host, emergency);
	expect_code(answer, 0);
	json_object_put(answer);
	assert_string_equal(host->image.name, "shut");
	answer = ask(host, "{\"request\":\"rollback\"}");
	expect_code(answer, 0);
	json_object_put(answer);
	assert_string_equal(host->image.name, "one");
	answer = ask(host, emergency);
	expect_code(answer, 0);
	json_object_put(answer);
	expect(host, first, 1); /* known: nothing happens, and it does not hold */
	assert_string_equal(host->image.name, "shut");
	expect(host, second, 0);
	assert_string_equal(host->image.name, "two");
	assert_int_equal(host->interim_until_ns + host->trial_until_ns, 0);
	take_policy(host, a_policy);
	free(first);
	free(second);
}

/* What the host tells its fleet of its base. */
static void expect_base(struct host *host, uint64_t version, bool holds)
{
	json_object *answer = ask(host, "{\"request\":\"brief\"}");
	json_object *base = member(member(answer, "in_force"), "base");

	assert_int_equal(json_object_get_uint64(member(base, "version")), version);
	assert_int_equal(json_object_get_boolean(member(base, "holds")), holds);
	json_object_put(answer);
}

static void another_policy_in_its_place_is_told(void **state)
{
	struct host *host = *state;
	char *first = base(11, "weir: 1\nname: one\nmode: enforce\n", "ab");
	char *second = base(12, "weir: 1\nname: two\nmode: enforce\n", "bc"), path[128];
	static const char local[] = "{\"request\":\"apply\",\"files\":[{\"name\":\"p\",\"text\":"
				    "\"weir: 1\\nname: lax\\nmode: observe\\n\"}]}";
	json_object *answer;

	start_anew(host);
	expect(host, first, 0);
	expect_base(host, 11, true);
	answer = ask(host, local);
	expect_code(answer, 0);
	json_object_put(answer);
	expect_base(host, 11, false);
	answer = take(host, first);
	expect_code(answer, 1);
	assert_string_equal(json_object_get_string(member(answer, "order")), id_of(first));
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")),
			       "another policy was put in its place"));
	json_object_put(answer);
	assert_string_equal(host->image.name, "lax");
	answer = ask(host, "{\"request\":\"rollback\"}"); /* to the base itself */
	expect_code(answer, 0);
	json_object_put(answer);
	expect_base(host, 11, true);
	expect(host, first, 0);
	expect(host, second, 0);
	expect_base(host, 12, true);
	answer = ask(host, "{\"request\":\"rollback\"}");
	expect_code(answer, 0);
	json_object_put(answer);
	assert_string_equal(host->image.name, "one");
	expect_base(host, 12, false);
	snprintf(path, sizeof(path), "%s/unit/base.order", state_root);
	assert_int_equal(truncate(path, 50), 0);
	expect_base(host, 0, false);
	assert_int_equal(unlink(path), 0);
	take_policy(host, a_policy);
	free(first);
	free(second);
}

static void a_beat_rises(void **state)
{
	char *first = order("beat", "version: 7\n", "a"),
	     *second = order("beat", "version: 9\n", "b"), *line, *later;
	json_object *answer;

	start_anew(*state);
	expect(*state, first, 1); /* nobody may, yet */
	put_file("allowed_signers", "");
	{
		char *public = public_of("a"), *other = public_of("b"), *list;

		assert_int_not_equal(asprintf(&list,
					      "a namespaces=\"beat@weir\" %s\n"
					      "b namespaces=\"beat@weir\" %s\n",
					      public, other),
				     -1);
		put_file("allowed_signers", list);
		free(public);
		free(other);
		free(list);
	}
	expect(*state, first, 0);
	answer = ask(*state, "{\"request\":\"status\"}");
	assert_int_equal(
		json_object_get_int(member(member(member(answer, "in_force"), "beat"), "version")),
		7);
	json_object_put(answer);
	expect(*state, second, 0);
	line = last_line(*state);
	expect(*state, first, 1); /* as a broker that was down for a while serves it */
	later = last_line(*state);
	assert_string_equal(line, later);
	free(line);
	free(later);
	answer = ask(*state, "{\"request\":\"status\"}");
	assert_int_equal(
		json_object_get_int(member(member(member(answer, "in_force"), "beat"), "version")),
		9);
	json_object_put(answer);
	free(first);
	free(second);
}

static void an_override_takes_two_and_comes_once(void **state)
{
	char *lines, *pause, *again, *alone;

	assert_int_not_equal(asprintf(&lines, "for: %dh\n",
				      (int)((host_wall(*state) - ISSUED_NS) / NS_PER_HOUR) + 2),
			     -1);
	pause = order("pause", lines, "ab");
	alone = order("pause", lines, "a");
	start_anew(*state);
	expect(*state, alone, 1);
	assert_int_equal(overrides_in_force(*state), 0);
	expect(*state, pause, 0);
	expect(*state, pause, 0);
	assert_int_equal(overrides_in_force(*state), 1);
	end_all(*state);
	expect(*state, pause, 1); /* it takes a new one */
	assert_int_equal(overrides_in_force(*state), 0);
	again = order("pause", "for: 1h\n", "ab"); /* from when it was issued on */
	expect(*state, again, 1);
	assert_int_equal(overrides_in_force(*state), 0);
	free(lines);
	free(pause);
	free(alone);
	free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_of_arrival_gives_the_same),
		cmocka_unit_test(refused_by_the_kernel_it_is_taken_the_next_time),
		cmocka_unit_test(what_cannot_be_kept_cuts_and_lets_nothing_back),
		cmocka_unit_test(known_cut_that_was_lost_is_carried_out_again),
		cmocka_unit_test(what_was_taken_is_not_judged_again),
		cmocka_unit_test(signatures_that_counted_stay_in_the_archive),
		cmocka_unit_test(unconfirmed_clock_lets_nothing_back),
		cmocka_unit_test(a_reopening_says_what_still_holds),
		cmocka_unit_test(without_a_list_of_signers_a_refusal_is_in_the_journal),
		cmocka_unit_test(local_reopening_leaves_a_signed_cut),
		cmocka_unit_test(cut_that_came_half_into_force_is_finished_when_it_comes_again),
		cmocka_unit_test(change_on_a_foreign_guard_loses_no_signed_cut),
		cmocka_unit_test(unconfirmed_clock_ends_no_signed_cut),
		cmocka_unit_test(unknown_names_hold_up_no_cut),
		cmocka_unit_test(cut_comes_before_what_of_it_was_let_back),
		cmocka_unit_test(a_list_of_signers_follows_the_one_before),
		cmocka_unit_test(a_base_never_goes_back),
		cmocka_unit_test(a_base_ends_what_is_in_force_for_a_while),
		cmocka_unit_test(another_policy_in_its_place_is_told),
		cmocka_unit_test(an_override_takes_two_and_comes_once),
		cmocka_unit_test(a_beat_rises),
	};

	return cmocka_run_group_tests(tests, signing_up, signing_down);
}
