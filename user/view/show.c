/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * show.c - the page of `weir show`: what holds the target first, what to type last.
 */
#include "user/view/show.h"

#include <inttypes.h>

#include "user/base/field.h"
#include "user/base/units.h"
#include "user/view/parts.h"

static void print_when(json_object *total, const char *key, FILE *out)
{
	char when[32];

	if (field_object(total, key))
		fprintf(out, ", last %s", time_text(field_number(total, key), when));
	fputc('\n', out);
}

static void print_total(json_object *total, FILE *out)
{
	char sent[BYTES_TEXT], acked[BYTES_TEXT], refused[BYTES_TEXT];

	if (!total)
		return;
	bytes_format(field_number(total, "sent_bytes"), sent, sizeof(sent));
	bytes_format(field_number(total, "acked_bytes"), acked, sizeof(acked));
	bytes_format(field_number(total, "refused_bytes"), refused, sizeof(refused));
	fprintf(out, "sent      at most %s, at least %s, in all that is kept", sent, acked);
	print_when(total, "last_sent_at", out);
	if (field_number(total, "refused_packets")) {
		fprintf(out, "refused   %" PRIu64 " packets, %s with what was sent again",
			field_number(total, "refused_packets"), refused);
		print_when(total, "last_refused_at", out);
	}
	if (field_number(total, "would_refuse_packets"))
		fprintf(out, "observed  %" PRIu64 " packets would have been refused\n",
			field_number(total, "would_refuse_packets"));
	if (field_number(total, "edge_dropped_packets"))
		fprintf(out, "dropped   %" PRIu64 " packets from there, before the stack\n",
			field_number(total, "edge_dropped_packets"));
}

/* From the events that are held, and no further back. */
static void print_usual(json_object *usual, FILE *out)
{
	char median[BYTES_TEXT], largest[BYTES_TEXT], when[32];

	if (!usual)
		return;
	bytes_format(field_number(usual, "median_bytes"), median, sizeof(median));
	bytes_format(field_number(usual, "largest_bytes"), largest, sizeof(largest));
	fprintf(out,
		"usual     %" PRIu64 " connections ended since %s: median %s sent, largest %s\n",
		field_number(usual, "connections"), time_text(field_number(usual, "since"), when),
		median, largest);
}

void show_print(json_object *answer, FILE *out)
{
	print_state(answer, out);
	print_partner(field_object(answer, "partner"), out);
	print_cuts(answer, out);
	print_overrides(answer, out);
	print_budgets(answer, out);
	print_total(field_object(answer, "total"), out);
	print_usual(field_object(answer, "usual"), out);
	print_sessions(answer, out);
	print_recent(answer, out);
	print_next(answer, out);
}
