/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference.c - asks what one policy lets leave that another does not, and prints it.
 */
#include "user/cmd/difference.h"

#include <inttypes.h>
#include <stdlib.h>

json_object *difference_side_files(const struct sources *sources)
{
	json_object *side = json_object_new_object();

	json_object_object_add(side, "files", call_files(sources));
	return side;
}

json_object *difference_side_digest(const char *digest)
{
	json_object *side = json_object_new_object();

	call_put_text(side, "digest", digest);
	return side;
}

json_object *difference_side_previous(void)
{
	json_object *side = json_object_new_object();

	json_object_object_add(side, "previous", json_object_new_boolean(true));
	return side;
}

static void print(json_object *answer)
{
	uint64_t looser = field_number(answer, "looser"), tighter = field_number(answer, "tighter"),
		 changed = field_number(answer, "changed");

	for (size_t i = 0; i < field_count(answer, "lines"); i++) {
		json_object *line = field_item(answer, "lines", i);
		char *text = field_plain(line, "text");

		printf("  %-8s %s\n", field_text(line, "direction"), text ? text : "");
		free(text);
	}
	if (field_number(answer, "unlisted"))
		printf("  and %" PRIu64 " more that are not listed\n",
		       field_number(answer, "unlisted"));
	if (looser + tighter + changed == 0)
		puts("nothing changes");
	else
		printf("%" PRIu64 " looser, %" PRIu64 " tighter, %" PRIu64
		       " changed in a way that may be either\n",
		       looser, tighter, changed);
	fflush(stdout);
}

int difference_tell(const struct arguments *arguments, json_object *before, json_object *after)
{
	json_object *request = call_new("difference");
	struct answer answer;
	int code;

	if (before)
		json_object_object_add(request, "before", before);
	if (after)
		json_object_object_add(request, "after", after);
	code = call_host(arguments, request, true, &answer);
	if (code == CMD_DONE)
		print(answer.object);
	answer_free(&answer);
	return code;
}
