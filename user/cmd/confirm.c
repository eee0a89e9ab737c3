/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * confirm.c - `weir confirm`: keeps the policy on trial; `weir confirm clock`: opens hours again
 * after the clock stepped. `weir rollback`: goes back.
 */
#include <string.h>

#include "user/cmd/call.h"

static int print_policy(struct answer *answer, const char *what, int code)
{
	if (code == CMD_DONE)
		printf("%s: policy %s (%.12s)\n", what, field_text(answer->object, "name"),
		       field_text(answer->object, "digest"));
	answer_free(answer);
	return code;
}

static int confirm_clock(const struct arguments *arguments)
{
	json_object *request;
	struct answer answer;
	int code;

	if (!arguments_has(arguments, "--reason"))
		return command_usage(arguments, "--reason is missing");
	request = call_new("confirm-clock");
	call_put_text(request, "reason", arguments_value(arguments, "--reason"));
	code = call_host(arguments, request, true, &answer);
	if (code == CMD_DONE)
		printf("the clock counts as it is (step %s)%s\n", field_text(answer.object, "step"),
		       field_is(answer.object, "were_closed") ? "; hours open again" : "");
	answer_free(&answer);
	return code;
}

static int confirm(const struct arguments *arguments)
{
	struct answer answer;

	if (arguments->count == 0 && arguments_has(arguments, "--reason"))
		return command_usage(arguments, "--reason goes with clock");
	if (arguments->count == 0)
		return print_policy(&answer, "kept",
				    call_host(arguments, call_new("confirm"), false, &answer));
	if (strcmp(arguments->item[0], "clock") != 0)
		return command_usage(arguments, "%s cannot be confirmed: nothing, or clock",
				     arguments->item[0]);
	return confirm_clock(arguments);
}

static int rollback(const struct arguments *arguments)
{
	json_object *request = call_new("rollback");
	struct answer answer;

	if (arguments->count)
		call_put_text(request, "digest", arguments->item[0]);
	return print_policy(&answer, "back", call_host(arguments, request, false, &answer));
}

const struct command command_confirm = {
	.name = "confirm",
	.arguments = "[clock]",
	.help = "Keep the policy on trial; or, with clock, open hours again after the clock "
		"stepped",
	.most = 1,
	.options =
		{
			{"--reason", "TEXT", "why the clock is right (required for clock)", false},
			{NULL, NULL, NULL, false},
		},
	.run = confirm,
};

const struct command command_rollback = {
	.name = "rollback",
	.arguments = "[DIGEST]",
	.help = "Go back from the policy on trial, or to the policy before the applied one, or to "
		"DIGEST",
	.most = 1,
	.options = {{NULL, NULL, NULL, false}},
	.run = rollback,
};
