/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_outliving_held.c - a policy goes back by itself: what a latch held, and what a stage under
 * way could be cut again by, is cut where the older policy means something else.
 */
#include "tests/unit/planned.h"
#include "user/base/cleanup.h"

#define HEAD	  "weir: 1\nname: %s\nmode: enforce\n"
#define STRANGERS "strangers: {serves: [64KiB/10m], calls: deny, total: none}\n"
#define SFTP	  "services:\n  sftp: {cgroup: a}\n"
#define NORD	  "partners:\n  nord: {addresses: [10.0.0.0/8], class: [hospital]}\n"
#define MORE	  "  sued: {addresses: [192.0.2.0/24], class: [hospital]}\n"
#define PULL                                                                                       \
	"grants:\n  - {name: pull, service: sftp, partner: class:hospital, serves: tcp/22, "       \
	"budget: [1MiB/1h], on_breach: sever}\n"
#define BASE SFTP NORD PULL STRANGERS
#define BOTH SFTP NORD MORE PULL STRANGERS

static void puts_into_force(struct host *host, const char *rest, const char *name, bool is_trial)
{
	_cleanup_free_ char *text = NULL;
	char head[64];

	snprintf(head, sizeof(head), HEAD, name);
	assert_int_not_equal(asprintf(&text, "%s%s", head, rest), -1);
	done(apply(host, text, is_trial ? "{\"confirm_seconds\":60}" : "{}"));
	assert_string_equal(host->image.name, name);
}

/* What is cut, one behind the other, as long as it covers something; malloc'd. */
static char *words(struct host *host)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 0; i < host->orders.count; i++)
		fprintf(out, "%s%s", i ? " " : "", host->orders.item[i].target);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void goes_back(struct host *host, const char *expected)
{
	_cleanup_free_ char *problem = NULL, *is = NULL;

	assert_int_equal(end_by_itself(host, &problem), 0);
	assert_string_equal(host->image.name, "older");
	is = words(host);
	assert_string_equal(is, expected);
}

/* ---- latches -------------------------------------------------------------------------------- */

struct change {
	const char *older, *trial;
	const char *words;
};

static void test_a_latch_whose_words_vanish_or_change(void **state)
{
	static const struct change changes[] = {
		/* nothing of it is another */
		{BASE, BASE, ""},
		{BOTH, BOTH, ""},
		{BASE, BOTH, ""},
		/* no partner of that name; of that name with less behind it */
		{SFTP "partners:\n" MORE PULL STRANGERS, BASE,
		 "partner:nord@service:sftp addr:10.0.0.0/8@service:sftp"},
		{SFTP "partners:\n  nord: {addresses: [10.0.0.0/16], class: [hospital]}\n" PULL
			 STRANGERS,
		 BASE, "partner:nord@service:sftp addr:10.0.0.0/8@service:sftp"},
		/* the service is another, or none */
		{"services:\n  files: {cgroup: a}\n" NORD
		 "grants:\n  - {name: pull, service: files, partner: nord, serves: tcp/22, "
		 "budget: none}\n" STRANGERS,
		 BASE, "partner:nord@service:sftp addr:10.0.0.0/8@service:files"},
		{"services:\n  files: {cgroup: b}\n" NORD
		 "grants:\n  - {name: pull, service: files, partner: nord, serves: tcp/22, "
		 "budget: none}\n" STRANGERS,
		 BASE, "partner:nord@service:sftp addr:10.0.0.0/8@service:other"},
		/* no grant of that name; one of that name for something else */
		{SFTP NORD
		 "grants:\n  - {name: take, service: sftp, partner: nord, serves: tcp/22, "
		 "budget: none}\n" STRANGERS,
		 BASE, "partner:nord@service:sftp"},
		{SFTP NORD
		 "grants:\n  - {name: pull, service: sftp, partner: nord, serves: tcp/443, "
		 "budget: none}\n  - {name: take, service: sftp, partner: nord, serves: "
		 "tcp/22, budget: none}\n" STRANGERS,
		 BASE, "partner:nord@service:sftp"},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct host *host;

		host_with_events_up(state);
		host = *state;
		puts_into_force(host, changes[i].older, "older", false);
		puts_into_force(host, changes[i].trial, "trial", true);
		latch("pull", "sftp", "nord", 5);
		goes_back(host, changes[i].words);
		assert_int_equal(told(host, "\"kind\":\"cut-outlives\""), host->orders.count);
		host_down(state);
	}
}

