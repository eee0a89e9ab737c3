/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_journaling.c - what the journal says of orders on a fake guard, and what happens to an order
 * whose line cannot be written.
 */
#include "tests/unit/ordering.h"

#include <fcntl.h>
#include <sys/file.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/cutting.h"
#include "user/daemon/returning.h"

/* ---- what there is -------------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/unit/%s", state_root, name);
	return path;
}

/* The whole file as one array of lines, which must hold. The caller's to put. */
static int collect(const struct chain_line *line, void *data)
{
	json_object_array_add(data, json_object_get(line->object));
	return 0;
}

static json_object *lines(struct host *host)
{
	json_object *list = json_object_new_array();
	struct chain_fault fault;

	if (journal_read(&host->journaling.journal, collect, list, NULL, &fault) != 0)
		fail_msg("line %d does not fit: %s", (int)fault.line, fault.what);
	return list;
}

/* "KIND RESULT ID TARGET" of each line, in order. */
static const char *digest_of_lines(struct host *host)
{
	static char text[4096];
	json_object *list = lines(host);
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *record = member(json_object_array_get_idx(list, i), "record");
		json_object *targets = json_object_object_get(record, "targets");
		const char *result =
			json_object_get_string(json_object_object_get(record, "result"));
		const char *id = json_object_get_string(json_object_object_get(record, "id"));

		used += snprintf(
			text + used, sizeof(text) - used, "%s%s %s %s %s", i ? "; " : "",
			json_object_get_string(member(record, "kind")), result ? result : "-",
			id ? id : "-",
			targets ? json_object_get_string(json_object_array_get_idx(targets, 0))
				: "-");
	}
	json_object_put(list);
	return text;
}

static json_object *record_of(json_object *list, size_t index)
{
	return member(json_object_array_get_idx(list, index), "record");
}

/* A full disk; root writes anywhere, so a directory stands in the way. */
static void block(bool is_blocked)
{
	static char aside[128];

	snprintf(aside, sizeof(aside), "%s/journal", state_root);
	if (is_blocked) {
		rename(path_of(JOURNAL_FILE), aside);
		assert_int_equal(mkdir(path_of(JOURNAL_FILE), 0700), 0);
	} else {
		assert_int_equal(rmdir(path_of(JOURNAL_FILE)), 0);
		rename(aside, path_of(JOURNAL_FILE));
	}
}

static void start_again(struct host *host)
{
	journaling_close(host);
	assert_int_equal(journaling_open(host), 0);
	journaling_begin(host);
	journaling_found(host);
}

/* As if none had ever been there. */
static void forget_journal(void)
{
	assert_int_equal(unlink(path_of(JOURNAL_FILE)), 0);
	assert_int_equal(unlink(path_of(JOURNAL_BEGUN)), 0);
}

/* ---- each order has its line ---------------------------------------------------------------- */

static void orders_have_their_lines(void **state)
{
	struct host *host = *state;
	json_object *list, *record, *one;

	fake.sever.ended = 3;
	done(ask(host, "{\"request\":\"cut\",\"targets\":[\"class:hospital\",\"service:sftp\"],"
		       "\"reason\":\"incident\",\"for_seconds\":60}"));
	done(reopen(host, "partner:nord", NULL));
	done(reopen(host, "service:sftp", NULL));
	assert_string_equal(digest_of_lines(host),
			    "cut accepted c1 class:hospital; cut accepted c2 service:sftp; "
			    "reopen accepted - partner:nord; reopen accepted - service:sftp");
	list = lines(host);
	record = record_of(list, 0);
	assert_string_equal(json_object_get_string(member(record, "reason")), "incident");
	assert_string_equal(json_object_get_string(member(record, "source")), "local");
	assert_int_equal(json_object_get_int(member(record, "ended_connections")), 3);
	assert_true(json_object_get_uint64(member(record, "until_ns")) ==
		    json_object_get_uint64(member(record, "since_ns")) + UINT64_C(60000000000));
	assert_int_equal(json_object_get_int(member(member(record, "by"), "uid")), 7);
	assert_string_equal(json_object_get_string(member(member(record, "by"), "user")), "me");
	one = json_object_array_get_idx(member(record_of(list, 2), "cuts"), 0);
	assert_string_equal(json_object_get_string(member(one, "id")), "c1");
	assert_string_equal(json_object_get_string(member(one, "how")), "exception");
	assert_string_equal(json_object_get_string(member(one, "exception")), "c3");
	one = json_object_array_get_idx(member(record_of(list, 3), "cuts"), 0);
	assert_string_equal(json_object_get_string(member(one, "how")), "whole");
	json_object_put(list);
}

