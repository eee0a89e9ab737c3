/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* dispatch.c - finds a command and runs it. */
#include "user/cmd/dispatch.h"

#include <stdlib.h>
#include <string.h>

const struct command *dispatch_find(const struct command *const *commands, size_t count,
				    const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

int dispatch(const struct command *command, int argc, char **argv)
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
