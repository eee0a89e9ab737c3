/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* plan.c - a plan for people. */
#include "user/view/plan.h"

#include <inttypes.h>
#include <string.h>

#include "bpf/abi.h"
#include "user/base/field.h"
#include "user/base/units.h"
#include "user/view/parts.h"

enum { MOST_TARGETS = 8 };

static bool is_state(json_object *stage, const char *state)
{
	return strcmp(field_text(stage, "state"), state) == 0;
}

/* The stage that is next or under way; NULL: there is none. */
static json_object *current_stage(json_object *plan)
{
	for (size_t i = 0; i < field_count(plan, "stages"); i++) {
		json_object *stage = field_item(plan, "stages", i);

		if (!is_state(stage, "done"))
			return stage;
	}
	return NULL;
}

static void print_rules(json_object *stage, FILE *out)
{
	uint64_t parts = field_number(stage, "parts"),
		 seconds = field_number(stage, "watch_seconds");
	uint64_t approvals = field_number(stage, "approvals");
	char span[SPAN_TEXT];

	span_format(seconds * NS_PER_SECOND, span, sizeof(span));
	fprintf(out, "            %" PRIu64 " approval%s%s", approvals, approvals == 1 ? "" : "s",
		field_is(stage, "evidence") ? ", evidence" : "");
	if (seconds)
		fprintf(out, "; watched for %s", span);
	else
		fputs("; not watched", out);
	if (parts < WEIR_WHOLE) {
		fputs(" with ", out);
		print_percent(stage, out);
		fputs(" of each budget", out);
	}
	if (seconds)
		fprintf(out, "; on breach: %s", field_text(stage, "on_breach"));
	fputc('\n', out);
}

static void print_targets(json_object *stage, FILE *out)
{
	size_t count = field_count(stage, "targets");

	fputs("            ", out);
	for (size_t i = 0; i < count && i < MOST_TARGETS; i++)
		fprintf(out, "%s%s", i ? ", " : "",
			json_object_get_string(field_item(stage, "targets", i)));
	if (count > MOST_TARGETS)
		fprintf(out, " and %zu more", count - MOST_TARGETS);
	fputc('\n', out);
}

static void print_approvals(json_object *stage, const char *key, FILE *out)
{
	bool are_over = strcmp(key, "approvals_over") == 0;

	for (size_t i = 0; i < field_count(stage, key); i++) {
		json_object *approval = field_item(stage, key, i);
		char when[32];

		fputs("            approved by ", out);
		print_plain(approval, "by", out);
		if (are_over)
			fprintf(out, " at %s, which is over, and does not count",
				time_text(field_number(approval, "at"), when));
		else if (field_object(approval, "until"))
			fprintf(out, ", which counts until %s",
				time_text(field_number(approval, "until"), when));
		fputc('\n', out);
	}
}

static void print_under_way(json_object *stage, FILE *out)
{
	json_object *held = field_object(stage, "held");
	char when[32];

	if (field_object(stage, "until"))
		fprintf(out, "            watched until %s\n",
			time_text(field_number(stage, "until"), when));
	else if (is_state(stage, "watched"))
		fputs("            its watch begins anew with the daemon\n", out);
	print_approvals(stage, "approved", out);
	print_approvals(stage, "approvals_over", out);
	if (field_object(stage, "evidence_given")) {
		fputs("            evidence: ", out);
		print_plain(stage, "evidence_given", out);
		fputc('\n', out);
	}
	if (field_object(stage, "why")) {
		fputs("            cut again: ", out);
		print_plain(stage, "why", out);
		fputc('\n', out);
	}
	if (held)
		fprintf(out, "            %s is cut by %s still\n", field_text(held, "target"),
			field_text(held, "id"));
}

/* What brings the plan on. */
static void print_what_next(json_object *stage, FILE *out)
{
	json_object *held = field_object(stage, "held");
	uint64_t lacking = field_number(stage, "approvals") - field_count(stage, "approved");

	if (held && field_object(held, "order"))
		fprintf(out,
			"next: weir order write reopen --cut %s --target %s ..., signed by two\n",
			field_text(held, "order"), field_text(held, "target"));
	else if (held)
		fprintf(out, "next: weir reopen %s --reason ...\n", field_text(held, "target"));
	else if (!is_state(stage, "watched"))
		fprintf(out, "next: weir plan next%s%s\n",
			field_is(stage, "evidence") && !field_object(stage, "evidence_given")
				? " --evidence REF"
				: "",
			lacking > 1 || field_count(stage, "approved")
				? ", by somebody else each time"
				: "");
}

void print_plan(json_object *plan, FILE *out)
{
	json_object *current;
	char when[32];

	if (!plan) {
		fputs("no plan is under way\n", out);
		return;
	}
	fprintf(out, "plan %s: ", field_text(plan, "name"));
	print_plain(plan, "reason", out);
	fprintf(out, ", started %s by ", time_text(field_number(plan, "started"), when));
	print_plain(plan, "by", out);
	fputc('\n', out);
	for (size_t i = 0; i < field_count(plan, "stages"); i++) {
		json_object *stage = field_item(plan, "stages", i);

		fprintf(out, "  %-9s %s\n", field_text(stage, "state"), field_text(stage, "name"));
		print_targets(stage, out);
		print_rules(stage, out);
		print_under_way(stage, out);
	}
	current = current_stage(plan);
	if (current)
		print_what_next(current, out);
	if (!field_is(plan, "is_saved"))
		fputs("NOT SAVED: the state directory does not take it\n", out);
}

void print_plan_line(json_object *plan, FILE *out)
{
	json_object *stage = current_stage(plan);
	char when[32];

	if (!stage)
		return;
	fprintf(out, "%-9s %s: stage %s %s", "plan", field_text(plan, "name"),
		field_text(stage, "name"), field_text(stage, "state"));
	if (field_object(stage, "until"))
		fprintf(out, " until %s", time_text(field_number(stage, "until"), when));
	fputs(" (weir plan status)\n", out);
}
