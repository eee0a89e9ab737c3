/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * reopen.c - `weir reopen`: lets a cut's target back, or a part of it.
 */
#include <string.h>

#include "user/cmd/call.h"
#include "user/view/parts.h"

static void print_done(json_object *done)
{
	const char *how = field_text(done, "how");

	if (strcmp(how, "exception") == 0)
		printf("%s is let back inside %s (%s)\n", field_text(done, "target"),
		       field_text(done, "id"), field_text(done, "order"));
	else if (strcmp(how, "latch") == 0)
		printf("%s, severed by the guard itself, is let back: %s\n", field_text(done, "id"),
		       field_text(done, "target"));
	else
		printf("cut %s is over: %s\n", field_text(done, "id"), field_text(done, "target"));
}

static void print_answer(const struct answer *answer)
{
	size_t count = field_count(answer->object, "reopened");

	for (size_t i = 0; i < count; i++)
		print_done(field_item(answer->object, "reopened", i));
	print_holding(answer->object, stdout);
	if (!answer->by_daemon)
		puts("no daemon answers: done on the pinned guard");
}

static int run(const struct arguments *arguments)
{
	json_object *request;
	struct answer answer;
	int code;

	if (!arguments_has(arguments, "--reason"))
		return command_usage(arguments, "--reason is missing");
	if (arguments->count == 0 && !arguments_has(arguments, "--order"))
		return command_usage(arguments, "a target or --order is missing");
	request = call_new("reopen");
	call_put_targets(request, arguments);
	call_put_text(request, "reason", arguments_value(arguments, "--reason"));
	call_put_text(request, "order", arguments_value(arguments, "--order"));
	code = call_host(arguments, request, true, &answer);
	if (field_object(answer.object, "reopened"))
		print_answer(&answer);
	answer_free(&answer);
	return code;
}

const struct command command_reopen = {
	.name = "reopen",
	.arguments = "TARGET...",
	.help = "Let back what was cut, or a part of it; tell which cuts still hold it",
	.most = CMD_MANY,
	.options =
		{
			{"--order", "ID", "only inside this cut; without a target: all of it",
			 false},
			{"--reason", "TEXT", "why; it stays in the record (required)", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