static void a_dry_run_and_nonsense_have_none(void **state)
{
	done(ask(*state, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"why\","
			 "\"dry_run\":true}"));
	refused(ask(*state, "{\"request\":\"cut\",\"targets\":[\"partner:x\"],\"reason\":\"why\","
			    "\"dry_run\":true}"),
		"");
	json_object_put(ask(*state, "{\"request\":\"cut\",\"targets\":[7],\"reason\":\"why\"}"));
	json_object_put(ask(*state, "{\"request\":\"status\"}"));
	assert_string_equal(digest_of_lines(*state), "");
}

static void other_orders_too(void **state)
{
	struct host *host = *state;

	done(ask(host, "{\"request\":\"confirm-clock\",\"reason\":\"NTP\"}"));
	refused(ask(host, "{\"request\":\"confirm\"}"), "on trial");
	refused(ask(host, "{\"request\":\"rollback\",\"digest\":\"abcd1234\"}"), "");
	done(ask(host, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"why\","
		       "\"for_seconds\":1}"));
	fake.control.wall_offset_ns += INT64_C(2000000000);
	assert_int_equal(host_end_orders(host), 0);
	done(ask(host, "{\"request\":\"unload\"}"));
	assert_string_equal(
		digest_of_lines(host),
		"confirm-clock accepted - -; confirm refused - -; rollback refused - -; "
		"cut accepted c1 all; cut-ended accepted - -; unload accepted - -");
}

static void a_refusal_says_why(void **state)
{
	json_object *list, *record;

	refused(cut(*state, "partner:nort"), "nord");
	refused(reopen(*state, "partner:nord", NULL), "nothing to reopen");
	list = lines(*state);
	assert_int_equal(json_object_array_length(list), 2);
	record = record_of(list, 0);
	assert_string_equal(json_object_get_string(member(record, "result")), "refused");
	assert_non_null(strstr(json_object_get_string(member(record, "why")), "nord"));
	assert_null(json_object_object_get(record, "id"));
	json_object_put(list);
}

/* Whoever may ask may ask for a lot. */
static void refusals_fill_no_disk(void **state)
{
	struct host *host = *state;
	char *long_text = malloc(100001), request[100200];
	struct stat st;
	json_object *list, *record;

	memset(long_text, 'x', 100000);
	long_text[100000] = '\0';
	snprintf(request, sizeof(request),
		 "{\"request\":\"cut\",\"targets\":[\"partner:%s\"],\"reason\":\"why\"}",
		 long_text);
	for (int i = 0; i < 2 * JOURNALING_REFUSALS; i++)
		refused(ask(host, request), "");
	assert_int_equal(stat(path_of(JOURNAL_FILE), &st), 0);
	assert_true(st.st_size < JOURNALING_REFUSALS * 2048);
	done(cut(host, "all")); /* orders are written all the same, and tell how many there were */
	list = lines(host);
	assert_int_equal(json_object_array_length(list), JOURNALING_REFUSALS + 2);
	record = record_of(list, JOURNALING_REFUSALS + 1);
	assert_string_equal(json_object_get_string(member(record, "kind")), "unwritten");
	assert_int_equal(json_object_get_int(member(record, "refusals")), JOURNALING_REFUSALS);
	json_object_put(list);
	free(long_text);
}

