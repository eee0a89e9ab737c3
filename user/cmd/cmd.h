/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cmd.h - what a command is: one table entry with its name, options, help and function.
 *
 * Help, parsing and dispatch come from the same entry, so that they cannot drift apart. Each
 * command has a file of its own, which ends in its entry; user/main_guard.c lists the entries, and
 * user/main.c those that need no guard, key or policy in their own process.
 */
#ifndef WEIR_CMD_H
#define WEIR_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	CMD_DONE = 0,
	CMD_REFUSED = 1, /* refused or failed: why, on stderr, in one line */
	CMD_USAGE = 2,
	CMD_NO_DAEMON = 3,
};

enum { CMD_MAX_OPTIONS = 20, CMD_MANY = 1 << 16 };

struct option {
	const char *name;     /* "--peer" */
	const char *value;    /* what stands for its value in the help; NULL: a flag */
	const char *help;     /* one line */
	bool may_be_repeated; /* else giving it twice is an error */
};

struct arguments;

struct command {
	const char *name;      /* one word */
	const char *arguments; /* as the help shows them, without the options: "TARGET..." */
	const char *help;      /* one line, no full stop */
	size_t least, most;    /* how many arguments that are no options; CMD_MANY: no limit */
	/* Ends with a name of NULL. --instance and --help need no entry: every command has them. */
	struct option options[CMD_MAX_OPTIONS];
	/* Returns the exit code, one of CMD_*. */
	int (*run)(const struct arguments *arguments);
};

/* What was given to one command. Texts belong to argv. */
struct arguments {
	const struct command *command;
	const char *instance; /* "host" when left out; letters, digits, - and _, at most 32 */
	char **item;	      /* those that are no options, in order */
	size_t count;
	bool wants_help;
	struct given {
		const struct option *option;
		const char *value; /* "" for a flag */
	} * given;
	size_t given_count;
};

/*
 * Sorts argv[0..argc), what stands behind the command's name, into `arguments`; options may stand
 * anywhere, `--` ends them, `--name=value` is the same as `--name value`. 0, or -EINVAL with one
 * line in `problem` (malloc'd). Free with arguments_free() in either case.
 */
int arguments_parse(const struct command *command, int argc, char **argv,
		    struct arguments *arguments, char **problem);
void arguments_free(struct arguments *arguments);

/* Value of the option, "" for a flag, NULL when it was not given. */
const char *arguments_value(const struct arguments *arguments, const char *name);
bool arguments_has(const struct arguments *arguments, const char *name);
/* The n-th value (from 0) of an option that may be repeated, NULL past the last. */
const char *arguments_nth(const struct arguments *arguments, const char *name, size_t n);

void command_help(const struct command *command, FILE *out);

/* "weir NAME: what is wrong" on stderr; returns CMD_REFUSED, or CMD_USAGE with a hint to --help. */
int command_refuse(const struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int command_usage(const struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

extern const struct command command_run, command_check, command_explain, command_apply,
	command_confirm, command_rollback, command_status, command_services, command_cut,
	command_reopen, command_events, command_probe, command_unload, command_meters,
	command_policy, command_without_guard, command_order, command_sign, command_show,
	command_who, command_refused, command_drill, command_extend, command_pause, command_partner,
	command_agent, command_push, command_fleet, command_plan;

#endif
