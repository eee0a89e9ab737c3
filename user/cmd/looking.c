/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * looking.c - what `weir show` and `weir who` have in common.
 */
#include "user/cmd/looking.h"

#include "user/cmd/holders.h"
#include "user/cmd/recent.h"

int look(const struct arguments *arguments, json_object *request,
	 void (*print)(json_object *answer, FILE *out))
{
	struct answer answer;
	int code = call_host(arguments, request, true, &answer);

	if (code == CMD_DONE) {
		holders_add(answer.object);
		recent_add(arguments->instance, answer.object);
		json_object_object_del(answer.object, "code");
		if (arguments_has(arguments, "--json"))
			puts(json_object_to_json_string_ext(answer.object,
							    JSON_C_TO_STRING_NOSLASHESCAPE));
		else
			print(answer.object, stdout);
	}
	if (code == CMD_DONE && !answer.by_daemon) {
		command_refuse(arguments, "no daemon answers; this is the guard's pinned state");
		code = CMD_NO_DAEMON;
	}
	answer_free(&answer);
	return code;
}