/* How often the events say so. */
static size_t told(const char *what)
{
	_cleanup_free_ char *text = NULL;
	size_t length, count = 0;

	assert_int_equal(file_read(path_of("events.jsonl"), 1 << 20, &text, &length), 0);
	for (const char *at = text; (at = strstr(at, what)); at++)
		count++;
	return count;
}

/* What somebody has an agent hand in takes no room from what people ask for, in the events either.
 */
static void an_agents_refusals_take_no_room(void **state)
{
	static const char cut[] = "weir-order: 1\nkind: cut\nissued: 2026-11-26T15:04:05Z\n"
				  "nonce: 00112233445566778899aabbccddeeff\nreason: x\n"
				  "target: all\n";
	const struct caller agent = {.uid = 8, .user = "a", .by = "a", .is_agent = true};
	json_object *request = json_object_new_object(), *list;
	struct host *host = *state;
	const char *text;

	json_object_object_add(request, "request", json_object_new_string("order-apply"));
	json_object_object_add(request, "text", json_object_new_string(cut));
	text = json_object_to_json_string(request);
	for (int i = 0; i < 2 * JOURNALING_REFUSALS; i++)
		free(request_answer(host, &agent, text, strlen(text)));
	list = lines(host);
	assert_int_equal(json_object_array_length(list), JOURNALING_REFUSALS);
	json_object_put(list);
	assert_int_equal(told("\"kind\":\"order-refused\""), JOURNALING_REFUSALS);
	assert_int_equal(told("\"kind\":\"refusals\""), 1);
	refused(ask(host, "{\"request\":\"cut\",\"targets\":[\"partner:x\"],\"reason\":\"y\"}"),
		"");
	list = lines(host);
	/* it, and how many of the others there were */
	assert_int_equal(json_object_array_length(list), JOURNALING_REFUSALS + 2);
	json_object_put(list);
	json_object_put(request);
}

/* ---- when the disk takes no line ------------------------------------------------------------ */

static void what_loosens_is_not_done_without_its_line(void **state)
{
	struct host *host = *state;
	const int64_t offset = fake.control.wall_offset_ns;

	done(cut(host, "all"));
	latch("bills", "sftp", "payer", 5);
	fake.calls[0] = '\0';
	block(true);
	refused(reopen(host, "all", NULL), "journal");
	refused(reopen(host, "partner:payer", NULL), "journal");
	refused(ask(host, "{\"request\":\"confirm-clock\",\"reason\":\"NTP\"}"), "journal");
	assert_string_equal(fake.calls, "");
	assert_true(offset == fake.control.wall_offset_ns);
	assert_int_equal(fake.order_count, 1);
	block(false);
	done(reopen(host, "all", NULL));
	assert_int_equal(fake.order_count, 0);
}

static void no_policy_comes_without_its_line(void **state)
{
	struct host *host = *state;

	done(apply_named(host, "good", 0));
	block(true);
	refused(apply_named(host, "next", 0), "journal");
	assert_string_equal(host->image.name, "good");
	block(false);
	done(apply_named(host, "next", 60));
	block(true);
	refused(ask(host, "{\"request\":\"confirm\"}"), "journal");
	refused(ask(host, "{\"request\":\"rollback\"}"), "journal");
	assert_string_equal(host->image.name, "next");
	assert_true(host->trial_until_ns != 0);
	block(false);
	done(ask(host, "{\"request\":\"confirm\"}"));
	done(ask(host, "{\"request\":\"rollback\"}"));
	assert_string_equal(host->image.name, "good");
	/* the refusals could not be written either: counted, and told later */
	assert_string_equal(digest_of_lines(host),
			    "apply accepted - -; trial accepted - -; unwritten - - -; "
			    "confirm accepted - -; unwritten - - -; rollback accepted - -");
}

