/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * extend.c - `weir extend`: a grant lets pass more for a while.
 */
#include "user/base/units.h"
#include "user/cmd/override.h"

static int run(const struct arguments *arguments)
{
	const char *grant = arguments_value(arguments, "--grant");
	const char *size = arguments_value(arguments, "--by");
	json_object *request;
	uint64_t bytes;

	if (!grant || !size)
		return command_usage(arguments, "%s is missing", grant ? "--by" : "--grant");
	if (size_parse(size, &bytes) < 0 || bytes == 0)
		return command_usage(arguments, "--by takes a size like 500MB or 5GiB");
	request = call_new("extend");
	call_put_targets(request, arguments);
	call_put_text(request, "grant", grant);
	json_object_object_add(request, "more_bytes", json_object_new_int64((int64_t)bytes));
	return override_ask(arguments, request);
}

const struct command command_extend = {
	.name = "extend",
	.arguments = "TARGET",
	.help = "Let a grant pass more to a partner or a class for a while; it ends by itself",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--grant", "NAME", "by which grant (required)", false},
			{"--by", "SIZE", "how much more in each window of its budget (required)",
			 false},
			{"--for", "SPAN",
			 "how long, at most the longest window of the budget (required)", false},
			{"--reason", "TEXT", "why; it stays in the record (required)", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
