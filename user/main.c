/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * main.c - looks the command up in a table, runs it.
 */
#include <stdlib.h>
#include <string.h>

#include "user/cmd/cmd.h"
#include "user/base/text.h"

static const struct command *const commands[] = {
	&command_run,	  &command_check,    &command_explain, &command_apply,
	&command_confirm, &command_rollback, &command_status,  &command_show,
	&command_who,	  &command_services, &command_refused, &command_cut,
	&command_reopen,  &command_extend,   &command_pause,   &command_partner,
	&command_drill,	  &command_plan,     &command_events,  &command_probe,
	&command_unload,  &command_meters,   &command_policy,  &command_without_guard,
	&command_order,	  &command_sign,     &command_agent,   &command_push,
	&command_fleet,
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	char *names[COMMANDS];
	const char *near;

	for (size_t i = 0; i < COMMANDS; i++)
		names[i] = (char *)commands[i]->name;
	near = near_name(name, names, COMMANDS);
	if (near)
		fprintf(stderr, "weir: unknown command %s; is %s meant? (weir help)\n", name, near);
	else
		fprintf(stderr, "weir: unknown command %s (weir help)\n", name);
	return CMD_USAGE;
}

static void list_commands(FILE *out)
{
	fputs("usage: weir COMMAND [ARGUMENT]... [OPTION]...\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-13s %s\n", commands[i]->name, commands[i]->help);
	fputs("\n`weir help COMMAND` tells its arguments and options, weir-COMMAND(8) all.\n", out);
}

static int help(int argc, char **argv)
{
	const struct command *command;

	if (argc == 0) {
		list_commands(stdout);
		return CMD_DONE;
	}
	command = find_command(argv[0]);
	if (!command)
		return unknown_command(argv[0]);
	command_help(command, stdout);
	return CMD_DONE;
}

static int dispatch(const struct command *command, int argc, char **argv)
{
	struct arguments arguments;
	char *problem = NULL;
	int code;

	if (arguments_parse(command, argc, argv, &arguments, &problem) < 0) {
		code = command_usage(&arguments, "%s", problem ? problem : "out of memory");
	} else if (arguments.wants_help) {
		command_help(command, stdout);
		code = CMD_DONE;
	} else {
		code = command->run(&arguments);
	}
	arguments_free(&arguments);
	free(problem);
	return code;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		list_commands(stderr);
		return CMD_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return help(argc - 2, argv + 2);
	if (strcmp(argv[1], "--version") == 0) {
		puts("weir " WEIR_VERSION);
		return CMD_DONE;
	}
	command = find_command(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return dispatch(command, argc - 2, argv + 2);
}