/* It was announced when the trial began: it must not wait for a disk. */
static void a_trial_ends_also_without_its_line(void **state)
{
	struct host *host = *state;
	_cleanup_free_ char *problem = NULL, *text = NULL;
	size_t length;
	struct json_out reply = {.out = open_memstream(&text, &length)};

	done(apply_named(host, "good", 0));
	done(apply_named(host, "next", 60));
	block(true);
	assert_int_equal(host_rollback(host, "guard", NULL, &reply, &problem), 0);
	fclose(reply.out);
	assert_string_equal(host->image.name, "good");
	block(false);
	journaling_catch_up(host);
	assert_string_equal(digest_of_lines(host),
			    "apply accepted - -; trial accepted - -; trial-over accepted - -");
}

static void a_cut_holds_and_its_line_waits(void **state)
{
	struct host *host = *state;
	json_object *answer, *list;

	done(cut(host, "partner:nord"));
	block(true);
	answer = cut(host, "partner:sued");
	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")), "journal"));
	assert_false(json_object_get_boolean(member(answer, "saved")));
	json_object_put(answer);
	assert_int_equal(fake.order_count, 2);
	answer = ask(host, "{\"request\":\"status\"}");
	assert_int_equal(json_object_get_int(member(member(answer, "unsaved"), "journal")), 1);
	json_object_put(answer);
	block(false);
	done(cut(host, "partner:payer"));
	assert_string_equal(digest_of_lines(host),
			    "cut accepted c1 partner:nord; cut accepted c2 partner:sued; "
			    "cut accepted c3 partner:payer");
	list = lines(host);
	assert_true(json_object_get_uint64(member(json_object_array_get_idx(list, 1), "late_ns")) >
		    0);
	json_object_put(list);
	assert_int_equal(host->journaling.waiting_count, 0);
}

static void so_many_wait_and_the_others_are_counted(void **state)
{
	struct host *host = *state;
	const struct journal_order order = {.kind = "cut", .id = "c1"};
	json_object *list, *record;
	size_t count;

	block(true);
	for (int i = 0; i < 1500; i++)
		assert_true(journaling_after(host, &order, 1) < 0);
	assert_true(host->journaling.waiting_count < 1500);
	count = host->journaling.waiting_count;
	block(false);
	journaling_catch_up(host);
	list = lines(host);
	assert_int_equal(json_object_array_length(list), count + 1);
	record = record_of(list, count);
	assert_int_equal(json_object_get_int(member(record, "lines")), 1500 - count);
	json_object_put(list);
}

static void an_order_that_fails_behind_its_line_says_so(void **state)
{
	struct host *host = *state;
	json_object *list, *record;

	done(cut(host, "all"));
	fake.fail_set_cuts = -EIO;
	refused(reopen(host, "all", NULL), "kernel");
	fake.fail_set_cuts = 0;
	assert_string_equal(digest_of_lines(host),
			    "cut accepted c1 all; reopen accepted - all; reopen failed - all");
	list = lines(host);
	record = record_of(list, 2);
	assert_int_equal(json_object_get_int(member(record, "of")), 2);
	json_object_put(list);
}

/* Tried again and again, while its orders cannot be saved. */
static void an_end_is_told_once(void **state)
{
	struct host *host = *state;

	done(ask(host, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"why\","
		       "\"for_seconds\":1}"));
	fake.control.wall_offset_ns += INT64_C(2000000000);
	fake.fail_set_cuts = -EIO;
	for (int i = 0; i < 3; i++)
		assert_true(host_end_orders(host) != 0);
	fake.fail_set_cuts = 0;
	assert_int_equal(host_end_orders(host), 0);
	assert_string_equal(digest_of_lines(host), "cut accepted c1 all; cut-ended accepted - -");
}

/* ---- found ---------------------------------------------------------------------------------- */

