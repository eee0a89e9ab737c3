/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cut.c - `weir cut`: nothing more leaves towards or from the targets.
 */
#include <inttypes.h>

#include "user/base/units.h"
#include "user/cmd/call.h"
#include "user/view/dry_run.h"

static void print_cut(const struct answer *answer)
{
	size_t count = field_count(answer->object, "cuts");

	for (size_t i = 0; i < count; i++) {
		json_object *cut = field_item(answer->object, "cuts", i);

		printf("cut %s: %s\n", field_text(cut, "id"), field_text(cut, "target"));
	}
	printf("in force after %.3f ms; %" PRIu64 " connections ended in %.3f ms (%s)\n",
	       field_real(answer->object, "in_force_after_ms"),
	       field_number(answer->object, "ended"), field_real(answer->object, "ending_took_ms"),
	       field_text(answer->object, "way"));
	if (!answer->by_daemon)
		puts("no daemon answers: done on the pinned guard");
}

static int run(const struct arguments *arguments)
{
	json_object *request = call_new("cut");
	const char *span = arguments_value(arguments, "--for");
	struct answer answer;
	uint64_t ns = 0;
	int code;

	call_put_targets(request, arguments);
	call_put_text(request, "reason", arguments_value(arguments, "--reason"));
	if (arguments_has(arguments, "--dry-run"))
		json_object_object_add(request, "dry_run", json_object_new_boolean(true));
	if (span && (span_parse(span, &ns) < 0 || ns < NS_PER_SECOND)) {
		json_object_put(request);
		return command_usage(arguments, "--for takes a span like 90s, 30m, 4h or 2d");
	}
	if (span)
		json_object_object_add(request, "for_seconds",
				       json_object_new_int64(ns / NS_PER_SECOND));
	if (!arguments_has(arguments, "--reason")) {
		if (!arguments_has(arguments, "--dry-run")) {
			json_object_put(request);
			return command_usage(arguments, "--reason is missing");
		}
		call_put_text(request, "reason", "dry run");
	}
	call_put_asked(request);
	code = call_host(arguments, request, true, &answer);
	if (field_object(answer.object, "sockets"))
		print_dry_run(answer.object, stdout);
	else if (field_object(answer.object, "cuts"))
		print_cut(&answer);
	answer_free(&answer);
	return code;
}

const struct command command_cut = {
	.name = "cut",
	.arguments = "TARGET...",
	.help = "Stop partners, services, classes, grants, strangers, addresses, or all; end their "
		"connections",
	.least = 1,
	.most = CMD_MANY,
	.options =
		{
			{"--reason", "TEXT", "why; it stays with the cut (required)", false},
			{"--for", "SPAN", "let it end by itself (left out: until `weir reopen`)",
			 false},
			{"--dry-run", NULL,
			 "tell whom it would stop and what it would end, and do nothing", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
