/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order.c - `weir order`: what was ordered here.
 */
#include "user/cmd/order.h"

#include <string.h>

static int run(const struct arguments *arguments)
{
	static const struct {
		const char *name;
		int (*run)(const struct arguments *arguments);
	} verbs[] = {{"list", order_list}, {"show", order_show}};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(arguments->item[0], verbs[i].name) == 0)
			return verbs[i].run(arguments);
	}
	return command_usage(arguments, "%s: list or show", arguments->item[0]);
}

const struct command command_order = {
	.name = "order",
	.arguments = "list | show ID",
	.help = "List what was ordered here and what became of it, or tell all of one order",
	.least = 1,
	.most = 2,
	.options =
		{
			{"--json", NULL, "as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
