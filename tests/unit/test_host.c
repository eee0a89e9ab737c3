/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_host.c - cut, reopen, apply and the clock on a fake guard: what is done in which order, and
 * what holds when a step fails.
 */
#include "tests/unit/ordering.h"

#include <fcntl.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/clock.h"
#include "user/daemon/cover.h"
#include "user/daemon/cutting.h"
#include "user/daemon/paths.h"
#include "user/daemon/recovering.h"
#include "user/daemon/stand_in.h"
#include "user/policy/target.h"

static bool is_saved(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/unit/orders.json", state_root);
	return access(path, F_OK) == 0;
}

/* The file system's answer to a full disk; root writes anywhere, so a directory stands in the way.
 */
static void block_saving(bool is_blocked)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/unit/orders.json", state_root);
	unlink(path);
	if (is_blocked)
		assert_int_equal(mkdir(path, 0700), 0);
	else
		rmdir(path);
}

/* ---- cut ------------------------------------------------------------------------------------ */

static void a_cut_is_in_the_kernel_first(void **state)
{
	json_object *answer;

	fake.sever.ended = 5;
	answer = cut(*state, "partner:nord");
	expect_code(answer, 0);
	assert_string_equal(fake.calls, "set_orders set_cuts sever");
	assert_int_equal(json_object_get_int(member(answer, "ended")), 5);
	assert_int_equal(fake.cut_count, 1);
	assert_int_equal(fake.cuts[0].target, WEIR_TARGET_PARTNER);
	assert_string_equal(fake.orders[0].target, "partner:nord");
	assert_string_equal(fake.orders[0].by, "me");
	assert_int_equal(fake.locked, 0);
	assert_true(is_saved());
	json_object_put(answer);
}

static void a_cut_that_cannot_be_saved_holds(void **state)
{
	json_object *answer;

	block_saving(true);
	answer = cut(*state, "all");
	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")), "not saved"));
	assert_false(json_object_get_boolean(member(answer, "saved")));
	assert_string_equal(fake.calls, "set_orders set_cuts sever");
	assert_int_equal(fake.order_count, 1);
	json_object_put(answer);
	block_saving(false);
}

static void a_cut_that_the_kernel_refuses_is_none(void **state)
{
	json_object *answer;

	fake.fail_set_cuts = -EIO;
	answer = cut(*state, "all");
	expect_code(answer, 1);
	assert_string_equal(fake.calls, "set_orders set_cuts set_orders");
	assert_int_equal(fake.order_count, 0);
	assert_false(is_saved());
	json_object_put(answer);
}

static void one_unknown_target_stops_all(void **state)
{
	json_object *answer = ask(*state, "{\"request\":\"cut\",\"targets\":[\"partner:nord\","
					  "\"partner:nort\"],\"reason\":\"why\"}");

	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")), "nord"));
	assert_string_equal(fake.calls, "");
	json_object_put(answer);
}

static void a_dry_run_only_looks(void **state)
{
	json_object *answer = ask(*state, "{\"request\":\"cut\",\"targets\":[\"all\"],"
					  "\"reason\":\"why\",\"dry_run\":true}");

	expect_code(answer, 0);
	assert_string_equal(fake.calls, "stage_cuts look");
	assert_int_equal(json_object_array_length(member(answer, "sockets")), 1);
	assert_int_equal(fake.order_count, 0);
	json_object_put(answer);
}

static void a_cut_ends_by_itself(void **state)
{
	struct host *host = *state;

	done(ask(host, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"why\","
		       "\"for_seconds\":60}"));
	assert_true(host_end_orders(host) > host_wall(host));
	assert_int_equal(fake.cut_count, 1);
	fake.control.wall_offset_ns += INT64_C(61) * 1000000000;
	assert_int_equal(host_end_orders(host), 0);
	assert_int_equal(fake.cut_count, 0);
	assert_int_equal(fake.order_count, 0);
}

static void orders_of_another_process_are_seen(void **state)
{
	done(cut(*state, "partner:nord"));
	/* a command without a daemon adds one behind our back */
	fake.orders[1] = (struct weir_order){.id = 2, .target = "partner:sued", .reason = "x"};
	fake.order_count = 2;
	fake_raise();
	done(cut(*state, "partner:payer"));
	assert_int_equal(fake.order_count, 3);
	assert_int_equal(fake.orders[2].id, 3);
	assert_int_equal(fake.cut_count, 3);
}

