/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* dry_run.c - what a cut would do, for people. */
#include "user/view/dry_run.h"

#include <inttypes.h>

#include "user/base/field.h"

enum { MOST_PARTNERS = 20 };

static void print_sockets(json_object *answer, FILE *out)
{
	size_t count = field_count(answer, "sockets");

	for (size_t i = 0; i < count; i++) {
		json_object *socket = field_item(answer, "sockets", i);
		const char *partner = field_text(socket, "partner");

		fprintf(out, "%s  %s port %" PRIu64 "  %s %s port %" PRIu64 "\n",
			field_text(socket, "service"), field_text(socket, "local"),
			field_number(socket, "local_port"), partner[0] ? partner : "stranger",
			field_text(socket, "peer"), field_number(socket, "peer_port"));
	}
}

static void print_partners(json_object *answer, FILE *out)
{
	size_t count = field_count(answer, "partners"), shown = 0;

	fprintf(out, "it would stop %" PRIu64 " partners", field_number(answer, "partner_count"));
	for (; shown < count && shown < MOST_PARTNERS; shown++) {
		json_object *partner = field_item(answer, "partners", shown);

		fprintf(out, "%s%s", shown ? ", " : ": ", field_text(partner, "name"));
		if (field_number(partner, "connections"))
			fprintf(out, " (%" PRIu64 " connections)",
				field_number(partner, "connections"));
	}
	fprintf(out, "%s\n", field_number(answer, "partner_count") > shown ? ", ..." : "");
}

static void print_spared(json_object *answer, FILE *out)
{
	size_t count = field_count(answer, "lifeline");

	if (count == 0)
		return;
	fputs("the lifeline spares ", out);
	for (size_t i = 0; i < count; i++) {
		json_object *spared = field_item(answer, "lifeline", i);

		fprintf(out, "%s%s (%" PRIu64 " connections)", i ? ", " : "",
			field_text(spared, "service"), field_number(spared, "connections"));
	}
	fputc('\n', out);
}

void print_dry_run(json_object *answer, FILE *out)
{
	print_sockets(answer, out);
	print_partners(answer, out);
	print_spared(answer, out);
	if (field_object(answer, "lifeline_problem"))
		fprintf(out, "not all of these are counted: %s\n",
			field_text(answer, "lifeline_problem"));
	fprintf(out, "it would end %" PRIu64 " connections; nothing was done\n",
		field_number(answer, "selected"));
}