/* A latch is told of one account; all that is not its is left alone. */
static void test_only_what_was_latched_is_cut(void **state)
{
	struct host *host = *state;

	puts_into_force(host,
			"services:\n  files: {cgroup: a}\n" NORD MORE
			"grants:\n  - {name: pull, service: files, partner: any, serves: "
			"tcp/22, budget: none}\n" STRANGERS,
			"older", false);
	puts_into_force(host, BOTH, "trial", true);
	latch("pull", "sftp", "nord", 0);
	latch("pull", "sftp", "sued", 5);
	goes_back(host, "partner:sued@service:sftp addr:192.0.2.0/24@service:files");
}

static void test_a_latched_stranger(void **state)
{
	struct host *host = *state;
	struct weir_meter slot = {.service_key = image_key("service", "sftp"), .severed_ns = 5};

	puts_into_force(host, "services:\n  files: {cgroup: a}\n" NORD STRANGERS, "older", false);
	puts_into_force(host, BASE, "trial", true);
	assert_int_equal(fake_put(&fake, 0, WEIR_KEY_PEER, &slot), 0);
	goes_back(host, "strangers@service:sftp strangers@service:files");
	/* of a service that is the same there it holds as it did */
	done(reopen(host, "strangers@service:sftp", NULL));
	puts_into_force(host, BASE, "older", false);
	puts_into_force(host, BOTH, "trial", true);
	goes_back(host, "");
}

/* Until somebody reopens it; and it is not cut twice. */
static void test_it_is_cut_once_and_stays_until_it_is_reopened(void **state)
{
	struct host *host = *state;
	const char *cut = "partner:nord@service:sftp addr:10.0.0.0/8@service:files";
	const char *files = "services:\n  files: {cgroup: a}\n" NORD
			    "grants:\n  - {name: pull, service: files, partner: nord, serves: "
			    "tcp/22, budget: none}\n" STRANGERS;

	puts_into_force(host, files, "older", false);
	puts_into_force(host, BASE, "trial", true);
	latch("pull", "sftp", "nord", 5);
	goes_back(host, cut);
	assert_string_equal(host->orders.item[0].reason, "severed: grant pull");
	assert_string_equal(host->orders.item[0].by, "guard");
	assert_int_equal(fake.cut_count, 2); /* one of them covers nothing */
	puts_into_force(
		host,
		"services:\n  sftp: {cgroup: a}\n  files: {cgroup: a/x}\n" NORD PULL STRANGERS,
		"trial", true);
	goes_back(host, cut);
	done(reopen(host, "partner:nord@service:sftp", NULL));
	assert_int_equal(host->orders.count, 0);
}

/* Of two accounts of one pair one is lost: it is cut once. */
static void test_two_latches_of_one_partner(void **state)
{
	static const char push[] =
		"  - {name: push, service: sftp, partner: class:hospital, calls: "
		"tcp/22, budget: [1MiB/1h], on_breach: sever}\n";
	struct host *host = *state;
	_cleanup_free_ char *both = NULL, *one = NULL;

	assert_int_not_equal(asprintf(&both, SFTP NORD PULL "%s" STRANGERS, push), -1);
	assert_int_not_equal(asprintf(&one, SFTP NORD "grants:\n%s" STRANGERS, push), -1);
	puts_into_force(host, one, "older", false);
	puts_into_force(host, both, "trial", true);
	latch("pull", "sftp", "nord", 5);
	latch("push", "sftp", "nord", 6);
	goes_back(host, "partner:nord@service:sftp");
}

/* A cut out of which something was let back does not hold what a latch holds. */
static void test_a_cut_with_an_exception_is_not_enough(void **state)
{
	struct host *host = *state;

	puts_into_force(host, SFTP NORD STRANGERS, "older", false);
	puts_into_force(host, BASE, "trial", true);
	done(cut(host, "partner:nord@service:sftp"));
	done(reopen(host, "addr:10.1.0.0/16@service:sftp", NULL));
	latch("pull", "sftp", "nord", 5);
	goes_back(host, "partner:nord@service:sftp addr:10.1.0.0/16@service:sftp "
			"partner:nord@service:sftp");
}