/* ---- reopen --------------------------------------------------------------------------------- */

static void the_same_target_takes_the_cut_out(void **state)
{
	done(cut(*state, "class:hospital"));
	fake.calls[0] = '\0';
	done(reopen(*state, "class:hospital", NULL));
	assert_string_equal(fake.calls, "set_cuts set_orders");
	assert_int_equal(fake.order_count, 0);
	assert_int_equal(fake.cut_count, 0);
}

static void a_part_becomes_an_exception(void **state)
{
	json_object *answer, *first;

	done(cut(*state, "all"));
	answer = reopen(*state, "partner:nord", NULL);
	expect_code(answer, 0);
	first = json_object_array_get_idx(member(answer, "reopened"), 0);
	assert_string_equal(json_object_get_string(member(first, "how")), "exception");
	assert_int_equal(fake.cut_count, 2);
	assert_true(fake.cuts[1].is_exception);
	assert_int_equal(fake.orders[1].parent, 1);
	json_object_put(answer);
	done(reopen(*state, "all", NULL));
	assert_int_equal(fake.order_count, 0);
}

static void what_still_holds_is_told(void **state)
{
	json_object *answer, *holding;

	done(cut(*state, "class:hospital"));
	done(cut(*state, "service:sftp"));
	answer = reopen(*state, "partner:nord", NULL);
	expect_code(answer, 0);
	assert_int_equal(fake.order_count, 3);
	holding = json_object_array_get_idx(member(answer, "holding"), 0);
	assert_string_equal(json_object_get_string(member(holding, "id")), "c2");
	assert_string_equal(json_object_get_string(member(holding, "how")), "part");
	json_object_put(answer);
}

static void by_its_number_a_part_is_let_back_too(void **state)
{
	json_object *answer;

	done(cut(*state, "service:sftp"));
	answer = reopen(*state, "partner:nord", NULL);
	expect_code(answer, 1);
	assert_int_equal(fake.order_count, 1);
	json_object_put(answer);
	done(reopen(*state, "partner:nord", "c1"));
	assert_int_equal(fake.order_count, 2);
	answer = reopen(*state, "service:portal", "c1");
	expect_code(answer, 1);
	json_object_put(answer);
	answer = reopen(*state, NULL, "c9");
	expect_code(answer, 1);
	json_object_put(answer);
	done(reopen(*state, NULL, "c1"));
	assert_int_equal(fake.order_count, 0);
}

static void a_reopening_that_cannot_be_saved_is_none(void **state)
{
	struct host *host = *state;
	json_object *answer;

	done(cut(*state, "partner:nord"));
	fake.calls[0] = '\0';
	block_saving(true);
	answer = reopen(*state, "partner:nord", NULL);
	expect_code(answer, 1);
	assert_string_equal(fake.calls, "");
	assert_int_equal(fake.cut_count, 1);
	assert_int_equal(fake.order_count, 1);
	assert_true(host->has_unsaved_orders); /* what the disk has now is not known */
	json_object_put(answer);
	block_saving(false);
}

static void nothing_to_reopen_is_told(void **state)
{
	json_object *answer = reopen(*state, "partner:nord", NULL);

	expect_code(answer, 1);
	assert_non_null(
		strstr(json_object_get_string(member(answer, "problem")), "nothing to reopen"));
	json_object_put(answer);
	answer = reopen(*state, "partner:nort", NULL);
	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")), "nord"));
	json_object_put(answer);
}

/* ---- latches -------------------------------------------------------------------------------- */

static void a_latch_is_a_cut_of_the_guard(void **state)
{
	json_object *answer, *first;

	latch("bills", "sftp", "payer", boot_now());
	latch("nightly", "sftp", "nord", boot_now());
	answer = ask(*state, "{\"request\":\"status\"}");
	expect_code(answer, 0);
	assert_int_equal(json_object_array_length(member(answer, "cuts")), 2);
	first = json_object_array_get_idx(member(answer, "cuts"), 0);
	assert_string_equal(json_object_get_string(member(first, "by")), "guard");
	assert_string_equal(json_object_get_string(member(first, "target")), "grant:bills");
	json_object_put(answer);
	done(reopen(*state, "partner:payer", NULL));
	assert_int_equal(fake.meters[0].severed_ns, 0);
	assert_int_not_equal(fake.meters[1].severed_ns, 0);
	assert_string_equal(fake.calls, "clear_latch");
}

