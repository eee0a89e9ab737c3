/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_plan_approvals.c - whose approval of a stage counts, and for how long.
 */
#include "tests/unit/planned.h"
#include "user/base/sealed.h"

#define NEXT	 "{\"request\":\"plan-next\"}"
#define LIFETIME (15 * NS_PER_MINUTE)

static struct caller person(uint32_t number)
{
	struct caller one = {.user = "root", .has_login = true, .login = 2000 + number};

	snprintf(one.by, sizeof(one.by), "person %u", number);
	return one;
}

static void is_waiting(struct host *host, size_t count, size_t over)
{
	json_object *status = ask(host, "{\"request\":\"plan\"}"), *stage = stage_of(status);

	assert_string_equal(text_of(stage, "state"), "next");
	assert_int_equal(json_object_array_length(member(stage, "approved")), count);
	assert_int_equal(json_object_array_length(member(stage, "approvals_over")), over);
	assert_int_equal(fake.cut_count, 1);
	json_object_put(status);
}

static void has_begun(struct host *host)
{
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	assert_int_equal(fake.cut_count, 0);
}

static void restarts(struct host *host)
{
	plan_run_free(host->plan);
	host->plan = NULL;
	host_plan_load(host);
	assert_non_null(host->plan);
}

static void test_two_within_its_time_begin_a_stage(void **state)
{
	struct host *host = *state;

	begins_plan(host, 2);
	does(host, &alice, NEXT);
	passed_ns += LIFETIME - NS_PER_MINUTE;
	is_waiting(host, 1, 0);
	does(host, &bob, NEXT);
	has_begun(host);
}

static void test_it_is_told_when_one_is_over(void **state)
{
	struct host *host = *state;
	json_object *status, *approval;
	uint64_t due_ns;

	begins_plan(host, 2);
	does(host, &alice, NEXT);
	status = ask(host, "{\"request\":\"plan\"}");
	approval = json_object_array_get_idx(member(stage_of(status), "approved"), 0);
	assert_string_equal(text_of(approval, "by"), alice.by);
	assert_int_equal(json_object_get_uint64(member(approval, "until")) -
				 json_object_get_uint64(member(approval, "at")),
			 LIFETIME / NS_PER_SECOND);
	json_object_put(status);
	/* the daemon wakes then, and tells once */
	due_ns = host_plan_tick(host);
	assert_int_equal(due_ns, host->plan->approval[0].boot_ns + LIFETIME);
	assert_int_equal(told(host, "stage first: the approval by"), 0);
	passed_ns += due_ns - boot_now();
	assert_int_equal(host_plan_tick(host), 0);
	assert_int_equal(
		told(host, "stage first: the approval by root(0) login alice(1001) is over"), 1);
	host_plan_tick(host);
	is_waiting(host, 0, 1);
	restarts(host);
	host_plan_tick(host);
	assert_int_equal(told(host, "stage first: the approval by"), 1);
}

static void test_one_that_is_over_begins_nothing(void **state)
{
	struct host *host = *state;

	begins_plan(host, 2);
	does(host, &alice, NEXT);
	passed_ns += LIFETIME;
	is_refused(host, &bob, NEXT,
		   "stage first does not begin: the approval by root(0) login alice(1001) is over "
		   "(one counts for 15m), and it takes 2");
	is_waiting(host, 0, 0); /* who was refused has approved nothing */
	does(host, &bob, NEXT);
	is_waiting(host, 1, 0);
	does(host, &alice, NEXT);
	has_begun(host);
}

static void test_who_approves_anew_has_one_approval(void **state)
{
	struct host *host = *state;

	begins_plan(host, 2);
	does(host, &alice, NEXT);
	passed_ns += LIFETIME;
	does(host, &alice, NEXT);
	is_waiting(host, 1, 0);
	is_refused(host, &alice, NEXT, "has approved stage first already");
	does(host, &bob, NEXT);
	has_begun(host);
}

