/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * partner.c - `weir partner add`: addresses count as a partner's for a while.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/cmd/override.h"

static const char kind[] = "partner:";

/* The partner as a name, or as the target that other commands take. */
static char *target_of(const char *name)
{
	char *target;

	if (strncmp(name, kind, strlen(kind)) == 0)
		return strdup(name);
	return asprintf(&target, "%s%s", kind, name) < 0 ? NULL : target;
}

static int add(const struct arguments *arguments)
{
	_cleanup_free_ char *target = NULL;
	json_object *request, *targets;
	uint8_t address[16], bits;

	if (arguments->count != 3)
		return command_usage(arguments, "add takes a PARTNER and a PREFIX");
	if (prefix_split(arguments->item[2], address, &bits) < 0)
		return command_usage(arguments, "\"%s\" is neither an address nor a prefix",
				     arguments->item[2]);
	target = target_of(arguments->item[1]);
	if (!target)
		return command_refuse(arguments, "out of memory");
	request = call_new("partner-add");
	targets = json_object_new_array();
	json_object_array_add(targets, json_object_new_string(target));
	json_object_object_add(request, "targets", targets);
	call_put_text(request, "prefix", arguments->item[2]);
	return override_ask(arguments, request);
}

static int run(const struct arguments *arguments)
{
	if (strcmp(arguments->item[0], "add") == 0)
		return add(arguments);
	return command_usage(arguments, "%s: add", arguments->item[0]);
}

const struct command command_partner = {
	.name = "partner",
	.arguments = "add PARTNER PREFIX",
	.help = "Let addresses count as a partner's for a while; it ends by itself",
	.least = 1,
	.most = 3,
	.options =
		{
			{"--for", "SPAN", "how long, 30d at most (required)", false},
			{"--reason", "TEXT", "why; it stays in the record (required)", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
