/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * main.c - weir: the commands that need no key, no policy's text and not the kernel. It becomes
 * weir-guard for every other one, so that a cut does not wait until libraries are loaded that it
 * has no use for: libcrypto and libbpf take longer than all of the rest.
 */
#include <string.h>

#include "user/base/program.h"
#include "user/cmd/call.h"
#include "user/cmd/dispatch.h"

/* None of them asks the daemon twice, or prints or takes anything before it asks: without a daemon
 * the command begins again in weir-guard. */
static const struct command *const commands[] = {
	&command_cut,	 &command_reopen, &command_show,    &command_services, &command_refused,
	&command_extend, &command_pause,  &command_partner, &command_confirm,  &command_rollback,
	&command_meters, &command_events, &command_agent,   &command_push,     &command_fleet,
};

static char **words; /* all that was given */

/* Returns only when it cannot. */
static int become_guard(const char *called)
{
	words[0] = (char *)called; /* ps and pidof show it */
	return program_become("weir-guard", words);
}

/* No daemon answers: the same command once more, without asking. */
static int become_guard_alone(const char *instance, const char *request, char **answer,
			      char **problem)
{
	int r = become_guard(CALL_ALONE);

	(void)instance, (void)request, (void)answer;
	if (asprintf(problem, "weir-guard cannot be run: %s", strerror(-r)) < 0)
		*problem = NULL;
	return r;
}

static const struct call_ways ways = {
	.asks_daemon = true, .on_guard = become_guard_alone, .on_journal = become_guard_alone};

int main(int argc, char **argv)
{
	static char *nothing[] = {NULL, NULL};
	const struct command *command = NULL;
	int r;

	words = argc > 0 ? argv : nothing;
	if (argc > 1)
		command = dispatch_find(commands, sizeof(commands) / sizeof(commands[0]), argv[1]);
	if (command) {
		call_goes(&ways);
		return dispatch(command, argc - 2, argv + 2);
	}
	r = become_guard("weir");
	fprintf(stderr, "weir: weir-guard cannot be run: %s\n", strerror(-r));
	return CMD_REFUSED;
}
