/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_interim.c - a policy that is in force for a while: what it excludes, what ends it, and what
 * is left of it after a reboot, by whatever clock.
 */
#include "tests/unit/a_host.h"
#include "tests/unit/ordering.h"

#include "user/base/file.h"
#include "user/daemon/interim.h"
#include "user/daemon/store.h"

static struct applied trial(void)
{
	struct applied applied = {0};
	char path[96];

	snprintf(path, sizeof(path), "%s/unit/trial.json", state_root);
	assert_int_equal(applied_load(path, &applied), 0);
	return applied;
}

static void write_trial(struct host *host, struct applied *applied)
{
	assert_int_equal(interim_save(host, applied), 0);
	applied_free(applied);
}

/* As after a reboot: the boot times are of another. Its wall end is `left` from now. */
static void reboot(struct host *host, int64_t left_ns, uint64_t span_ns)
{
	struct applied applied = trial();

	memset(applied.trial_boot, '0', sizeof(applied.trial_boot) - 1);
	applied.until_ns = wall_now() + left_ns;
	applied.applied_ns = applied.until_ns - span_ns;
	write_trial(host, &applied);
	interim_clear(host);
}

static void write_clock(int64_t ahead_ns)
{
	char path[96], text[96];

	snprintf(path, sizeof(path), "%s/unit/clock.json", state_root);
	snprintf(text, sizeof(text), "{\"wall_ns\":%lld,\"hours_closed\":false}\n",
		 (long long)(wall_now() + ahead_ns));
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

/* What is left in seconds; -1: nothing, it is over. */
static int64_t left(struct host *host)
{
	struct applied applied = {0};
	uint64_t until;

	if (interim_load(host, &applied) < 0)
		return -1;
	assert_true(is_this_boot(applied.trial_boot));
	until = applied.trial_until_ns;
	applied_free(&applied);
	return (until - boot_now()) / NS_PER_SECOND;
}

/* The kinds of the journal's lines, refused ones too. */
static void expect_kinds(struct host *host, const char *wanted)
{
	json_object *answer = ask(host, "{\"request\":\"orders\"}");
	json_object *lines = member(answer, "orders");
	char kinds[256] = "";

	for (size_t i = 0; i < json_object_array_length(lines); i++) {
		json_object *record = member(json_object_array_get_idx(lines, i), "record");

		if (i)
			strcat(kinds, " ");
		strcat(kinds, json_object_get_string(member(record, "kind")));
	}
	assert_string_equal(kinds, wanted);
	json_object_put(answer);
}

static void it_is_in_force_until_its_end_and_told_before(void **state)
{
	struct host *host = *state;
	uint64_t at, now = boot_now();
	json_object *answer, *policy, *interim;

	done(apply_named(host, "good", 0));
	done(apply_for(host, "lock", 6000));
	assert_string_equal(host->image.name, "lock");
	at = interim_tell_due(host, now);
	assert_true(host->trial_until_ns - at == 10 * NS_PER_MINUTE);
	assert_int_equal(interim_tell_due(host, at), 0);
	assert_int_equal(interim_tell_due(host, at), 0); /* once */
	answer = ask(host, "{\"request\":\"status\"}");
	policy = member(answer, "policy");
	interim = member(policy, "interim");
	assert_string_equal(json_object_get_string(member(interim, "reason")), "an emergency");
	assert_string_equal(json_object_get_string(member(member(interim, "back_to"), "name")),
			    "good");
	assert_in_range(json_object_get_int(member(interim, "seconds_left")), 5990, 6000);
	assert_null(json_object_object_get(policy, "trial_seconds_left"));
	json_object_put(answer);
	done(apply_for(host, "span", 60));
	at = interim_tell_due(host, now);
	assert_true(host->trial_until_ns - at == 6 * NS_PER_SECOND); /* a tenth */
}

static void rollback_ends_it_and_confirm_keeps_it(void **state)
{
	struct host *host = *state;

	done(apply_named(host, "good", 0));
	done(apply_for(host, "lock", 600));
	done(ask(host, "{\"request\":\"rollback\"}"));
	assert_string_equal(host->image.name, "good");
	assert_int_equal(host->interim_until_ns, 0);
	assert_int_equal(left(host), -1);
	done(apply_for(host, "lock", 600));
	done(ask(host, "{\"request\":\"confirm\"}"));
	assert_string_equal(host->image.name, "lock");
	assert_int_equal(host->interim_until_ns + host->trial_until_ns, 0);
	assert_int_equal(left(host), -1);
	refused(ask(host, "{\"request\":\"confirm\"}"), "no policy is on trial");
	done(ask(host, "{\"request\":\"rollback\"}")); /* to the one before, which was applied */
	assert_string_equal(host->image.name, "good");
	expect_kinds(host, "apply interim rollback interim confirm confirm rollback");
}

static void one_policy_at_a_time_waits_for_its_end(void **state)
{
	struct host *host = *state;

	done(apply_named(host, "good", 0));
	done(apply_for(host, "lock", 600));
	refused(apply_named(host, "more", 60), "in force for a while");
	done(apply_for(host, "shut", 1200)); /* goes back to the same */
	done(ask(host, "{\"request\":\"rollback\"}"));
	assert_string_equal(host->image.name, "good");
	done(apply_named(host, "trie", 60));
	refused(apply_for(host, "lock", 600), "on trial");
	assert_string_equal(host->image.name, "trie");
	done(ask(host, "{\"request\":\"rollback\"}"));
	done(apply_for(host, "lock", 600));
	done(apply_named(host, "last", 0)); /* for good: nothing goes back any more */
	assert_int_equal(host->interim_until_ns + host->trial_until_ns, 0);
	assert_int_equal(left(host), -1);
}

static void bad_requests_change_nothing(void **state)
{
	static const struct {
		const char *more;
		int code;
	} bad[] = {
		{"{\"for_seconds\":600}", 2},
		{"{\"for_seconds\":59,\"reason\":\"x\"}", 1},
		{"{\"for_seconds\":2592001,\"reason\":\"x\"}", 1},
		{"{\"for_seconds\":0,\"reason\":\"x\"}", 2},
		{"{\"for_seconds\":\"1h\",\"reason\":\"x\"}", 2},
		{"{\"for_seconds\":600,\"reason\":\"\"}", 1},
		{"{\"for_seconds\":600,\"reason\":\"a\\nb\"}", 1},
		{"{\"for_seconds\":600,\"reason\":\"x\",\"confirm_seconds\":60}", 2},
	};
	struct host *host = *state;
	char *text = policy_named("evil");

	done(apply_named(host, "good", 0));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_object *answer = apply(host, text, bad[i].more);

		expect_code(answer, bad[i].code);
		json_object_put(answer);
		assert_string_equal(host->image.name, "good");
		assert_int_equal(host->trial_until_ns, 0);
	}
	free(text);
}