static void what_is_in_force_without_a_line_gets_one(void **state)
{
	struct host *host = *state;
	json_object *list;

	done(cut(host, "all"));
	done(reopen(host, "partner:nord", NULL));
	forget_journal();
	start_again(host);
	assert_string_equal(digest_of_lines(host),
			    "cut accepted c1 all; reopen accepted - partner:nord");
	list = lines(host);
	assert_true(json_object_get_boolean(member(record_of(list, 0), "found")));
	assert_string_equal(
		json_object_get_string(member(member(record_of(list, 0), "by"), "text")), "me");
	json_object_put(list);
	start_again(host); /* once */
	assert_string_equal(digest_of_lines(host),
			    "cut accepted c1 all; reopen accepted - partner:nord");
}

/* Whoever holds the lock keeps this one from looking, not for ever. */
static void what_could_not_be_looked_for_is_looked_for_again(void **state)
{
	struct host *host = *state;
	int lock = open(path_of("."), O_RDONLY | O_DIRECTORY);

	done(cut(host, "all"));
	unlink(path_of(JOURNAL_FILE));
	journal_forget(&host->journaling.journal);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	journaling_found(host);
	close(lock);
	assert_string_equal(digest_of_lines(host), "");
	journaling_catch_up(host);
	assert_string_equal(digest_of_lines(host), "cut accepted c1 all");
}

static void a_latch_that_could_not_be_read_has_its_line_later(void **state)
{
	struct host *host = *state;
	char id[24], expected[64];

	latch("bills", "sftp", "payer", 5);
	latch_format(fake.meter_keys[0], id, sizeof(id));
	host->journaling.has_new_latch = true;
	fake.fail_meters = -EIO;
	journaling_latches(host);
	assert_string_equal(digest_of_lines(host), "");
	fake.fail_meters = 0;
	journaling_latches(host);
	snprintf(expected, sizeof(expected), "latch accepted %s grant:bills", id);
	assert_string_equal(digest_of_lines(host), expected);
}

static void a_latch_has_its_line_and_each_new_one_too(void **state)
{
	struct host *host = *state;
	char id[24], expected[256];

	latch("bills", "sftp", "payer", 5);
	latch_format(fake.meter_keys[0], id, sizeof(id));
	host->journaling.has_new_latch = true;
	journaling_latches(host);
	journaling_latches(host); /* nothing new */
	host->journaling.has_new_latch = true;
	journaling_latches(host); /* something new, but not this one */
	done(reopen(host, "partner:payer", NULL));
	latch("bills", "sftp", "payer", 6);
	host->journaling.has_new_latch = true;
	journaling_latches(host);
	start_again(host);
	snprintf(expected, sizeof(expected),
		 "latch accepted %s grant:bills; reopen accepted - partner:payer; "
		 "latch accepted %s grant:bills",
		 id, id);
	assert_string_equal(digest_of_lines(host), expected);
	fake.meters[0].severed_ns = 0;
	done(cut(host, "all"));
	latch("bills", "sftp", "payer", 7);
	forget_journal(); /* latched while nobody looked */
	start_again(host);
	snprintf(expected, sizeof(expected), "cut accepted c1 all; latch accepted %s grant:bills",
		 id);
	assert_string_equal(digest_of_lines(host), expected);
}

/* ---- a journal that does not hold ----------------------------------------------------------- */

