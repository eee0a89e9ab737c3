/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refused.c - the page of `weir refused`: partner by partner, what did not go out.
 */
#include "user/view/refused.h"

#include <inttypes.h>
#include <string.h>

#include "user/base/field.h"
#include "user/base/units.h"
#include "user/view/parts.h"

/* "sftp serves 198.51.100.2 port 50000 at tcp/22", "batch calls 198.51.100.2 tcp/443" */
static void print_flow(json_object *item, FILE *out)
{
	const char *direction = field_text(item, "direction");
	bool serves = strcmp(direction, "serves") == 0;
	uint64_t port = field_number(item, serves ? "local_port" : "peer_port");
	uint64_t other = field_number(item, serves ? "peer_port" : "local_port");

	fprintf(out, "%s %s %s", field_text(item, "service"), direction, field_text(item, "peer"));
	if (serves && other)
		fprintf(out, " port %" PRIu64 ",", other);
	fprintf(out, " %s", field_text(item, "protocol"));
	if (port)
		fprintf(out, "/%" PRIu64, port);
	if (!serves && other)
		fprintf(out, " from port %" PRIu64, other);
}

static void print_why(json_object *item, FILE *out)
{
	fprintf(out, "; %s", field_text(item, "reason"));
	if (field_text(item, "order")[0])
		fprintf(out, " %s", field_text(item, "order"));
	if (field_text(item, "order_reason")[0]) {
		fputs(" (", out);
		print_plain(item, "order_reason", out);
		fputc(')', out);
	}
}

static void print_who(json_object *item, FILE *out)
{
	if (!field_text(item, "program")[0])
		return;
	fputs("; ", out);
	print_plain(item, "program", out);
	if (field_number(item, "pid"))
		fprintf(out, "[%" PRIu64 "]", field_number(item, "pid"));
	if (field_text(item, "user")[0]) {
		fputs(" of ", out);
		print_plain(item, "user", out);
	}
}

static void print_item(json_object *item, FILE *out)
{
	char first[32], last[32], acked[BYTES_TEXT], sent[BYTES_TEXT];
	uint64_t count = field_number(item, "count");

	time_text(field_number(item, "first"), first);
	time_text(field_number(item, "last"), last);
	if (strcmp(field_text(item, "kind"), "severed") == 0) {
		bytes_format(field_number(item, "acked_bytes"), acked, sizeof(acked));
		bytes_format(field_number(item, "sent_bytes"), sent, sizeof(sent));
		fprintf(out, "  %s  severed  ", last);
		print_flow(item, out);
		fprintf(out, "; at least %s, at most %s had left", acked, sent);
	} else {
		fprintf(out, "  %s  refused  ", first);
		print_flow(item, out);
		if (count > 1)
			fprintf(out, "; %" PRIu64 " times until %s", count, last);
	}
	print_why(item, out);
	print_who(item, out);
	fputc('\n', out);
}

static void print_head(json_object *partner, FILE *out)
{
	json_object *info = field_object(partner, "info");
	const char *before = "  (";

	if (field_text(partner, "name")[0])
		print_plain(partner, "name", out);
	else
		fputs("strangers", out);
	if (json_object_is_type(info, json_type_object)) {
		json_object_object_foreach(info, key, value)
		{
			(void)value;
			fprintf(out, "%s%s: ", before, key);
			print_plain(info, key, out);
			before = "; ";
		}
	}
	fputs(*before == ';' ? ")\n" : "\n", out);
}

static void print_group(json_object *partner, FILE *out)
{
	uint64_t unlisted = field_number(partner, "unlisted");
	uint64_t edge = field_number(partner, "edge_dropped_packets");

	print_head(partner, out);
	for (size_t i = 0; i < field_count(partner, "items"); i++)
		print_item(field_item(partner, "items", i), out);
	if (unlisted)
		fprintf(out, "  %" PRIu64 " more refusals are not in this list\n", unlisted);
	if (edge)
		fprintf(out,
			"  %" PRIu64 " packets from there were dropped before the stack: of what "
			"they asked for nothing is known\n",
			edge);
}

void refused_print(json_object *answer, FILE *out)
{
	uint64_t lost = field_number(answer, "lost_events");
	size_t count = field_count(answer, "partners");
	char when[32];

	for (size_t i = 0; i < count; i++)
		print_group(field_item(answer, "partners", i), out);
	if (!count)
		fputs("nothing was refused\n", out);
	fprintf(out, "this list goes back to %s", time_text(field_number(answer, "began"), when));
	if (field_object(answer, "since"))
		fprintf(out, "; told from %s on, but what is not in it is counted over all",
			time_text(field_number(answer, "since"), when));
	fputc('\n', out);
	if (lost)
		fprintf(out,
			"%" PRIu64 " EVENTS WERE LOST since then: sessions that were severed may "
			"be missing\n",
			lost);
}
