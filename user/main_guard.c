/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * main_guard.c - weir-guard: the daemon, and every command that needs the kernel, a key or a
 * policy's text in its own process. `weir` becomes it for these, and for the others where no daemon
 * answers them.
 */
#include <string.h>

#include "user/base/text.h"
#include "user/cmd/call.h"
#include "user/cmd/dispatch.h"
#include "user/daemon/without_daemon.h"

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

static const struct call_ways in_this_process = {
	.asks_daemon = true, .on_guard = answer_on_guard, .on_journal = answer_on_journal};
/* `weir` has asked, and no daemon answered. */
static const struct call_ways alone = {
	.asks_daemon = false, .on_guard = answer_on_guard, .on_journal = answer_on_journal};

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
	command = dispatch_find(commands, COMMANDS, argv[0]);
	if (!command)
		return unknown_command(argv[0]);
	command_help(command, stdout);
	return CMD_DONE;
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
	call_goes(strcmp(argv[0], CALL_ALONE) == 0 ? &alone : &in_this_process);
	command = dispatch_find(commands, COMMANDS, argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return dispatch(command, argc - 2, argv + 2);
}