static struct weir_meter *latch_slot(uint64_t service_key)
{
	struct weir_meter *meter = &fake.meters[fake.meter_count];

	meter->grant_key = service_key ? WEIR_KEY_PEER : 0;
	meter->service_key = service_key;
	meter->severed_ns = boot_now();
	fake.meter_keys[fake.meter_count++] = WEIR_KEY_PEER;
	return meter;
}

static void strangers_of_one_service_are_let_back_alone(void **state)
{
	const struct weir_meter *sftp = latch_slot(image_key("service", "sftp"));
	const struct weir_meter *portal = latch_slot(image_key("service", "portal"));
	const struct weir_meter *unknown = latch_slot(0); /* severed since nobody knew who was */
	json_object *answer = ask(*state, "{\"request\":\"status\"}"), *cuts;
	char id[24];

	cuts = member(answer, "cuts");
	assert_int_equal(json_object_array_length(cuts), 3);
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(json_object_get_string(member(
							json_object_array_get_idx(cuts, i), "id")),
						json_object_get_string(member(
							json_object_array_get_idx(cuts, j), "id")));
	json_object_put(answer);
	done(reopen(*state, "strangers@service:sftp", NULL));
	assert_int_equal(sftp->severed_ns, 0);
	assert_int_not_equal(portal->severed_ns, 0);
	assert_int_not_equal(unknown->severed_ns, 0);
	latch_format(weir_meter_key(WEIR_KEY_PEER, portal->service_key, 0), id, sizeof(id));
	done(reopen(*state, NULL, id));
	assert_int_equal(portal->severed_ns, 0);
	assert_int_not_equal(unknown->severed_ns, 0);
	done(reopen(*state, "strangers", NULL));
	assert_int_equal(unknown->severed_ns, 0);
}

static void a_latch_opens_by_its_number_alone(void **state)
{
	char id[24];

	latch("nightly", "sftp", "nord", boot_now());
	latch("nightly", "sftp", "sued", boot_now());
	latch_format(fake.meter_keys[1], id, sizeof(id));
	done(reopen(*state, NULL, id));
	assert_int_not_equal(fake.meters[0].severed_ns, 0);
	assert_int_equal(fake.meters[1].severed_ns, 0);
}

static void a_latch_that_does_not_open_is_told(void **state)
{
	json_object *answer;

	latch("bills", "sftp", "payer", boot_now());
	fake.fail_clear = -EIO;
	answer = reopen(*state, "partner:payer", NULL);
	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")), strerror(EIO)));
	json_object_put(answer);
	done(cut(*state, "partner:payer"));
	answer = reopen(*state, "partner:payer", NULL);
	expect_code(answer, 1);
	assert_int_equal(json_object_array_length(member(answer, "reopened")), 1);
	json_object_put(answer);
	fake.fail_clear = 0;
	done(reopen(*state, "partner:payer", NULL));
	assert_int_equal(fake.meters[0].severed_ns, 0);
}

/* ---- sums ----------------------------------------------------------------------------------- */

static void account(uint64_t grant, const char *service, const char *partner, uint64_t bytes)
{
	struct weir_meter *meter = &fake.meters[fake.meter_count];

	meter->grant_key = grant;
	meter->service_key = service ? image_key("service", service) : 0;
	meter->partner_key = partner ? image_key("partner", partner) : 0;
	meter->sent_bytes[WEIR_SERVES] = bytes;
	meter->refused_bytes = 1;
	meter->refused_packets = 1;
	fake.meter_keys[fake.meter_count++] =
		weir_meter_key(grant, meter->service_key, meter->partner_key);
}

static json_object *named(json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *entry = json_object_array_get_idx(list, i);

		if (strcmp(json_object_get_string(member(entry, "name")), name) == 0)
			return entry;
	}
	fail_msg("no %s", name);
	return NULL;
}

