/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_end.c - `weir order end`: an extension, a pause, an addition to a partner or a probation is
 * over before its time.
 */
#include "user/cmd/call.h"
#include "user/cmd/order.h"

int order_end(const struct arguments *arguments)
{
	struct answer answer;
	json_object *request;
	int code;

	if (arguments->count != 2)
		return command_usage(arguments, "end takes one ID");
	if (!arguments_has(arguments, "--reason"))
		return command_usage(arguments, "--reason is missing");
	request = call_new("end");
	call_put_text(request, "order", arguments->item[1]);
	call_put_text(request, "reason", arguments_value(arguments, "--reason"));
	code = call_host(arguments, request, true, &answer);
	if (field_object(answer.object, "ended")) {
		printf("%s is over: %s\n", field_text(answer.object, "ended"),
		       field_text(answer.object, "target"));
		if (!answer.by_daemon)
			puts("no daemon answers: done on the pinned guard");
	}
	answer_free(&answer);
	return code;
}
