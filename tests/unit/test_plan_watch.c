/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_plan_watch.c - when a stage under way is looked at: at most ten times a second, whatever
 * wakes the daemon, and once more before another policy counts its breaches anew. And for how long.
 */
#include "tests/unit/planned.h"
#include "user/daemon/returning.h"

enum { PER_SECOND = 10 };

/* Nord is let back, and watched; a packet of it was refused before that. */
static struct weir_meter *is_watched(struct host *host)
{
	done(apply(host, a_policy, "{}"));
	latch("nightly", "sftp", "nord", 0);
	fake.meters[0].refused_packets = 5;
	begins_plan(host, 1);
	does(host, &alice, NEXT);
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	host_plan_tick(host);
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	return &fake.meters[0];
}

static void refuses_one(struct weir_meter *meter)
{
	meter->refused_packets++;
	fake.charges++;
}

static void is_cut_again(const struct host *host)
{
	assert_int_equal(host->plan->phase, PLAN_WAITS);
	assert_string_equal(host->plan->why, "refused: nightly, service sftp, partner nord");
	assert_int_equal(fake.cut_count, 1);
}

/* Within these milliseconds of the test's clock. */
static size_t looks(struct host *host, int ms)
{
	uint32_t seen = host->plan->charges;
	size_t count = 0;

	for (int i = 0; i < ms; i++) {
		passed_ns += NS_PER_SECOND / 1000;
		fake.charges++; /* and an event has woken the daemon */
		host_plan_tick(host);
		count += host->plan->charges != seen;
		seen = host->plan->charges;
	}
	return count;
}

static void test_events_make_it_look_ten_times_a_second(void **state)
{
	struct host *host = *state;
	uint64_t before, passed;
	size_t count;

	is_watched(host);
	passed_ns += NS_PER_SECOND;
	before = boot_now();
	count = looks(host, 3000);
	passed = boot_now() - before; /* three seconds, and what the loop took */
	assert_in_range(count, 3 * PER_SECOND - 3, passed * PER_SECOND / NS_PER_SECOND + 1);
}

/* However long nothing wakes it, a second later it looks; and sooner than that it wants to wake. */
static void test_it_wants_to_look_within_a_second(void **state)
{
	struct host *host = *state;
	uint64_t next_ns;

	is_watched(host);
	passed_ns += NS_PER_SECOND;
	next_ns = host_plan_tick(host);
	assert_in_range(next_ns, boot_now() + 1, boot_now() + NS_PER_SECOND);
	/* woken before its time it waits for the rest of it */
	assert_in_range(host_plan_tick(host), boot_now() + 1,
			boot_now() + NS_PER_SECOND / PER_SECOND);
}

static void test_a_breach_is_seen_with_the_next_look(void **state)
{
	struct host *host = *state;
	struct weir_meter *meter = is_watched(host);

	passed_ns += NS_PER_SECOND;
	host_plan_tick(host);
	refuses_one(meter);
	host_plan_tick(host); /* too soon after the last one */
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	passed_ns += NS_PER_SECOND / PER_SECOND;
	host_plan_tick(host);
	is_cut_again(host);
}

/* ---- another policy -------------------------------------------------------------------------- */

static void test_what_was_refused_before_another_policy_is_a_breach(void **state)
{
	struct host *host = *state;
	struct weir_meter *meter = is_watched(host);

	refuses_one(meter); /* and nothing has looked since */
	done(apply_named(host, "tesu", 0));
	is_cut_again(host);
	assert_int_equal(told(host, "\"kind\":\"plan-breach\""), 1);
}

static void test_before_a_rollback_too(void **state)
{
	struct host *host = *state;
	struct weir_meter *meter;

	done(apply_named(host, "tesu", 0));
	meter = is_watched(host);
	refuses_one(meter);
	done(ask(host, "{\"request\":\"rollback\"}"));
	is_cut_again(host);
}

static void test_after_a_rollback_too(void **state)
{
	struct host *host = *state;
	struct weir_meter *meter;

	done(apply_named(host, "tesu", 0));
	meter = is_watched(host);
	done(ask(host, "{\"request\":\"rollback\"}"));
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	refuses_one(meter);
	passed_ns += NS_PER_SECOND;
	host_plan_tick(host);
	is_cut_again(host);
}

static void test_before_a_policy_goes_back_by_itself(void **state)
{
	struct host *host = *state;
	struct weir_meter *meter = is_watched(host);
	struct json_out reply = {.out = fopen("/dev/null", "w")};
	char *problem = NULL;

	done(apply_named(host, "tesu", 600));
	host_plan_tick(host);
	passed_ns += NS_PER_SECOND;
	host_plan_tick(host);
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	refuses_one(meter);
	assert_int_equal(host_rollback(host, "guard", NULL, &reply, &problem), 0);
	is_cut_again(host);
	fclose(reply.out);
}

/* One that is only shown, or has faults, ends no count. */
static void test_a_policy_that_does_not_come_looks_at_nothing(void **state)
{
	struct host *host = *state;
	struct weir_meter *meter = is_watched(host);
	char *other = policy_named("tesu");
	json_object *faulty;

	refuses_one(meter);
	done(apply(host, other, "{\"dry_run\":true}"));
	faulty = apply(host, "weir: 1\n", "{}");
	expect_code(faulty, 1);
	json_object_put(faulty);
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	passed_ns += NS_PER_SECOND;
	host_plan_tick(host);
	is_cut_again(host);
	free(other);
}

/* Of what was refused under the one before nothing counts any more; what is refused under this one
 * does, however soon. */
