/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_verbs.c - an option of one verb is refused by the others: what it says would be left undone,
 * as by a `weir plan next --dry-run` that begins the stage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/cmd/verbs.h"

static const char *ran;

static int first(const struct arguments *arguments)
{
	(void)arguments;
	ran = "first";
	return CMD_DONE;
}

static int second(const struct arguments *arguments)
{
	ran = arguments_has(arguments, "--wet") ? "second, wet" : "second";
	return CMD_REFUSED;
}

static int run(const struct arguments *arguments)
{
	static const struct verb verbs[] = {
		{"first", first, {"--dry"}},
		{"second", second, {"--wet", "--dry"}},
		{"third", first, {NULL}},
	};

	return verbs_run(arguments, verbs, 3);
}

static const struct command command = {
	.name = "test",
	.arguments = "[first] | second | third",
	.help = "A test",
	.most = 2,
	.options =
		{
			{"--dry", NULL, "first, second: one", false},
			{"--wet", "HOW", "second: another", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};

/* What it said stands in `said`. */
static char said[512];

static int weir(const struct command *of, const char *line)
{
	char copy[256], *argv[16], *problem = NULL;
	struct arguments arguments;
	int argc = 0, code, err = dup(STDERR_FILENO);
	FILE *file = tmpfile();

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	assert_int_equal(arguments_parse(of, argc, argv, &arguments, &problem), 0);
	assert_non_null(file);
	ran = NULL;
	dup2(fileno(file), STDERR_FILENO);
	code = of->run(&arguments);
	dup2(err, STDERR_FILENO);
	close(err);
	rewind(file);
	said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
	fclose(file);
	arguments_free(&arguments);
	return code;
}

static void expect(int code, const char *line, const char *wanted)
{
	assert_int_equal(weir(&command, line), code);
	assert_string_equal(ran, wanted);
	assert_string_equal(said, "");
}

static void expect_refused(const struct command *of, const char *line, const char *why)
{
	int code = weir(of, line);

	if (code != CMD_USAGE || !strstr(said, why) || ran)
		fail_msg("%s %s: exit %d, \"%s\"", of->name, line, code, said);
}

static void a_verb_takes_its_own_options(void **state)
{
	(void)state;
	expect(CMD_DONE, "first", "first");
	expect(CMD_DONE, "first --dry", "first");
	expect(CMD_DONE, "", "first");
	expect(CMD_DONE, "--dry", "first");
	expect(CMD_REFUSED, "--wet very second --dry", "second, wet");
	expect(CMD_DONE, "third --instance unit", "first");
}

static void another_is_refused_and_nothing_is_run(void **state)
{
	(void)state;
	expect_refused(&command, "first --wet very", "weir test: first takes no --wet (");
	expect_refused(&command, "--wet very", "first takes no --wet");
	expect_refused(&command, "third --dry", "third takes no --dry");
	expect_refused(&command, "fourth", "weir test: fourth: first, second or third (");
	expect_refused(&command, "fir", "fir: first, second or third");
}

/* None of these asks anybody anything: there is no daemon, and no guard. */
static void each_command_says_so(void **state)
{
	(void)state;
	expect_refused(&command_plan, "next --dry-run", "next takes no --dry-run");
	expect_refused(&command_plan, "abort --dry-run --reason x", "abort takes no --dry-run");
	expect_refused(&command_plan, "start plan.yaml --evidence x", "start takes no --evidence");
	expect_refused(&command_plan, "status --reason x", "status takes no --reason");
	expect_refused(&command_plan, "go", "go: start, status, next or abort");
	expect_refused(&command_order, "verify o --json", "verify takes no --json");
	expect_refused(&command_order, "apply o --policy p", "apply takes no --policy");
	expect_refused(&command_policy, "diff --json", "diff takes no --json");
	expect_refused(&command_meters, "--last", "list takes no --last");
	expect_refused(&command_meters, "save --reason x", "save takes no --reason");
	expect_refused(&command_meters, "save all", "save: too many arguments");
	expect_refused(&command_without_guard, "off --host h", "off takes no --host");
	expect_refused(&command_confirm, "--reason x", "--reason goes with clock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verb_takes_its_own_options),
		cmocka_unit_test(another_is_refused_and_nothing_is_run),
		cmocka_unit_test(each_command_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
