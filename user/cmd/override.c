/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * override.c - asks for what loosens for a while, and prints it.
 */
#include "user/cmd/override.h"

#include "user/base/units.h"
#include "user/view/parts.h"

int override_ask(const struct arguments *arguments, json_object *request)
{
	const char *span = arguments_value(arguments, "--for");
	struct answer answer;
	uint64_t ns = 0;
	int code;

	if (!span || !arguments_has(arguments, "--reason")) {
		json_object_put(request);
		return command_usage(arguments, "%s is missing", span ? "--reason" : "--for");
	}
	if (span_parse(span, &ns) < 0 || ns < NS_PER_SECOND) {
		json_object_put(request);
		return command_usage(arguments, "--for takes a span like 90s, 30m or 4h");
	}
	call_put_text(request, "reason", arguments_value(arguments, "--reason"));
	json_object_object_add(request, "for_seconds", json_object_new_int64(ns / NS_PER_SECOND));
	call_put_asked(request);
	code = call_host(arguments, request, true, &answer);
	if (field_object(answer.object, "until")) {
		print_override(answer.object, stdout);
		if (!answer.by_daemon)
			puts("no daemon answers: done on the pinned guard");
	}
	answer_free(&answer);
	return code;
}