static void nothing_is_counted_twice(void **state)
{
	json_object *answer, *entry;

	account(image_key("grant", "nightly"), "sftp", "nord", 100);
	account(WEIR_KEY_LIFELINE, "sftp", NULL, 10);
	account(WEIR_KEY_STRANGERS, "sftp", NULL, 7);
	account(WEIR_KEY_CEILING, "sftp", NULL, 1000);
	account(WEIR_KEY_TOTAL, "sftp", NULL, 1000);
	account(image_key("grant", "gone"), "gone", "gone", 5);
	account(WEIR_KEY_EDGE, NULL, "nord", 0);
	answer = ask(*state, "{\"request\":\"status\"}");
	expect_code(answer, 0);
	entry = named(member(answer, "services"), "sftp");
	assert_int_equal(json_object_get_int(member(entry, "sent_bytes")), 117);
	assert_int_equal(json_object_get_int(member(member(entry, "strangers"), "sent_bytes")), 7);
	entry = named(member(answer, "partners"), "nord");
	assert_int_equal(json_object_get_int(member(entry, "sent_bytes")), 100);
	assert_int_equal(json_object_get_int(member(entry, "refused_packets")), 1);
	assert_int_equal(json_object_get_int(member(entry, "edge_dropped_packets")), 1);
	entry = member(member(answer, "former"), "partners");
	assert_int_equal(json_object_get_int(member(entry, "sent_bytes")), 5);
	member(member(answer, "lost"), "events_unwritten");
	json_object_put(answer);
}

/* ---- apply ---------------------------------------------------------------------------------- */

/* The policy without one partner. */
static char *without(const char *name)
{
	char *text = strdup(a_policy), *line = strstr(text, name), *end = strchr(line, '\n');

	while (line > text && line[-1] != '\n')
		line--;
	memmove(line, end + 1, strlen(end + 1) + 1);
	return text;
}

static void a_policy_that_drops_the_object_of_a_cut_is_refused(void **state)
{
	char *text = without("sued:");
	json_object *answer;

	done(cut(*state, "partner:sued"));
	answer = apply(*state, text, "{}");
	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")), "c1"));
	assert_null(strstr(fake.calls, "apply"));
	json_object_put(answer);
	done(reopen(*state, "partner:sued", NULL));
	answer = apply(*state, text, "{}");
	expect_code(answer, 0);
	assert_non_null(strstr(fake.calls, "apply"));
	json_object_put(answer);
	free(text);
}

static void cuts_are_compiled_against_the_new_policy(void **state)
{
	done(cut(*state, "partner:payer"));
	done(apply(*state, a_policy, "{}"));
	assert_int_equal(fake.cut_count, 1);
}

static void a_policy_that_cuts_the_caller_off_needs_a_yes(void **state)
{
	static const char own[] = "{\"own\":{\"peer\":\"192.0.2.9\",\"port\":22,\"cgroup\":"
				  "\"/system.slice/sftp.service\"}}";
	static const char own_agreed[] =
		"{\"agreed\":true,\"own\":{\"peer\":\"192.0.2.9\",\"port\":22,\"cgroup\":"
		"\"/system.slice/sftp.service\"}}";
	char *text = strdup(a_policy);
	json_object *answer;

	memcpy(strstr(text, "serves: [64KiB/10m]"), "serves: deny       ", 19);
	answer = apply(*state, text, own);
	expect_code(answer, 1);
	assert_non_null(
		strstr(json_object_get_string(member(answer, "problem")), "your own connection"));
	assert_string_equal(fake.calls, "");
	json_object_put(answer);
	done(apply(*state, text, own_agreed));
	done(apply(*state, a_policy, own));
	free(text);
}

static void a_trial_goes_back(void **state)
{
	struct host *host = *state;
	char *text = without("payer: {");
	char *bills = strstr(text, "  - {name: bills");

	*strchr(bills, '\n') = ' ';
	memset(bills, ' ', strstr(text, "strangers") - bills - 1);
	bills[strstr(text, "strangers") - bills - 1] = '\n';
	done(apply(host, a_policy, "{}"));
	done(apply(host, text, "{\"confirm_seconds\":60}"));
	assert_int_not_equal(host->trial_until_ns, 0);
	assert_int_equal(image_partner(&host->image, "payer"), WEIR_ANY);
	done(ask(host, "{\"request\":\"rollback\"}"));
	assert_int_equal(host->trial_until_ns, 0);
	assert_int_not_equal(image_partner(&host->image, "payer"), WEIR_ANY);
	done(apply(host, text, "{\"confirm_seconds\":60}"));
	done(ask(host, "{\"request\":\"confirm\"}"));
	assert_int_equal(image_partner(&host->image, "payer"), WEIR_ANY);
	done(ask(host, "{\"request\":\"rollback\"}")); /* to the one before */
	assert_int_not_equal(image_partner(&host->image, "payer"), WEIR_ANY);
	free(text);
}