static void flip(off_t at)
{
	int fd = open(path_of(JOURNAL_FILE), O_RDWR);
	char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static bool is_told(const char *what)
{
	_cleanup_free_ char *text = calloc(1, 1 << 16);
	int fd = open(path_of("events.jsonl"), O_RDONLY);
	ssize_t got = read(fd, text, (1 << 16) - 1);

	close(fd);
	return got > 0 && strstr(text, what);
}

static void a_damaged_journal_is_set_aside(void **state)
{
	struct host *host = *state;
	char digest[CHAIN_DIGEST], found[CHAIN_DIGEST];
	uint64_t bytes, found_bytes;
	json_object *list, *record;

	done(cut(host, "partner:nord"));
	done(cut(host, "partner:sued"));
	flip(300);
	assert_int_equal(journal_measure(path_of(JOURNAL_FILE), &bytes, digest), 0);
	start_again(host);
	assert_string_equal(digest_of_lines(host), "set-aside - - -; cut accepted c1 partner:nord; "
						   "cut accepted c2 partner:sued");
	list = lines(host);
	record = record_of(list, 0);
	assert_string_equal(json_object_get_string(member(record, "sha256")), digest);
	assert_int_equal(json_object_get_int(member(record, "bytes")), bytes);
	assert_int_equal(journal_measure(json_object_get_string(member(record, "file")),
					 &found_bytes, found),
			 0);
	assert_string_equal(found, digest);
	json_object_put(list);
	assert_true(is_told("the journal of the orders does not hold"));
}

/* No cut is refused for it, whenever it is seen. */
static void a_cut_over_a_damaged_journal_is_one(void **state)
{
	struct host *host = *state;

	done(cut(host, "partner:nord"));
	flip(300);
	done(cut(host, "partner:sued"));
	assert_string_equal(digest_of_lines(host), "set-aside - - -; cut accepted c2 partner:sued; "
						   "cut accepted c1 partner:nord");
	unlink(path_of(JOURNAL_FILE));
	done(reopen(host, "partner:sued", NULL));
	assert_string_equal(digest_of_lines(host),
			    "set-aside - - -; reopen accepted - partner:sued; "
			    "cut accepted c1 partner:nord; cut accepted c2 partner:sued");
}

/* Taken away, or emptied, while no daemon ran. */
static void a_journal_that_is_gone_is_told(void **state)
{
	struct host *host = *state;

	for (int is_empty = 0; is_empty < 2; is_empty++) {
		char *answer;

		done(cut(host, "partner:nord"));
		if (is_empty)
			assert_int_equal(truncate(path_of(JOURNAL_FILE), 0), 0);
		else
			assert_int_equal(unlink(path_of(JOURNAL_FILE)), 0);
		journaling_close(host);
		assert_int_equal(journaling_open(host), 0);
		answer = request_answer(host, &me, "{\"request\":\"orders\"}", 20);
		assert_non_null(
			strstr(answer, is_empty ? "the file is empty" : "the file is gone"));
		free(answer);
		start_again(host);
		assert_non_null(strstr(digest_of_lines(host), "set-aside - - -; cut accepted c1"));
		assert_true(is_told(is_empty ? "the file is empty" : "the file is gone"));
		start_again(host); /* once */
		assert_null(strstr(digest_of_lines(host) + 1, "set-aside"));
	}
}

static bool is_there(struct host *host, const char *name)
{
	return faccessat(host->state_dir, name, F_OK, 0) == 0;
}

/* However many there are, and whatever the clock said when they were set aside. */
static void what_is_set_aside_stays(void **state)
{
	static const char *const before[] = {"journal.jsonl.damaged-99999999999999999997",
					     "journal.jsonl.damaged-99999999999999999998",
					     "journal.jsonl.damaged-99999999999999999999"};
	struct host *host = *state;
	json_object *list;

	for (size_t i = 0; i < 3; i++)
		close(openat(host->state_dir, before[i], O_WRONLY | O_CREAT, 0600));
	done(cut(host, "partner:nord"));
	done(cut(host, "partner:sued"));
	flip(300);
	start_again(host);
	list = lines(host);
	assert_int_equal(access(json_object_get_string(member(record_of(list, 0), "file")), F_OK),
			 0);
	json_object_put(list);
	for (size_t i = 0; i < 3; i++)
		assert_true(is_there(host, before[i]));
}

/* ---- list, show ----------------------------------------------------------------------------- */

static void a_list_tells_what_is_in_force(void **state)
{
	struct host *host = *state;
	json_object *answer, *orders;

	done(cut(host, "partner:nord"));
	done(cut(host, "all"));
	done(reopen(host, "partner:nord", NULL));
	answer = ask(host, "{\"request\":\"orders\"}");
	expect_code(answer, 0);
	orders = member(answer, "orders");
	assert_int_equal(json_object_array_length(orders), 3);
	assert_false(
		json_object_get_boolean(member(json_object_array_get_idx(orders, 0), "in_force")));
	assert_true(
		json_object_get_boolean(member(json_object_array_get_idx(orders, 1), "in_force")));
	assert_string_equal(
		json_object_get_string(member(json_object_array_get_idx(orders, 2), "id")), "j3");
	json_object_put(answer);
	flip(20);
	answer = ask(host, "{\"request\":\"orders\"}");
	expect_code(answer, 1);
	assert_int_equal(json_object_array_length(member(answer, "orders")), 0);
	assert_int_equal(json_object_get_int(member(member(answer, "fault"), "line")), 1);
	json_object_put(answer);
}

/* What ends by itself as well; but not what failed behind its line. */
static void so_is_what_loosens_for_a_while(void **state)
{
	static const char extend[] =
		"{\"request\":\"extend\",\"targets\":[\"partner:payer\"],\"grant\":\"bills\","
		"\"more_bytes\":1024,\"for_seconds\":60,\"reason\":\"why\"}";
	static const struct {
		const char *id;
		int in_force; /* -1: it does not say */
	} wanted[] = {{"o1", 0}, {"o2", 1}, {"j3", -1}, {"o3", 0}, {"j5", -1}};
	struct host *host = *state;
	json_object *answer, *one, *is;

	done(ask(host, extend));
	done(ask(host, "{\"request\":\"pause\",\"for_seconds\":60,\"reason\":\"why\"}"));
	done(ask(host, "{\"request\":\"end\",\"order\":\"o1\",\"reason\":\"enough\"}"));
	fake.fail_set_cuts = -EIO;
	refused(ask(host, extend), "kernel");
	fake.fail_set_cuts = 0;
	answer = ask(host, "{\"request\":\"orders\"}");
	expect_code(answer, 0);
	assert_int_equal(json_object_array_length(member(answer, "orders")), 5);
	for (size_t i = 0; i < 5; i++) {
		one = json_object_array_get_idx(member(answer, "orders"), i);
		assert_string_equal(json_object_get_string(member(one, "id")), wanted[i].id);
		if (!json_object_object_get_ex(one, "in_force", &is))
			assert_int_equal(wanted[i].in_force, -1);
		else
			assert_int_equal(json_object_get_boolean(is), wanted[i].in_force);
	}
	json_object_put(answer);
	refused(ask(host, "{\"request\":\"order\",\"id\":\"o9\"}"), "no order o9");
}

/* As the state directory has it: it holds again when a guard is loaded. */
static void a_latch_without_a_guard_is_in_force(void **state)
{
	struct host *host = *state;
	json_object *answer, *orders;

	latch("bills", "sftp", "payer", 5);
	host->journaling.has_new_latch = true;
	journaling_latches(host);
	host->is_daemon = false; /* a command saves, too */
	done(ask(host, "{\"request\":\"meters-save\"}"));
	fake.is_pinned = false;
	host->guard = NULL;
	for (int is_damaged = 0; is_damaged < 2; is_damaged++) {
		answer = ask(host, "{\"request\":\"orders\"}");
		expect_code(answer, 0);
		assert_false(json_object_get_boolean(member(answer, "guard")));
		orders = member(answer, "orders");
		assert_int_equal(json_object_array_length(orders), 1);
		orders = json_object_array_get_idx(orders, 0);
		if (is_damaged)
			assert_false(json_object_object_get_ex(orders, "in_force", NULL));
		else
			assert_true(json_object_get_boolean(member(orders, "in_force")));
		json_object_put(answer);
		assert_int_equal(truncate(path_of("latches"), 50), 0);
		assert_int_equal(truncate(path_of("latches.copy"), 50), 0);
	}
	host->guard = &fake;
}

static void an_order_is_shown_from_its_beginning_to_its_end(void **state)
{
	struct host *host = *state;
	json_object *answer;

	done(cut(host, "class:hospital"));
	done(cut(host, "strangers"));
	done(reopen(host, "partner:nord", NULL));
	answer = ask(host, "{\"request\":\"order\",\"id\":\"c1\"}");
	expect_code(answer, 0);
	assert_int_equal(json_object_array_length(member(answer, "lines")), 2);
	assert_int_equal(json_object_array_length(member(answer, "except")), 1);
	json_object_put(answer);
	fake.fail_set_cuts = -EIO;
	refused(reopen(host, "class:hospital", NULL), "kernel");
	fake.fail_set_cuts = 0;
	answer = ask(host, "{\"request\":\"order\",\"id\":\"c1\"}");
	assert_int_equal(json_object_array_length(member(answer, "lines")), 4);
	json_object_put(answer);
	answer = ask(host, "{\"request\":\"order\",\"id\":\"j2\"}");
	assert_int_equal(json_object_array_length(member(answer, "lines")), 1);
	json_object_put(answer);
	refused(ask(host, "{\"request\":\"order\",\"id\":\"c9\"}"), "no order c9");
	refused(ask(host, "{\"request\":\"order\",\"id\":\"nord\"}"), "no order: ");
	refused(ask(host, "{\"request\":\"order\",\"id\":\"\"}"), "no order: ");
}

/* ---- the record ----------------------------------------------------------------------------- */

static void a_signed_order_has_its_body_and_signers(void **state)
{
	const struct journal_signature signature[] = {{"alice", "SHA256:aaaa"},
						      {"bob", "SHA256:bbbb"}};
	const struct journal_order order = {.kind = "reopen",
					    .body_sha256 = "0123",
					    .signature = signature,
					    .signature_count = 2};
	struct host *host = *state;
	json_object *list, *record;

	assert_int_equal(journaling_after(host, &order, 1), 0);
	list = lines(host);
	record = record_of(list, 0);
	assert_string_equal(json_object_get_string(member(record, "source")), "signed");
	assert_string_equal(json_object_get_string(member(record, "body_sha256")), "0123");
	assert_int_equal(json_object_array_length(member(record, "signatures")), 2);
	json_object_put(list);
}

#define on_a_host(test) cmocka_unit_test_setup_teardown(test, host_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_a_host(orders_have_their_lines),
		on_a_host(a_dry_run_and_nonsense_have_none),
		on_a_host(other_orders_too),
		on_a_host(a_refusal_says_why),
		on_a_host(refusals_fill_no_disk),
		on_a_host(an_agents_refusals_take_no_room),
		on_a_host(what_loosens_is_not_done_without_its_line),
		on_a_host(no_policy_comes_without_its_line),
		on_a_host(a_trial_ends_also_without_its_line),
		on_a_host(a_cut_holds_and_its_line_waits),
		on_a_host(so_many_wait_and_the_others_are_counted),
		on_a_host(an_order_that_fails_behind_its_line_says_so),
		on_a_host(an_end_is_told_once),
		on_a_host(what_is_in_force_without_a_line_gets_one),
		on_a_host(what_could_not_be_looked_for_is_looked_for_again),
		on_a_host(a_latch_that_could_not_be_read_has_its_line_later),
		on_a_host(a_latch_has_its_line_and_each_new_one_too),
		on_a_host(a_damaged_journal_is_set_aside),
		on_a_host(a_cut_over_a_damaged_journal_is_one),
		on_a_host(a_journal_that_is_gone_is_told),
		on_a_host(what_is_set_aside_stays),
		on_a_host(a_list_tells_what_is_in_force),
		on_a_host(so_is_what_loosens_for_a_while),
		on_a_host(a_latch_without_a_guard_is_in_force),
		on_a_host(an_order_is_shown_from_its_beginning_to_its_end),
		on_a_host(a_signed_order_has_its_body_and_signers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
