/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * services.c - `weir services`: cgroups that sent something, by bytes. Nobody knows cgroup paths by
 * heart; this is where a policy's `cgroup:` lines come from.
 */
#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/cmd/call.h"

static void print_cgroup(json_object *cgroup)
{
	_cleanup_free_ char *path = field_plain(cgroup, "path"); /* whoever owns it named it */
	char bytes[BYTES_TEXT];

	bytes_format(field_number(cgroup, "sent_bytes"), bytes, sizeof(bytes));
	printf("%10s  %-20s %s\n", bytes,
	       field_is(cgroup, "is_named") ? field_text(cgroup, "service") : "-",
	       field_object(cgroup, "path") && path ? (path[0] ? path : "/") : "(gone)");
}

static int run(const struct arguments *arguments)
{
	struct answer answer;
	int code = call_host(arguments, call_new("services"), true, &answer);
	size_t count = field_count(answer.object, "cgroups");

	if (arguments_has(arguments, "--json") && answer.object) {
		puts(json_object_to_json_string_ext(field_object(answer.object, "cgroups"),
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	} else if (code == CMD_DONE) {
		printf("%10s  %-20s %s\n", "sent", "service", "cgroup");
		for (size_t i = 0; i < count; i++)
			print_cgroup(field_item(answer.object, "cgroups", i));
	}
	answer_free(&answer);
	return code;
}

const struct command command_services = {
	.name = "services",
	.arguments = "",
	.help = "List the cgroups that sent something, by bytes, and the service each belongs to",
	.options =
		{
			{"--json", NULL, "as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