/* What is held is not known then. */
static void test_meters_that_cannot_be_read_leave_the_trial(void **state)
{
	struct host *host = *state;
	_cleanup_free_ char *problem = NULL;

	puts_into_force(host, BASE, "older", false);
	puts_into_force(host, BOTH, "trial", true);
	fake.fail_meters = -EIO;
	assert_int_equal(end_by_itself(host, &problem), -EIO);
	assert_string_equal(host->image.name, "trial");
	assert_non_null(strstr(problem, "cannot see what is held back"));
	fake.fail_meters = 0;
	goes_back(host, "");
}

/* Somebody who asks for it sees what loosens. */
static void test_who_asks_gets_what_was_asked_for(void **state)
{
	struct host *host = *state;

	puts_into_force(host, "services:\n  files: {cgroup: a}\n" NORD STRANGERS, "older", false);
	puts_into_force(host, BASE, "trial", true);
	latch("pull", "sftp", "nord", 5);
	done(ask(host, "{\"request\":\"rollback\"}"));
	assert_int_equal(host->orders.count, 0);
}

/* ---- a stage under way ---------------------------------------------------------------------- */

static void test_a_stage_whose_target_vanishes_is_cut(void **state)
{
	struct host *host = *state;

	puts_into_force(host, BASE, "older", false);
	puts_into_force(host, BOTH, "trial", true);
	begins_plan_of(host, "partner:sued", 1);
	does(host, &alice, NEXT);
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
	assert_int_equal(host->orders.count, 0);
	goes_back(host, "partner:sued addr:192.0.2.0/24");
	assert_int_equal(told(host,
			      "plan back, stage first: the policy that it was let back under is "
			      "over\",\"action_id"),
			 1);
}

/* Under its name are less addresses: the rest could not be cut again. */
static void test_a_stage_whose_target_has_less_behind_it_is_cut(void **state)
{
	struct host *host = *state;

	puts_into_force(host, BASE, "older", false);
	puts_into_force(host, BOTH, "trial", true);
	begins_plan_of(host, "class:hospital", 1);
	does(host, &alice, NEXT);
	goes_back(host, "class:hospital addr:192.0.2.0/24");
	/* and all of it is, by the words that it has: it is not watched any more */
	passed_ns += NS_PER_SECOND;
	fake.charges++;
	host_plan_tick(host);
	assert_int_equal(host->plan->phase, PLAN_HELD);
}

static void test_a_stage_that_loses_nothing_stays_open(void **state)
{
	struct host *host = *state;

	puts_into_force(host, BASE, "older", false);
	puts_into_force(host, BOTH, "trial", true);
	begins_plan_of(host, "partner:nord", 1);
	does(host, &alice, NEXT);
	goes_back(host, "");
	assert_int_equal(host->plan->phase, PLAN_WATCHED);
}

static void test_a_stage_that_waits_is_cut_as_it_was(void **state)
{
	struct host *host = *state;

	puts_into_force(host, BASE, "older", false);
	puts_into_force(host, BOTH, "trial", true);
	begins_plan_of(host, "partner:sued", 1);
	goes_back(host, "partner:sued addr:192.0.2.0/24");
	assert_int_equal(told(host, "is over"), 0);
}

static void test_a_stage_that_waits_and_is_open_stays_so(void **state)
{
	struct host *host = *state;

	puts_into_force(host, BASE, "older", false);
	puts_into_force(host, BOTH, "trial", true);
	begins_plan_of(host, "partner:sued", 1);
	done(reopen(host, "partner:sued", NULL));
	goes_back(host, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, host_with_events_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_latch_whose_words_vanish_or_change),
		TEST(test_only_what_was_latched_is_cut),
		TEST(test_a_latched_stranger),
		TEST(test_it_is_cut_once_and_stays_until_it_is_reopened),
		TEST(test_two_latches_of_one_partner),
		TEST(test_a_cut_with_an_exception_is_not_enough),
		TEST(test_meters_that_cannot_be_read_leave_the_trial),
		TEST(test_who_asks_gets_what_was_asked_for),
		TEST(test_a_stage_whose_target_vanishes_is_cut),
		TEST(test_a_stage_whose_target_has_less_behind_it_is_cut),
		TEST(test_a_stage_that_loses_nothing_stays_open),
		TEST(test_a_stage_that_waits_is_cut_as_it_was),
		TEST(test_a_stage_that_waits_and_is_open_stays_so),
	};

	return cmocka_run_group_tests_name("outliving_held", tests, NULL, NULL);
}
