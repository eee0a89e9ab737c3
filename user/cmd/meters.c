/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters.c - `weir meters`: what of the budgets is used, and what of that is only assumed.
 */
#include <inttypes.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/cmd/call.h"
#include "user/cmd/verbs.h"

static void print_windows(json_object *meter)
{
	for (size_t i = 0; i < field_count(meter, "windows"); i++) {
		json_object *window = field_item(meter, "windows", i);
		uint64_t assumed_bytes = field_number(window, "assumed_bytes");
		char span[SPAN_TEXT], used[BYTES_TEXT], assumed[BYTES_TEXT];

		span_format(field_number(window, "seconds") * NS_PER_SECOND, span, sizeof(span));
		bytes_format(field_number(window, "used_bytes"), used, sizeof(used));
		bytes_format(assumed_bytes, assumed, sizeof(assumed));
		printf("  %s/%s", used, span);
		if (assumed_bytes)
			printf(" (assumed: %s)", assumed);
	}
	putchar('\n');
}

static const char *name_or_dash(json_object *meter, const char *key)
{
	const char *name = field_text(meter, key);

	return name[0] ? name : "-";
}

static int list(const struct arguments *arguments)
{
	struct answer answer;
	int code = call_host(arguments, call_new("meters"), true, &answer);

	if (code == CMD_DONE && arguments_has(arguments, "--json")) {
		json_object_object_del(answer.object, "code");
		puts(json_object_to_json_string_ext(answer.object, JSON_C_TO_STRING_NOSLASHESCAPE));
	} else if (code == CMD_DONE) {
		for (size_t i = 0; i < field_count(answer.object, "list"); i++) {
			json_object *meter = field_item(answer.object, "list", i);

			printf("%-20s %-16s %-24s", name_or_dash(meter, "grant"),
			       name_or_dash(meter, "service"), name_or_dash(meter, "partner"));
			print_windows(meter);
		}
	}
	answer_free(&answer);
	return code;
}

static int save(const struct arguments *arguments)
{
	json_object *request = call_new("meters-save");
	struct answer answer;
	int code;

	json_object_object_add(request, "last",
			       json_object_new_boolean(arguments_has(arguments, "--last")));
	code = call_host(arguments, request, true, &answer);
	answer_free(&answer);
	return code;
}

static int reset(const struct arguments *arguments)
{
	json_object *request;
	struct answer answer;
	char bytes[BYTES_TEXT];
	int code;

	if (!arguments_has(arguments, "--reason"))
		return command_usage(arguments, "--reason is missing");
	request = call_new("meters-reset");
	call_put_text(request, "reason", arguments_value(arguments, "--reason"));
	if (arguments->count == 2)
		call_put_text(request, "target", arguments->item[1]);
	code = call_host(arguments, request, true, &answer);
	if (code == CMD_DONE) {
		bytes_format(field_number(answer.object, "bytes"), bytes, sizeof(bytes));
		printf("%" PRIu64 " meters have %s back that were only assumed",
		       field_number(answer.object, "meters"), bytes);
		if (field_number(answer.object, "stranger_slots"))
			puts(", and so have the strangers");
		else
			putchar('\n');
	}
	answer_free(&answer);
	return code;
}

static int run(const struct arguments *arguments)
{
	static const struct verb verbs[] = {
		{"list", list, {"--json"}},
		{"save", save, {"--last"}},
		{"reset", reset, {"--reason"}},
	};
	const char *verb = arguments->count ? arguments->item[0] : "list";

	if (arguments->count > 1 && strcmp(verb, "reset") != 0)
		return command_usage(arguments, "%s: too many arguments", verb);
	return verbs_run(arguments, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

const struct command command_meters = {
	.name = "meters",
	.arguments = "[list] | save | reset [TARGET]",
	.help = "Tell what is used of the budgets; save it; take back what was only assumed",
	.most = 2,
	.options =
		{
			{"--json", NULL, "list: as JSON", false},
			{"--last", NULL, "save: nothing leaves after this (at shutdown)", false},
			{"--reason", "TEXT", "reset: why; it stays in the record (required)",
			 false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
