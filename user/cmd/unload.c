/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * unload.c - `weir unload`: takes the guard off.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/cmd/call.h"
#include "user/daemon/ask.h"
#include "user/daemon/daemon_lock.h"
#include "user/daemon/unloading.h"
#include "user/daemon/without_daemon.h"
#include "user/kernel/guard.h"

static bool is_agreed(const struct arguments *arguments)
{
	char line[16] = "";

	if (arguments_has(arguments, "--yes"))
		return true;
	if (!isatty(STDIN_FILENO))
		return false;
	printf("Take the guard of instance %s off? Nothing is judged then. (yes/no) ",
	       arguments->instance);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) && strcmp(line, "yes\n") == 0;
}

static int tell_answer(const struct arguments *arguments, const char *answer)
{
	json_object *object = json_tokener_parse(answer);
	int code = field_number(object, "code");

	if (!field_object(object, "code"))
		code = command_refuse(arguments, "the daemon's answer cannot be read");
	else if (code != CMD_DONE)
		command_refuse(arguments, "%s", field_text(object, "problem"));
	json_object_put(object);
	return code;
}

/* It takes two people, and that takes a daemon. */
static bool needs_daemon(const char *answer)
{
	json_object *object = json_tokener_parse(answer);
	bool needs = field_number(object, "code") == CMD_NO_DAEMON;

	json_object_put(object);
	return needs;
}

/* Without a daemon, also when the pinned state is of another build and cannot be opened. */
static int without_daemon(const struct arguments *arguments)
{
	_cleanup_free_ char *answer = NULL, *problem = NULL, *second = NULL;
	int r = answer_on_guard(arguments->instance, "{\"request\":\"unload\"}", &answer, &problem);

	if (r == 0 && (needs_daemon(answer) || !guard_is_pinned(arguments->instance)))
		return tell_answer(arguments, answer);
	r = unload_any(arguments->instance, &second);
	if (r == -ESRCH) {
		command_refuse(arguments, "%s", second ? second : "no daemon answers");
		return CMD_NO_DAEMON;
	}
	if (r < 0)
		return command_refuse(arguments, "%s", second ? second : strerror(-r));
	return CMD_DONE;
}

/* The daemon answers first, and ends then: who starts another one next shall find its place free.
 */
static void await_end(const struct arguments *arguments)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	for (int i = 0; i < 1000 && daemon_is_there(arguments->instance); i++)
		nanosleep(&pause, NULL);
	if (daemon_is_there(arguments->instance))
		command_refuse(arguments, "the daemon has not ended yet");
}

static int run(const struct arguments *arguments)
{
	_cleanup_free_ char *answer = NULL;
	int r, code;

	if (!is_agreed(arguments))
		return command_refuse(arguments,
				      "not done: it takes the guard off; --yes if it shall");
	r = ask_daemon(arguments->instance, "{\"request\":\"unload\"}", &answer);
	if (r < 0 && !ask_found_nobody(r))
		return command_refuse(arguments, "cannot ask the daemon: %s", strerror(-r));
	code = r < 0 ? without_daemon(arguments) : tell_answer(arguments, answer);
	if (code == CMD_DONE && r == 0)
		await_end(arguments);
	if (code == CMD_DONE)
		puts("the guard is off");
	return code;
}

const struct command command_unload = {
	.name = "unload",
	.arguments = "",
	.help = "Take the guard off; running connections go on unharmed, and unjudged",
	.options =
		{
			{"--yes", NULL, "do not ask", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