/* Only who would have been the last one is told. */
static void test_each_has_a_time_of_its_own(void **state)
{
	struct host *host = *state;
	const struct caller third = person(3), fourth = person(4);

	begins_plan(host, 3);
	does(host, &alice, NEXT);
	passed_ns += 10 * NS_PER_MINUTE;
	does(host, &bob, NEXT);
	passed_ns += 10 * NS_PER_MINUTE;
	is_waiting(host, 1, 1);
	is_refused(host, &third, NEXT, "the approval by root(0) login alice(1001) is over");
	is_waiting(host, 1, 0);
	does(host, &third, NEXT);
	is_waiting(host, 2, 0);
	passed_ns += 10 * NS_PER_MINUTE; /* bob's is over, and the third one's counts */
	is_refused(host, &fourth, NEXT, "the approval by root(0) login uid 1002 is over");
	does(host, &alice, NEXT);
	does(host, &fourth, NEXT);
	has_begun(host);
}

static void test_a_restart_keeps_it_and_its_time(void **state)
{
	struct host *host = *state;

	begins_plan(host, 2);
	does(host, &alice, NEXT);
	restarts(host);
	is_waiting(host, 1, 0);
	passed_ns += LIFETIME;
	restarts(host);
	is_waiting(host, 0, 1);
	is_refused(host, &bob, NEXT, "is over");
}

/* A reboot or a confirmed clock moves what is added to boot time: nobody can tell how old it is. */
static void test_whose_age_is_not_known_does_not_count(void **state)
{
	struct host *host = *state;

	for (int64_t step = -1; step <= 1; step += 2) {
		begins_plan(host, 2);
		does(host, &alice, NEXT);
		fake.control.wall_offset_ns += step * (int64_t)NS_PER_HOUR;
		is_waiting(host, 0, 1);
		is_refused(host, &bob, NEXT, "is over");
		fake.control.wall_offset_ns -= step * (int64_t)NS_PER_HOUR;
		done(ask(host, "{\"request\":\"plan-abort\",\"reason\":\"x\"}"));
		done(reopen(host, "partner:nord", NULL));
	}
}

/* As a build wrote it that knew of no end; and one of a boot that had run for longer. */
static void test_on_the_disk_without_a_boot_time(void **state)
{
	struct host *host = *state;

	begins_plan(host, 2);
	does(host, &alice, NEXT);
	host->plan->approval[0].boot_ns = 0;
	assert_int_equal(plan_save(host), 0);
	restarts(host);
	is_waiting(host, 0, 1);
	host->plan->approval[0].boot_ns = boot_now() + NS_PER_HOUR;
	host->plan->approval[0].at_ns = host_wall(host) + NS_PER_HOUR;
	assert_int_equal(plan_save(host), 0);
	restarts(host);
	is_waiting(host, 0, 1);
	is_refused(host, &bob, NEXT, "is over");
}

static void test_what_began_has_no_end(void **state)
{
	struct host *host = *state;
	json_object *status, *stage;

	begins_plan(host, 2);
	does(host, &alice, NEXT);
	does(host, &bob, NEXT);
	passed_ns += LIFETIME + NS_PER_MINUTE;
	host_plan_tick(host);
	has_begun(host);
	status = ask(host, "{\"request\":\"plan\"}");
	stage = stage_of(status);
	assert_int_equal(json_object_array_length(member(stage, "approved")), 2);
	assert_int_equal(json_object_array_length(member(stage, "approvals_over")), 0);
	assert_false(json_object_object_get_ex(
		json_object_array_get_idx(member(stage, "approved"), 0), "until", NULL));
	assert_int_equal(told(host, "stage first: the approval by"), 0);
	json_object_put(status);
}

/* ---- as many as there is room for ------------------------------------------------------------ */