static void a_reboot_takes_nothing_and_adds_nothing(void **state)
{
	struct host *host = *state;

	done(apply_named(host, "good", 0));
	done(apply_for(host, "lock", 6000));
	assert_in_range(left(host), 5990, 6000);
	reboot(host, 3000 * (int64_t)NS_PER_SECOND, 6000 * NS_PER_SECOND);
	assert_in_range(left(host), 2990, 3000);
	reboot(host, -1, 6000 * NS_PER_SECOND);
	assert_int_equal(left(host), -1);
	/* a clock set back: what is known of the time counts */
	reboot(host, 3000 * (int64_t)NS_PER_SECOND, 6000 * NS_PER_SECOND);
	write_clock(2000 * (int64_t)NS_PER_SECOND);
	assert_in_range(left(host), 990, 1000);
	write_clock(4000 * (int64_t)NS_PER_SECOND);
	assert_int_equal(left(host), -1);
	/* far back, with nothing known: never more than its span */
	write_clock(-4000 * (int64_t)NS_PER_SECOND);
	reboot(host, 900000 * (int64_t)NS_PER_SECOND, 6000 * NS_PER_SECOND);
	assert_in_range(left(host), 5990, 6000);
}

/* The texts in trial.json are damaged: what was in force comes from those that are kept. */
static void a_damaged_file_loosens_nothing(void **state)
{
	struct host *host = *state;
	char path[96], *text;
	size_t length;

	done(apply_named(host, "good", 0));
	done(apply_for(host, "lock", 600));
	snprintf(path, sizeof(path), "%s/unit/trial.json", state_root);
	assert_int_equal(file_read(path, 1 << 20, &text, &length), 0);
	text[length - 20] ^= 1;
	assert_int_equal(file_write_atomic(path, text, length, 0600), 0);
	free(text);
	assert_in_range(left(host), 590, 600);
	assert_int_equal(access(path, F_OK), -1); /* it was set aside */
}

/* A trial is none. */
static void a_trial_is_over_after_a_reboot(void **state)
{
	struct host *host = *state;

	done(apply_named(host, "good", 0));
	done(apply_named(host, "trie", 600));
	assert_int_equal(left(host), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_in_force_until_its_end_and_told_before,
						host_up, host_down),
		cmocka_unit_test_setup_teardown(rollback_ends_it_and_confirm_keeps_it, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(one_policy_at_a_time_waits_for_its_end, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(bad_requests_change_nothing, host_up, host_down),
		cmocka_unit_test_setup_teardown(a_reboot_takes_nothing_and_adds_nothing, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(a_damaged_file_loosens_nothing, host_up, host_down),
		cmocka_unit_test_setup_teardown(a_trial_is_over_after_a_reboot, host_up, host_down),
	};

	return cmocka_run_group_tests_name("interim", tests, NULL, NULL);
}
