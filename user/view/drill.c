/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drill.c - the report of `weir drill`.
 */
#include "user/view/drill.h"

#include <inttypes.h>
#include <string.h>

#include "user/base/field.h"
#include "user/base/text.h"
#include "user/view/parts.h"

/* "    in the kernel                0.412 ms" */
static void print_ms(json_object *object, const char *key, const char *what, FILE *out)
{
	if (field_object(object, key))
		fprintf(out, "  %-34s %9.3f ms\n", what, field_real(object, key));
}

static void print_head(json_object *report, FILE *out)
{
	json_object *policy = field_object(report, "policy"),
		    *drill = field_object(report, "drill");
	char when[32];

	fputs("drill     ", out);
	print_plain(report, "target", out);
	fprintf(out, ", %s, by ", time_text(field_number(report, "began"), when));
	print_plain(report, "by", out);
	fprintf(out, "\nhost      %s, instance %s, weir %s, kernel %s\n",
		field_text(report, "host"), field_text(report, "instance"),
		field_text(report, "weir"), field_text(report, "kernel"));
	fputs("policy    ", out);
	print_plain(policy, "name", out);
	fprintf(out, " (%s)\n", field_text(policy, "digest"));
	if (drill)
		fprintf(out, "seen at   %s port %" PRIu64 ", by a connection of the drill's own\n",
			field_text(drill, "address"), field_number(drill, "port"));
	else
		fputs("NOT SEEN FROM OUTSIDE: the policy has no address to drill at; all times are "
		      "the guard's own\n",
		      out);
}

static void print_cut(json_object *cut, FILE *out)
{
	json_object *seen = field_object(cut, "seen");

	if (!cut)
		return;
	fprintf(out, "\ncut %s, after it was accepted\n", field_text(cut, "order"));
	print_ms(cut, "in_force_ms", "the kernel refuses", out);
	print_ms(cut, "ended_ms", "connections ended", out);
	print_ms(cut, "saved_ms", "on disk, with its line", out);
	print_ms(cut, "acknowledged_ms", "acknowledged", out);
	print_ms(seen, "first_refused_ms", "seen: first connection refused", out);
	print_ms(seen, "connection_ended_ms", "seen: own connection ended", out);
	print_ms(seen, "last_byte_acknowledged_ms", "seen: last byte at the far end", out);
	if (seen)
		fprintf(out,
			"  %" PRIu64 " of %" PRIu64
			" new connections refused; the far end had %" PRIu64 " bytes\n",
			field_number(seen, "refused"), field_number(seen, "tries"),
			field_number(seen, "acked_bytes"));
	fprintf(out, "  %" PRIu64 " connections ended, %" PRIu64 " of the target left open\n",
		field_number(cut, "ended_connections"), field_number(cut, "open_connections"));
}

static void print_reopening(json_object *reopening, FILE *out)
{
	json_object *seen = field_object(reopening, "seen");

	if (!reopening)
		return;
	fputs("\nreopening, after it was accepted\n", out);
	print_ms(reopening, "saved_ms", "on disk", out);
	print_ms(reopening, "in_force_ms", "the kernel lets pass", out);
	print_ms(reopening, "acknowledged_ms", "acknowledged", out);
	print_ms(seen, "connected_ms", "seen: connected", out);
	print_ms(seen, "first_byte_acknowledged_ms", "seen: first byte at the far end", out);
}

static void print_lifeline(json_object *lifeline, FILE *out)
{
	if (!lifeline)
		return;
	fprintf(out,
		"\nlifeline  %" PRIu64 " connections before, %" PRIu64
		" of them open during the cut, %" PRIu64 " refused\n",
		field_number(lifeline, "connections_before"), field_number(lifeline, "still_open"),
		field_number(lifeline, "refused"));
}

void drill_print(json_object *report, FILE *out)
{
	print_head(report, out);
	print_cut(field_object(report, "cut"), out);
	print_reopening(field_object(report, "reopening"), out);
	print_lifeline(field_object(report, "lifeline"), out);
	for (size_t i = 0; i < field_count(report, "faults"); i++)
		text_put_line(out, "FAULT     %s",
			      json_object_get_string(field_item(report, "faults", i)));
	fprintf(out, "result    %s\n",
		strcmp(field_text(report, "result"), "held") == 0 ? "the cut held"
								  : "THE DRILL FAILED");
}