static void test_as_many_as_a_stage_may_take(void **state)
{
	struct host *host = *state;
	struct caller last = person(PLAN_MAX_APPROVALS), more = person(PLAN_MAX_APPROVALS + 1);

	begins_plan(host, PLAN_MAX_APPROVALS);
	for (uint32_t i = 1; i < PLAN_MAX_APPROVALS; i++) {
		struct caller one = person(i);

		does(host, &one, NEXT);
		is_waiting(host, i, 0);
	}
	/* the last one that fails leaves its place */
	fake.fail_set_cuts = -EIO;
	is_refused(host, &last, NEXT, "the kernel refused it");
	fake.fail_set_cuts = 0;
	is_waiting(host, PLAN_MAX_APPROVALS - 1, 0);
	does(host, &last, NEXT);
	has_begun(host);
	assert_int_equal(host->plan->approvals, PLAN_MAX_APPROVALS);
	is_refused(host, &more, NEXT, "stage first is watched");
	assert_int_equal(host->plan->approvals, PLAN_MAX_APPROVALS);
	restarts(host);
	assert_int_equal(host->plan->approvals, PLAN_MAX_APPROVALS);
	assert_string_equal(host->plan->approval[PLAN_MAX_APPROVALS - 1].by, last.by);
}

/* All places are taken by what is over, and each is free again. */
static void test_those_that_are_over_take_no_room(void **state)
{
	struct host *host = *state;

	begins_plan(host, PLAN_MAX_APPROVALS);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 1; i < PLAN_MAX_APPROVALS; i++) {
			struct caller one = person(100 * round + i);

			does(host, &one, NEXT);
		}
		is_waiting(host, PLAN_MAX_APPROVALS - 1, 0);
		passed_ns += LIFETIME;
		is_waiting(host, 0, PLAN_MAX_APPROVALS - 1);
		is_refused(host, &bob, NEXT, "is over");
	}
	is_waiting(host, 0, 0);
}

/* Rewrites what the disk has of the plan, seal and all. */
static void write_plan(struct host *host, const char *text)
{
	char *path = host_path(host, PLAN_FILE);

	assert_int_equal(sealed_write(path, text, strlen(text)), 0);
	free(path);
}

static void read_plan(struct host *host, char **text)
{
	char *path = host_path(host, PLAN_FILE);
	size_t length;

	assert_int_equal(sealed_read(path, 1 << 20, text, &length), 0);
	free(path);
}

static void test_one_more_on_the_disk_than_there_is_room_for(void **state)
{
	struct host *host = *state;
	struct plan_run *read = NULL;
	char *text = NULL, *more, *first;

	begins_plan(host, PLAN_MAX_APPROVALS);
	for (uint32_t i = 1; i <= PLAN_MAX_APPROVALS; i++) {
		struct caller one = person(i);

		does(host, &one, NEXT);
	}
	has_begun(host);
	read_plan(host, &text);
	first = strstr(text, "{\"login\":");
	assert_non_null(first);
	assert_int_not_equal(asprintf(&more, "%.*s{\"login\":9,\"by\":\"x\",\"at_ns\":1},%s",
				      (int)(first - text), text, first),
			     -1);
	write_plan(host, more);
	assert_int_equal(plan_load(host, &read), -EBADMSG);
	assert_null(read);
	free(more);
	/* of a stage that waits, all of them would have begun it */
	memcpy(strstr(text, "\"watched\""), "\"waits\"  ", 9);
	write_plan(host, text);
	assert_int_equal(plan_load(host, &read), -EBADMSG);
	assert_null(read);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, host_with_events_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_within_its_time_begin_a_stage),
		TEST(test_it_is_told_when_one_is_over),
		TEST(test_one_that_is_over_begins_nothing),
		TEST(test_who_approves_anew_has_one_approval),
		TEST(test_each_has_a_time_of_its_own),
		TEST(test_a_restart_keeps_it_and_its_time),
		TEST(test_whose_age_is_not_known_does_not_count),
		TEST(test_on_the_disk_without_a_boot_time),
		TEST(test_what_began_has_no_end),
		TEST(test_as_many_as_a_stage_may_take),
		TEST(test_those_that_are_over_take_no_room),
		TEST(test_one_more_on_the_disk_than_there_is_room_for),
	};

	return cmocka_run_group_tests_name("plan_approvals", tests, NULL, NULL);
}
