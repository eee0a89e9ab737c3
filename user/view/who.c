/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * who.c - the page of `weir who`: whose an address is.
 */
#include <string.h>

#include "user/base/field.h"
#include "user/view/parts.h"
#include "user/view/show.h"

static void print_prefix(const char *label, json_object *prefix, FILE *out)
{
	fprintf(out, "%-9s %s (%s)\n", label, field_text(prefix, "prefix"),
		field_text(prefix, "partner"));
}

static void print_prefixes(const char *label, json_object *answer, const char *key, FILE *out)
{
	for (size_t i = 0; i < field_count(answer, key); i++)
		print_prefix(i ? "" : label, field_item(answer, key, i), out);
}

static void print_whose(json_object *answer, FILE *out)
{
	json_object *partner = field_object(answer, "partner");

	fprintf(out, "address   %s: ", field_text(answer, "address"));
	if (partner)
		fprintf(out, "partner %s", field_text(partner, "name"));
	else
		fputs("no partner, a stranger", out);
	for (size_t i = 0; i < field_count(partner, "classes"); i++)
		fprintf(out, "%s%s%s", i ? ", " : " (class ",
			json_object_get_string(field_item(partner, "classes", i)),
			i + 1 == field_count(partner, "classes") ? ")" : "");
	fputs(field_count(answer, "lifeline") ? "; in the lifeline\n" : "\n", out);
}

static void print_rules(const char *label, json_object *object, const char *key, FILE *out)
{
	for (size_t i = 0; i < field_count(object, key); i++) {
		json_object *rule = field_item(object, key, i);
		const char *grant = field_text(rule, "grant");

		fprintf(out, "%-9s %s %s %s%s%s\n", i ? "" : label, field_text(rule, "service"),
			field_text(rule, "direction"), field_text(rule, "endpoint"),
			grant[0] ? ", grant " : "", grant);
	}
}

/* A stranger's, of the services that give one anything. */
static void print_strangers(json_object *answer, FILE *out)
{
	const char *label = "may";

	for (size_t i = 0; i < field_count(answer, "strangers"); i++) {
		json_object *rule = field_item(answer, "strangers", i);
		const char *serves = field_text(rule, "serves"), *calls = field_text(rule, "calls");

		if (strcmp(serves, "deny") == 0 && strcmp(calls, "deny") == 0)
			continue;
		fprintf(out, "%-9s %s serves strangers: %s; calls them: %s\n", label,
			field_text(rule, "service"), serves, calls);
		label = "";
	}
	if (label[0])
		fputs("may       nothing: no service gives strangers anything\n", out);
}

void who_print(json_object *answer, FILE *out)
{
	json_object *partner = field_object(answer, "partner");
	bool has_guard = field_object(answer, "state");

	print_whose(answer, out);
	if (field_object(answer, "names_known") && !field_is(answer, "names_known"))
		fputs("          THE GUARD'S POLICY IS NOT ON DISK: names are not known\n", out);
	if (field_object(answer, "prefix"))
		print_prefix("prefix", field_object(answer, "prefix"), out);
	if (field_object(answer, "added"))
		print_override(field_object(answer, "added"), out);
	print_prefixes("around", answer, "around", out);
	print_prefixes("near", answer, "near", out);
	print_rules("lifeline", answer, "lifeline", out);
	print_partner(partner, out);
	if (partner)
		print_rules("may", partner, "may", out);
	else
		print_strangers(answer, out);
	if (!has_guard)
		return;
	print_state(answer, out);
	print_cuts(answer, out);
	print_budgets(answer, out);
	print_sessions(answer, out);
	print_recent(answer, out);
	print_next(answer, out);
}