/* A directory stands in the way of the last file that confirming writes. */
static void what_is_confirmed_in_part_is_on_trial_no_more(void **state)
{
	struct host *host = *state;
	char *text = strdup(a_policy), path[96];
	json_object *answer;

	memcpy(strstr(text, "name: test") + 6, "next", 4);
	done(apply(host, a_policy, "{}"));
	done(apply(host, text, "{\"confirm_seconds\":60}"));
	snprintf(path, sizeof(path), "%s/unit/applied.digest", state_root);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	answer = ask(host, "{\"request\":\"confirm\"}");
	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")), "confirmed"));
	json_object_put(answer);
	assert_int_equal(host->trial_until_ns, 0);
	assert_int_equal(rmdir(path), 0);
	done(ask(host, "{\"request\":\"rollback\"}"));
	assert_string_equal(host->image.name, "test");
	free(text);
}

static void a_policy_that_the_kernel_refuses_leaves_no_trace(void **state)
{
	struct host *host = *state;
	char path[96];
	json_object *answer;

	fake.fail_apply = -ENOMEM;
	answer = apply(host, a_policy, "{}");
	expect_code(answer, 1);
	json_object_put(answer);
	snprintf(path, sizeof(path), "%s/unit/applied.json", state_root);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/unit/new.json", state_root);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- what a killed writer left -------------------------------------------------------------- */

static bool leave_part(const char *name, time_t age)
{
	const struct timespec times[2] = {{.tv_sec = time(NULL) - age},
					  {.tv_sec = time(NULL) - age}};
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/unit/%s", state_root, name);
	file = fopen(path, "w");
	return file && fclose(file) == 0 && utimensat(AT_FDCWD, path, times, 0) == 0;
}

static bool is_there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/unit/%s", state_root, name);
	return access(path, F_OK) == 0;
}

static void old_parts_are_swept(void **state)
{
	assert_true(leave_part("orders.json.part-aaaaaa", 3600));
	assert_true(leave_part("orders.json.part-bbbbbb", 0)); /* somebody writes it right now */
	assert_true(leave_part("orders.json.copy", 3600));
	state_sweep(*state);
	assert_false(is_there("orders.json.part-aaaaaa"));
	assert_true(is_there("orders.json.part-bbbbbb"));
	assert_true(is_there("orders.json.copy"));
}

/* ---- the clock ------------------------------------------------------------------------------ */

static void a_step_closes_the_hours_until_it_is_confirmed(void **state)
{
	struct host *host = *state;

	assert_false(clock_check(host));
	fake.control.wall_offset_ns -= INT64_C(59) * 1000000000;
	assert_false(clock_check(host));
	fake.control.wall_offset_ns -= INT64_C(2) * 1000000000;
	assert_true(clock_check(host));
	assert_true(fake.control.hours_closed);
	assert_true(clock_needs_confirmation(host, NULL)); /* over a reboot too */
	assert_false(clock_check(host));		   /* told once */
	done(ask(host, "{\"request\":\"confirm-clock\",\"reason\":\"NTP was down\"}"));
	assert_false(fake.control.hours_closed);
	assert_false(clock_needs_confirmation(host, NULL));
	assert_false(clock_check(host));
}

/* It may have said that the hours are closed. */
static void a_clock_file_that_cannot_be_read_closes_the_hours(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"null",
		"{}",
		"{\"hours_closed\":true",
		"{\"wall_ns\":1}",
		"{\"hours_closed\":false}",
		"{\"wall_ns\":1,\"hours_closed\":0}",
		"{\"wall_ns\":\"1\",\"hours_closed\":false}",
		"{\"wall_ns\":1,\"hours_closed\":false} and more",
	};
	struct host *host = *state;

	assert_false(clock_needs_confirmation(host, NULL)); /* there is none */
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd = openat(host->state_dir, "clock.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_true(write(fd, texts[i], strlen(texts[i])) == (ssize_t)strlen(texts[i]));
		close(fd);
		assert_true(clock_needs_confirmation(host, NULL));
	}
	assert_int_equal(clock_save(host), 0);
	assert_false(clock_needs_confirmation(host, NULL));
}