static void test_under_another_policy_it_is_counted_anew(void **state)
{
	struct host *host = *state;
	struct weir_meter *meter = is_watched(host);

	done(apply_named(host, "tesu", 0));
	assert_int_equal(host->plan->base.refused, 5);
	for (int i = 0; i < 3; i++) {
		passed_ns += NS_PER_SECOND;
		fake.charges++;
		host_plan_tick(host);
	}
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	done(apply_named(host, "tesv", 0));
	refuses_one(meter); /* before the first look after it came */
	passed_ns += NS_PER_SECOND;
	host_plan_tick(host);
	is_cut_again(host);
}

/* Of a partner that is of the stage's class under the other policy alone. */
static void test_what_the_targets_mean_now_was_refused_before(void **state)
{
	struct host *host = *state;
	char *other = NULL;

	done(apply(host, a_policy, "{}"));
	latch("bills", "sftp", "payer", 0);
	fake.meters[0].refused_packets = 100;
	begins_plan_of(host, "class:hospital", 1);
	does(host, &alice, NEXT);
	host_plan_tick(host);
	assert_int_equal(host->plan->base.refused, 0);
	assert_int_not_equal(asprintf(&other, "%.*s32/28], class: [hospital]}\n%s",
				      (int)(strstr(a_policy, "32/28]}") - a_policy), a_policy,
				      strstr(a_policy, "grants:")),
			     -1);
	done(apply(host, other, "{}"));
	assert_int_equal(host->plan->base.refused, 100);
	for (int i = 0; i < 3; i++) {
		passed_ns += NS_PER_SECOND;
		fake.charges++;
		host_plan_tick(host);
	}
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	free(other);
}

/* ---- how long -------------------------------------------------------------------------------- */

static void passes_after(struct host *host, uint64_t ns)
{
	passed_ns += ns - NS_PER_MINUTE;
	host_plan_tick(host);
	assert_non_null(host->plan);
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	passed_ns += 2 * NS_PER_MINUTE;
	host_plan_tick(host);
	assert_null(host->plan); /* its one stage passed */
}

/* As `weir confirm clock` does. */
static void sets_the_clock(int64_t by_ns)
{
	guard_set_clock(&fake, fake.control.wall_offset_ns + by_ns, false);
}

static void tells_the_end(struct host *host, uint64_t left_ns)
{
	json_object *status = ask(host, "{\"request\":\"status\"}");
	uint64_t until = json_object_get_uint64(member(stage_of(status), "until"));

	assert_in_range(until, (host_wall(host) + left_ns) / NS_PER_SECOND - 5,
			(host_wall(host) + left_ns) / NS_PER_SECOND);
	json_object_put(status);
}

static void test_a_clock_that_is_set_forward_ends_no_watch(void **state)
{
	is_watched(*state);
	sets_the_clock(2 * NS_PER_HOUR);
	tells_the_end(*state, NS_PER_HOUR);
	passes_after(*state, NS_PER_HOUR);
}

static void test_nor_does_one_that_is_set_back_draw_it_out(void **state)
{
	is_watched(*state);
	sets_the_clock(-2 * (int64_t)NS_PER_HOUR);
	tells_the_end(*state, NS_PER_HOUR);
	passes_after(*state, NS_PER_HOUR);
}

static void starts_again(struct host *host)
{
	assert_int_equal(plan_save(host), 0);
	plan_run_free(host->plan);
	host->plan = NULL;
	host_plan_load(host);
	assert_non_null(host->plan);
	passed_ns += NS_PER_SECOND;
	host_plan_tick(host);
}

static void test_with_another_daemon_it_goes_on(void **state)
{
	is_watched(*state);
	passed_ns += 30 * NS_PER_MINUTE;
	starts_again(*state);
	tells_the_end(*state, 30 * NS_PER_MINUTE);
	passes_after(*state, 30 * NS_PER_MINUTE);
	assert_int_equal(told(*state, "\"kind\":\"plan-watched-anew\""), 0);
}

/* Boot times of another boot mean nothing, and clocks are set while no daemon runs. */
static void test_with_another_boot_it_begins_anew(void **state)
{
	struct host *host = *state;

	is_watched(host);
	passed_ns += 30 * NS_PER_MINUTE;
	host->plan->boot[0] = host->plan->boot[0] == 'a' ? 'b' : 'a';
	starts_again(host);
	assert_int_equal(told(host, "\"kind\":\"plan-watched-anew\""), 1);
	tells_the_end(host, NS_PER_HOUR);
	passes_after(host, NS_PER_HOUR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, host_with_events_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events_make_it_look_ten_times_a_second),
		TEST(test_it_wants_to_look_within_a_second),
		TEST(test_a_breach_is_seen_with_the_next_look),
		TEST(test_what_was_refused_before_another_policy_is_a_breach),
		TEST(test_before_a_rollback_too),
		TEST(test_after_a_rollback_too),
		TEST(test_before_a_policy_goes_back_by_itself),
		TEST(test_a_policy_that_does_not_come_looks_at_nothing),
		TEST(test_under_another_policy_it_is_counted_anew),
		TEST(test_what_the_targets_mean_now_was_refused_before),
		TEST(test_a_clock_that_is_set_forward_ends_no_watch),
		TEST(test_nor_does_one_that_is_set_back_draw_it_out),
		TEST(test_with_another_daemon_it_goes_on),
		TEST(test_with_another_boot_it_begins_anew),
	};

	return cmocka_run_group_tests_name("plan_watch", tests, NULL, NULL);
}
