/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_plan.c - plans: what they may hold, and what is told where.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/base/units.h"
#include "user/policy/plan.h"

#define HEAD "weir-plan: 1\nname: back\nreason: incident 4711\nstages:\n"
#define ONE  "- name: one\n  targets: all\n"

struct reading {
	struct plan plan;
	struct faults faults;
	char *told;
	int r;
};

static struct reading reading_of(const char *text)
{
	struct source source = {(char *)"plan.yaml", (char *)text, strlen(text)};
	struct sources sources = {&source, 1};
	struct reading reading = {0};
	size_t length;
	FILE *out = open_memstream(&reading.told, &length);

	reading.r = plan_read(&sources, &reading.plan, &reading.faults);
	faults_print(&reading.faults, &sources, out);
	fclose(out);
	return reading;
}

static void reading_free(struct reading *reading)
{
	plan_free(&reading->plan);
	faults_free(&reading->faults);
	free(reading->told);
}

static void test_all_keys(void **state)
{
	struct reading reading =
		reading_of(HEAD "- name: one\n"
				"  targets: [\"partner:a\", \"class:b@service:c\"]\n"
				"  approvals: 2\n"
				"  evidence: required\n"
				"  budget: 10%\n"
				"  watch: 2h\n"
				"  on_breach: tell\n");
	const struct plan_stage *stage = reading.plan.stage;

	(void)state;
	assert_int_equal(reading.r, 0);
	assert_string_equal(reading.plan.name.text, "back");
	assert_string_equal(reading.plan.reason.text, "incident 4711");
	assert_int_equal(reading.plan.count, 1);
	assert_string_equal(stage->name.text, "one");
	assert_int_equal(stage->targets.count, 2);
	assert_string_equal(stage->targets.item[1].text, "class:b@service:c");
	assert_int_equal(stage->approvals, 2);
	assert_true(stage->needs_evidence);
	assert_int_equal(stage->parts, 102);
	assert_int_equal(stage->watch_ns, 2 * NS_PER_HOUR);
	assert_int_equal(stage->on_breach, PLAN_TELL);
	reading_free(&reading);
}

static void test_what_is_left_out(void **state)
{
	struct reading reading = reading_of(HEAD ONE);
	const struct plan_stage *stage = reading.plan.stage;

	(void)state;
	assert_int_equal(reading.r, 0);
	assert_int_equal(stage->approvals, 1);
	assert_false(stage->needs_evidence);
	assert_int_equal(stage->parts, WEIR_WHOLE);
	assert_int_equal(stage->watch_ns, 0);
	assert_int_equal(stage->on_breach, PLAN_CUT);
	reading_free(&reading);
}

static void assert_told(const char *text, const char *line)
{
	struct reading reading = reading_of(text);

	assert_int_equal(reading.r, -EBADMSG);
	if (!strstr(reading.told, line))
		fail_msg("\"%s\" is not in: %s", line, reading.told);
	reading_free(&reading);
}

/* Of a value of the wrong type there is nothing more to tell. */
static void test_one_fault_is_told_once(void **state)
{
	struct reading reading = reading_of("weir-plan: 1\nname: back\nreason: []\nstages:\n" ONE);

	(void)state;
	assert_string_equal(reading.told, "plan.yaml:3:9: wrong type: one value belongs here, "
					  "not a list\n");
	reading_free(&reading);
}

static void test_faults(void **state)
{
	(void)state;
	assert_told("name: back\n", "plan.yaml:1:1: \"weir-plan\" is missing in the plan");
	assert_told("weir-plan: 2\n", "plan.yaml:1:12: version \"2\" is not known: 1");
	assert_told(HEAD, "plan.yaml:4:8: wrong type: a list of stages belongs here");
	assert_told(HEAD "  one\n", "a list of stages belongs here");
	assert_told(HEAD "- one\n", "plan.yaml:5:3: wrong type: a stage is a mapping");
	assert_told(HEAD "- name: one\n", "plan.yaml:5:3: \"targets\" is missing in a stage");
	assert_told(HEAD "- name: one\n  targets: []\n", "plan.yaml:6:12: an empty list");
	assert_told(HEAD ONE "  watch: 2\n", "plan.yaml:7:10: \"2\" is no span of time");
	assert_told(HEAD ONE "  watch: 0s\n", "\"0s\" is no span of time");
	assert_told(HEAD ONE "  budget: 10%\n", "needs \"watch\"");
	assert_told(HEAD ONE "  on_breach: stop\n", "\"stop\" is no breach of a plan");
	assert_told(HEAD ONE "  evidence: yes\n", "\"yes\" is no rule about evidence");
	assert_told(HEAD ONE "  bugdet: 10%\n", "did you mean \"budget\"?");
	assert_told(HEAD ONE "- name: one\n  targets: strangers\n", "two stages of one name");
	assert_told(HEAD ONE "- name: two\n  targets: all\n",
		    "plan.yaml:8:12: \"all\" stands in a stage already");
	assert_told(HEAD "- name: one\n  targets: [all, all]\n", "\"all\" is named twice");
	assert_told("weir-plan: 1\nname: back\nreason: \"a\\tb\"\n" ONE, "no control characters");
	assert_told("weir-plan: 1\nname: back\nreason: 0123456789012345678901234567890123456789"
		    "0123456789012345678901234\nstages:\n" ONE,
		    "a plan's reason has at most 64 bytes");
}

/* Numbers that wrap are no smaller numbers. */
static void test_numbers(void **state)
{
	static const char *const bad[] = {"0%",		 "101%", "%",
					  "10",		 "-1%",	 "1.5%",
					  "4294967297%", "10 %", "99999999999999999999%"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), HEAD ONE "  watch: 1h\n  budget: \"%s\"\n", bad[i]);
		assert_told(text, "plan.yaml:8:11: ");
	}
	assert_told(HEAD ONE "  approvals: 9\n", "\"9\" is no number of approvals: 1 to 8");
	assert_told(HEAD ONE "  approvals: 0\n", "1 to 8");
	assert_told(HEAD ONE "  approvals: two\n", "1 to 8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys), cmocka_unit_test(test_what_is_left_out),
		cmocka_unit_test(test_faults),	 cmocka_unit_test(test_one_fault_is_told_once),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