/* It says how much left without a guard: all of it, or nothing. */
static void a_marker_that_is_not_whole_is_damaged(void **state)
{
	static const struct {
		const char *from, *to;
	} edits[] = {
		{"\"closed\"", "\"opened\""},	     {"\"mode\"", "\"mood\""},
		{"\"since\":5", "\"since\":-5"},     {"\"since\":5", "\"since\":9223372037"},
		{"\"why\":\"nft\"", "\"why\":null"}, {"\"sha256\"", "\"sha255\""},
		{"bytes\":7", "bytes\":\"7\""},	     {"}", "}}"},
	};
	struct stand_in good = {.mode = STAND_IN_CLOSED,
				.why = "nft",
				.since_ns = 5000000000,
				.offset_ns = -6,
				.passed_bytes = 7,
				.refused_bytes = 8},
			read;
	_cleanup_free_ char *path = path_run("unit", ".without-guard"), *text = NULL;
	size_t length;

	(void)state;
	assert_int_equal(stand_in_write("unit", &good), 0);
	assert_int_equal(stand_in_read("unit", &read), 0);
	assert_int_equal(read.mode, STAND_IN_CLOSED);
	assert_int_equal(read.offset_ns, -6);
	assert_int_equal(read.since_ns, 5000000000);
	assert_int_equal(read.passed_bytes, 7);
	assert_int_equal(file_read(path, 4096, &text, &length), 0);
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		_cleanup_free_ char *bad = NULL;
		char *at = strstr(text, edits[i].from);

		assert_non_null(at);
		assert_true(asprintf(&bad, "%.*s%s%s", (int)(at - text), text, edits[i].to,
				     at + strlen(edits[i].from)) > 0);
		assert_int_equal(file_write_atomic(path, bad, strlen(bad), 0600), 0);
		if (stand_in_read("unit", &read) != -EBADMSG)
			fail_msg("read: %s", bad);
	}
}

static void a_clock_behind_the_last_known_time_is_a_step(void **state)
{
	struct host *host = *state;

	fake.control.wall_offset_ns += INT64_C(3600) * 1000000000; /* it was an hour later */
	assert_int_equal(clock_save(host), 0);
	assert_true(clock_needs_confirmation(host, &host->clock_doubt));
	assert_in_range(host->clock_doubt.behind_ns, INT64_C(3590) * 1000000000,
			INT64_C(3600) * 1000000000);
	clock_tell_doubt(host);
	assert_told(host, "the clock is 59m"); /* and some seconds */
}

