/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_options.c - a command line is sorted by the command's own table entry.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/cmd/cmd.h"

static const struct command command = {
	.name = "test",
	.arguments = "TARGET...",
	.help = "A test",
	.least = 1,
	.most = 2,
	.options =
		{
			{"--reason", "TEXT", "why", false},
			{"--uplink", "IFACE", "where", true},
			{"--yes", NULL, "agreed", false},
			{NULL, NULL, NULL, false},
		},
};

static int parse(struct arguments *arguments, char **problem, const char *line)
{
	static char copy[256];
	char *argv[32];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	*problem = NULL;
	return arguments_parse(&command, argc, argv, arguments, problem);
}

static void expect_refused(const char *line, const char *text)
{
	struct arguments arguments;
	char *problem;

	assert_int_equal(parse(&arguments, &problem, line), -EINVAL);
	assert_non_null(problem);
	if (!strstr(problem, text))
		fail_msg("\"%s\" does not say \"%s\"", problem, text);
	free(problem);
	arguments_free(&arguments);
}

/* It goes into JSON, which holds nothing else; the daemon would only say that it cannot read it. */
static void a_text_is_utf8(void **state)
{
	struct arguments arguments;
	char *problem;

	(void)state;
	assert_int_equal(parse(&arguments, &problem, "a --reason gr\xc3\xbc\xc3\x9f"), 0);
	arguments_free(&arguments);
	expect_refused("a --reason gr\xfc\xdf", "--reason is not UTF-8 text");
	expect_refused("a --reason=\xc3", "--reason is not UTF-8 text");
	assert_int_equal(parse(&arguments, &problem, "a --uplink wl\xe4n"), 0); /* no text */
	arguments_free(&arguments);
}

static void options_stand_anywhere(void **state)
{
	static const char *const lines[] = {
		"a --reason why b --yes",
		"--reason why --yes a b",
		"a b --yes --reason=why",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct arguments arguments;
		char *problem;

		assert_int_equal(parse(&arguments, &problem, lines[i]), 0);
		assert_int_equal(arguments.count, 2);
		assert_string_equal(arguments.item[0], "a");
		assert_string_equal(arguments.item[1], "b");
		assert_string_equal(arguments_value(&arguments, "--reason"), "why");
		assert_true(arguments_has(&arguments, "--yes"));
		assert_false(arguments_has(&arguments, "--uplink"));
		assert_string_equal(arguments.instance, "host");
		arguments_free(&arguments);
	}
}

static void repeated_ones_keep_their_order(void **state)
{
	struct arguments arguments;
	char *problem;

	(void)state;
	assert_int_equal(parse(&arguments, &problem, "--uplink eth0 a --uplink eth1"), 0);
	assert_string_equal(arguments_nth(&arguments, "--uplink", 0), "eth0");
	assert_string_equal(arguments_nth(&arguments, "--uplink", 1), "eth1");
	assert_null(arguments_nth(&arguments, "--uplink", 2));
	arguments_free(&arguments);
}

static void two_dashes_end_the_options(void **state)
{
	struct arguments arguments;
	char *problem;

	(void)state;
	assert_int_equal(parse(&arguments, &problem, "-- --reason -"), 0);
	assert_int_equal(arguments.count, 2);
	assert_string_equal(arguments.item[0], "--reason");
	assert_string_equal(arguments.item[1], "-");
	arguments_free(&arguments);
}

static void instance_is_a_plain_name(void **state)
{
	struct arguments arguments;
	char *problem;

	(void)state;
	assert_int_equal(parse(&arguments, &problem, "a --instance hub-2_x"), 0);
	assert_string_equal(arguments.instance, "hub-2_x");
	arguments_free(&arguments);
	expect_refused("a --instance ../x", "--instance");
	expect_refused("a --instance=", "--instance");
	expect_refused("a --instance a.b", "--instance");
	expect_refused("a --instance 123456789012345678901234567890123", "--instance");
}

static void wrong_ones_are_told(void **state)
{
	(void)state;
	expect_refused("a --resaon why", "is --reason meant");
	expect_refused("a --reas why", "unknown option --reas");
	expect_refused("a --zzzzzzzzzzzz", "unknown option");
	expect_refused("a --reason", "needs a value");
	expect_refused("a --yes=1", "takes no value");
	expect_refused("a --reason x --reason y", "twice");
	expect_refused("a --yes --yes", "twice");
	expect_refused("--yes", "is missing");
	expect_refused("a b c", "too many");
	expect_refused("a -y", "unknown option -y");
}

static void help_needs_nothing_else(void **state)
{
	struct arguments arguments;
	char *problem;

	(void)state;
	assert_int_equal(parse(&arguments, &problem, "--help"), 0);
	assert_true(arguments.wants_help);
	arguments_free(&arguments);
}

static void help_names_every_option(void **state)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	command_help(&command, out);
	fclose(out);
	for (const struct option *o = command.options; o->name; o++)
		assert_non_null(strstr(text, o->name));
	assert_non_null(strstr(text, "--instance"));
	assert_non_null(strstr(text, "TARGET..."));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_utf8),
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(repeated_ones_keep_their_order),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(instance_is_a_plain_name),
		cmocka_unit_test(wrong_ones_are_told),
		cmocka_unit_test(help_needs_nothing_else),
		cmocka_unit_test(help_names_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
