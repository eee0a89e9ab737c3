/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pause.c - `weir pause`: only observe for a while.
 */
#include "user/cmd/override.h"

static int run(const struct arguments *arguments)
{
	json_object *request = call_new("pause");

	call_put_targets(request, arguments);
	return override_ask(arguments, request);
}

const struct command command_pause = {
	.name = "pause",
	.arguments = "[service:NAME]",
	.help = "Only observe for a while, one service or all; cuts hold, and it ends by itself",
	.most = 1,
	.options =
		{
			{"--for", "SPAN", "how long, a day at most (required)", false},
			{"--reason", "TEXT", "why; it stays in the record (required)", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