/* What the guard was loaded with is told, though nothing steps while the daemon looks. */
static void a_doubt_about_the_clock_is_told(void **state)
{
	struct host *host = *state;
	int fd = openat(host->state_dir, "clock.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, "{", 1), 1);
	close(fd);
	assert_true(clock_needs_confirmation(host, &host->clock_doubt));
	clock_tell_doubt(host);
	assert_told(host, "hours are closed until `weir confirm clock`");
	assert_int_equal(faccessat(host->state_dir, "clock.json.damaged", F_OK, 0), 0);
	assert_true(clock_needs_confirmation(host, NULL)); /* also when it ends here */
	fake.control.hours_closed = true;
	assert_int_equal(clock_save(host), 0);
	assert_true(clock_needs_confirmation(host, &host->clock_doubt));
	clock_tell_doubt(host);
	assert_told(host, "hours were closed before");
}

/* ---- pure helpers --------------------------------------------------------------------------- */

static void covers(void **state)
{
	static const struct {
		const char *cut, *target;
		enum cover cover;
	} expected[] = {
		{"all", "all", COVER_SAME},
		{"all", "partner:nord", COVER_WHOLE},
		{"all", "addr:203.0.113.0/24", COVER_WHOLE},
		{"all@service:sftp", "partner:nord", COVER_PART},
		{"all@service:sftp", "partner:nord@service:sftp", COVER_WHOLE},
		{"all@service:sftp", "partner:nord@service:portal", COVER_NONE},
		{"partner:nord", "partner:nord", COVER_SAME},
		{"partner:nord", "partner:sued", COVER_NONE},
		{"partner:nord", "partner:nord@service:sftp", COVER_WHOLE},
		{"partner:nord@service:sftp", "partner:nord", COVER_PART},
		{"partner:nord", "addr:198.51.100.2", COVER_WHOLE},
		{"partner:nord", "addr:198.51.100.18", COVER_NONE},
		{"partner:nord", "addr:198.51.100.0/24", COVER_PART},
		{"partner:nord", "service:sftp", COVER_PART},
		{"service:sftp", "service:sftp", COVER_SAME},
		{"service:sftp", "service:portal", COVER_NONE},
		{"service:sftp", "partner:nord", COVER_PART},
		{"service:sftp", "partner:nord@service:sftp", COVER_WHOLE},
		{"service:sftp", "addr:192.0.2.1@service:sftp", COVER_WHOLE},
		{"class:hospital", "partner:nord", COVER_WHOLE},
		{"class:hospital", "partner:payer", COVER_NONE},
		{"class:hospital", "addr:198.51.100.33", COVER_NONE},
		{"class:exchange", "partner:payer", COVER_PART},
		{"class:exchange", "addr:198.51.100.33", COVER_PART},
		{"class:hospital", "addr:198.51.100.2", COVER_WHOLE},
		{"class:exchange", "service:sftp", COVER_WHOLE},
		{"class:exchange", "partner:payer@service:sftp", COVER_WHOLE},
		{"class:exchange", "addr:198.51.100.33@service:sftp", COVER_WHOLE},
		{"class:hospital", "class:exchange", COVER_PART},
		{"grant:bills", "grant:bills", COVER_SAME},
		{"grant:bills", "grant:nightly", COVER_NONE},
		{"grant:bills", "strangers", COVER_NONE},
		{"strangers", "addr:203.0.113.7", COVER_WHOLE},
		{"strangers", "addr:198.51.100.2", COVER_PART},
		{"strangers", "partner:nord", COVER_PART},
		{"addr:198.51.100.0/24", "addr:198.51.100.2", COVER_WHOLE},
		{"addr:198.51.100.2", "addr:198.51.100.0/24", COVER_PART},
		{"addr:198.51.100.2", "addr:198.51.100.3", COVER_NONE},
		{"addr:198.51.100.0/24", "partner:nord", COVER_PART},
		{"addr:::/0", "addr:198.51.100.2", COVER_NONE},
		{"addr:0.0.0.0/0", "addr:198.51.100.2", COVER_WHOLE},
	};
	const struct host *host = *state;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct weir_cut_entry wide, narrow;
		char *why;

		assert_int_equal(target_resolve(&host->image, expected[i].cut, &wide, &why), 0);
		assert_int_equal(target_resolve(&host->image, expected[i].target, &narrow, &why),
				 0);
		if (cover_of(&host->image, &wide, &narrow) != expected[i].cover)
			fail_msg("%s over %s: %d", expected[i].cut, expected[i].target,
				 cover_of(&host->image, &wide, &narrow));
	}
}

#define on_a_host(test) cmocka_unit_test_setup_teardown(test, host_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_a_host(a_cut_is_in_the_kernel_first),
		on_a_host(a_cut_that_cannot_be_saved_holds),
		on_a_host(a_cut_that_the_kernel_refuses_is_none),
		on_a_host(one_unknown_target_stops_all),
		on_a_host(a_dry_run_only_looks),
		on_a_host(a_cut_ends_by_itself),
		on_a_host(orders_of_another_process_are_seen),
		on_a_host(the_same_target_takes_the_cut_out),
		on_a_host(a_part_becomes_an_exception),
		on_a_host(what_still_holds_is_told),
		on_a_host(by_its_number_a_part_is_let_back_too),
		on_a_host(a_reopening_that_cannot_be_saved_is_none),
		on_a_host(nothing_to_reopen_is_told),
		on_a_host(a_latch_is_a_cut_of_the_guard),
		on_a_host(strangers_of_one_service_are_let_back_alone),
		on_a_host(a_latch_opens_by_its_number_alone),
		on_a_host(a_latch_that_does_not_open_is_told),
		on_a_host(nothing_is_counted_twice),
		on_a_host(a_policy_that_drops_the_object_of_a_cut_is_refused),
		on_a_host(cuts_are_compiled_against_the_new_policy),
		on_a_host(a_policy_that_cuts_the_caller_off_needs_a_yes),
		on_a_host(a_trial_goes_back),
		on_a_host(what_is_confirmed_in_part_is_on_trial_no_more),
		on_a_host(a_policy_that_the_kernel_refuses_leaves_no_trace),
		on_a_host(old_parts_are_swept),
		on_a_host(a_step_closes_the_hours_until_it_is_confirmed),
		on_a_host(a_clock_file_that_cannot_be_read_closes_the_hours),
		on_a_host(a_marker_that_is_not_whole_is_damaged),
		on_a_host(a_doubt_about_the_clock_is_told),
		on_a_host(a_clock_behind_the_last_known_time_is_a_step),
		on_a_host(covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
