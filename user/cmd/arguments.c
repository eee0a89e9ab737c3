/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * arguments.c - sorts the words of a command line by the command's table entry, and prints help
 * from the same entry.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/cmd/cmd.h"
#include "user/base/text.h"

static const struct option common_options[] = {
	{"--instance", "NAME", "which guard, when a host has several (left out: host)", false},
	{"--help", NULL, "this help", false},
	{NULL, NULL, NULL, false},
};

static const struct option *find_in(const struct option *options, const char *name, size_t length)
{
	for (; options->name; options++) {
		if (strlen(options->name) == length && memcmp(options->name, name, length) == 0)
			return options;
	}
	return NULL;
}

static const struct option *find_option(const struct command *command, const char *name,
					size_t length)
{
	const struct option *option = find_in(command->options, name, length);

	return option ? option : find_in(common_options, name, length);
}

static int problem_set(char **problem, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int problem_set(char **problem, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	if (vasprintf(problem, format, list) < 0)
		*problem = NULL;
	va_end(list);
	return -EINVAL;
}

static int unknown_option(const struct command *command, const char *word, size_t length,
			  char **problem)
{
	char *names[2 * CMD_MAX_OPTIONS];
	const char *near;
	char given[64];
	size_t count = 0;

	for (const struct option *o = command->options; o->name; o++)
		names[count++] = (char *)o->name;
	for (const struct option *o = common_options; o->name; o++)
		names[count++] = (char *)o->name;
	snprintf(given, sizeof(given), "%.*s", (int)length, word);
	near = near_name(given, names, count);
	if (near)
		return problem_set(problem, "unknown option %s; is %s meant?", given, near);
	return problem_set(problem, "unknown option %s", given);
}

/* Takes the option at argv[*position], and its value if that is a word of its own. */
static int take_option(struct arguments *arguments, int argc, char **argv, int *position,
		       char **problem)
{
	const char *word = argv[*position];
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);
	const struct option *option = find_option(arguments->command, word, length);
	const char *value = "";

	if (!option)
		return unknown_option(arguments->command, word, length, problem);
	if (!option->may_be_repeated && arguments_has(arguments, option->name))
		return problem_set(problem, "%s is given twice", option->name);
	if (option->value && equals) {
		value = equals + 1;
	} else if (option->value) {
		if (*position + 1 >= argc)
			return problem_set(problem, "%s needs a value (%s)", option->name,
					   option->value);
		value = argv[++*position];
	} else if (equals) {
		return problem_set(problem, "%s takes no value", option->name);
	}
	if (option->value && strcmp(option->value, "TEXT") == 0 &&
	    !text_is_utf8(value, strlen(value)))
		return problem_set(problem, "%s is not UTF-8 text", option->name);
	arguments->given[arguments->given_count++] = (struct given){option, value};
	return 0;
}

static int check_count(const struct arguments *arguments, char **problem)
{
	const struct command *command = arguments->command;

	if (arguments->count < command->least)
		return problem_set(problem, "%s is missing", command->arguments);
	if (arguments->count > command->most)
		return problem_set(problem, "%s is one argument too many",
				   arguments->item[command->most]);
	return 0;
}

/* A name that can be part of a file name. */
static bool instance_is_named_well(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > 32)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	}
	return true;
}

int arguments_parse(const struct command *command, int argc, char **argv,
		    struct arguments *arguments, char **problem)
{
	bool options_ended = false;

	*arguments = (struct arguments){.command = command, .instance = "host"};
	arguments->item = calloc(argc + 1, sizeof(*arguments->item));
	arguments->given = calloc(argc + 1, sizeof(*arguments->given));
	if (!arguments->item || !arguments->given)
		return problem_set(problem, "out of memory");
	for (int i = 0; i < argc; i++) {
		int error = 0;

		if (!options_ended && strcmp(argv[i], "--") == 0)
			options_ended = true;
		else if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0')
			error = take_option(arguments, argc, argv, &i, problem);
		else
			arguments->item[arguments->count++] = argv[i];
		if (error)
			return error;
	}
	arguments->wants_help = arguments_has(arguments, "--help");
	if (arguments->wants_help)
		return 0;
	if (arguments_has(arguments, "--instance"))
		arguments->instance = arguments_value(arguments, "--instance");
	if (!instance_is_named_well(arguments->instance))
		return problem_set(problem,
				   "--instance takes letters, digits, - and _, at most 32");
	return check_count(arguments, problem);
}

void arguments_free(struct arguments *arguments)
{
	free(arguments->item);
	free(arguments->given);
	*arguments = (struct arguments){0};
}

const char *arguments_nth(const struct arguments *arguments, const char *name, size_t n)
{
	for (size_t i = 0; i < arguments->given_count; i++) {
		if (strcmp(arguments->given[i].option->name, name) == 0 && n-- == 0)
			return arguments->given[i].value;
	}
	return NULL;
}

const char *arguments_value(const struct arguments *arguments, const char *name)
{
	return arguments_nth(arguments, name, 0);
}

bool arguments_has(const struct arguments *arguments, const char *name)
{
	return arguments_value(arguments, name) != NULL;
}

static void print_options(const struct option *options, FILE *out)
{
	for (; options->name; options++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s", options->name, options->value ? " " : "",
			 options->value ? options->value : "");
		fprintf(out, "  %-22s %s\n", left, options->help);
	}
}

void command_help(const struct command *command, FILE *out)
{
	fprintf(out, "usage: weir %s%s%s [OPTION]...\n%s.\n\n", command->name,
		command->arguments[0] ? " " : "", command->arguments, command->help);
	print_options(command->options, out);
	print_options(common_options, out);
}

static void complain(const struct arguments *arguments, const char *format, va_list list)
{
	fprintf(stderr, "weir %s: ", arguments->command->name);
	vfprintf(stderr, format, list);
}

int command_refuse(const struct arguments *arguments, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(arguments, format, list);
	va_end(list);
	fputc('\n', stderr);
	return CMD_REFUSED;
}

int command_usage(const struct arguments *arguments, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(arguments, format, list);
	va_end(list);
	fprintf(stderr, " (weir %s --help)\n", arguments->command->name);
	return CMD_USAGE;
}
