/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refused.c - `weir refused`: what did not go out, partner by partner, for the notices to them.
 */
#include <string.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/base/now.h"
#include "user/base/units.h"
#include "user/cmd/call.h"
#include "user/cmd/holders.h"
#include "user/order/instant.h"
#include "user/view/refused.h"

/* A span back from now, or an instant in UTC that has come. Seconds since 1970. */
static int read_since(const char *text, uint64_t *seconds)
{
	uint64_t ns, now = wall_now();

	if (span_parse(text, &ns) == 0 && ns > 0 && ns < now)
		*seconds = (now - ns) / NS_PER_SECOND;
	else if (instant_parse(text, &ns) == 0 && ns >= NS_PER_SECOND && ns <= now)
		*seconds = ns / NS_PER_SECOND;
	else
		return -EINVAL;
	return 0;
}

static void add_users(json_object *answer)
{
	for (size_t i = 0; i < field_count(answer, "partners"); i++) {
		json_object *partner = field_item(answer, "partners", i);

		for (size_t j = 0; j < field_count(partner, "items"); j++)
			holder_add_user(field_item(partner, "items", j));
	}
}

static int run(const struct arguments *arguments)
{
	const char *since = arguments_value(arguments, "--since");
	_cleanup_free_ char *target = arguments->count ? call_target(arguments->item[0]) : NULL;
	struct answer answer;
	json_object *request;
	uint64_t seconds = 0;
	int code;

	if (since && read_since(since, &seconds) < 0)
		return command_usage(arguments,
				     "--since takes a span like 90m, 4h or 2d, or an instant like "
				     "2026-11-26T15:04:05Z that has come");
	request = call_new("refused");
	call_put_text(request, "target", target);
	if (since)
		json_object_object_add(request, "since", json_object_new_int64(seconds));
	code = call_host(arguments, request, true, &answer);
	if (code == CMD_DONE) {
		add_users(answer.object);
		json_object_object_del(answer.object, "code");
		if (arguments_has(arguments, "--json"))
			puts(json_object_to_json_string_ext(answer.object,
							    JSON_C_TO_STRING_NOSLASHESCAPE));
		else
			refused_print(answer.object, stdout);
	}
	if (code == CMD_DONE && !answer.by_daemon) {
		command_refuse(arguments, "no daemon answers; this is the list as it was saved");
		code = CMD_NO_DAEMON;
	}
	answer_free(&answer);
	return code;
}

const struct command command_refused = {
	.name = "refused",
	.arguments = "[TARGET]",
	.help = "List what did not go out, partner by partner: refused flows, severed sessions",
	.most = 1,
	.options =
		{
			{"--since", "SPAN/INSTANT", "only what was refused or severed since",
			 false},
			{"--json", NULL, "the same as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
