/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * show.c - `weir show TARGET`: what holds it, its budgets, its connections, what to type next.
 */
#include "user/cmd/looking.h"
#include "user/view/show.h"

static int run(const struct arguments *arguments)
{
	json_object *request = call_new("show");

	call_put_text(request, "target", arguments->item[0]);
	return look(arguments, request, show_print);
}

const struct command command_show = {
	.name = "show",
	.arguments = "TARGET",
	.help = "Tell what holds a target, when its budgets have room again, who is connected",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--json", NULL, "the same as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
