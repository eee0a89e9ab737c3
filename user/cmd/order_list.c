/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_list.c - `weir order list`: the journal's lines, one for each order, the newest last.
 */
#include <inttypes.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/cmd/call.h"
#include "user/cmd/order.h"

static const char *state_of(json_object *order)
{
	if (field_object(order, "in_force"))
		return field_is(order, "in_force") ? "in force" : "over";
	return field_text(field_object(order, "record"), "result");
}

static void put_some(FILE *out, const char *before, json_object *object, const char *key)
{
	const char *text = field_text(object, key);

	if (*text)
		fprintf(out, "%s%s", before, text);
}

/* Its targets, or else those of what it let back; the step of a plan; the policy. */
static void put_what(json_object *record, FILE *out)
{
	json_object *policy = field_object(record, "policy");
	size_t count = field_count(record, "targets");

	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%s", i ? " " : "  ",
			json_object_get_string(field_item(record, "targets", i)));
	for (size_t i = 0; count == 0 && i < field_count(record, "cuts"); i++)
		put_some(out, i ? " " : "  ", field_item(record, "cuts", i), "id");
	if (count == 0 && field_count(record, "cuts") == 0) /* it let nothing back */
		put_some(out, "  of ", record, "order");
	put_some(out, "  plan ", record, "plan");
	put_some(out, ", stage ", record, "stage");
	if (policy) {
		put_some(out, "  policy ", policy, "name");
		fprintf(out, " (%.12s)", field_text(policy, "digest"));
	}
}

/* Who handed a signed order in gave none. */
static void put_signers(json_object *record, FILE *out)
{
	for (size_t i = 0; i < field_count(record, "signatures"); i++)
		put_some(out, i ? ", " : ", signed by ", field_item(record, "signatures", i),
			 "principal");
}

static void put_order(json_object *order, FILE *out)
{
	json_object *record = field_object(order, "record");
	char when[32];

	fprintf(out, "%-17s  %s  %-13s  %-8s", field_text(order, "id"),
		time_text(field_number(order, "at"), when), field_text(record, "kind"),
		state_of(order));
	put_what(record, out);
	put_some(out, ", by ", field_object(record, "by"), "text");
	put_signers(record, out);
	put_some(out, ", asked for by ", field_object(record, "asked_by"), "text");
	put_some(out, ": ", record, "reason");
	put_some(out, "; ", record, "why");
}

/* The journal holds what callers wrote, and may hold what nobody meant to: nothing of it steers the
 * terminal. */
static void print_order(json_object *order)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return;
	put_order(order, out);
	text_put_line(stdout, "%s", fclose(out) == 0 ? text : "(out of memory)");
}

static void print_list(const struct answer *answer)
{
	uint64_t unlisted = field_number(answer->object, "unlisted");

	if (unlisted)
		printf("%" PRIu64 " older lines are not listed\n", unlisted);
	for (size_t i = 0; i < field_count(answer->object, "orders"); i++)
		print_order(field_item(answer->object, "orders", i));
	if (!field_number(answer->object, "lines"))
		puts("nothing was ordered here");
	else if (!field_is(answer->object, "guard"))
		puts("no guard is loaded: what is in force holds when one is");
}

/* What was told stands in the answer also when the journal does not hold, and the code is 1. */
int order_list(const struct arguments *arguments)
{
	struct answer answer;
	int code;

	if (arguments->count > 1)
		return command_usage(arguments, "list takes no more arguments");
	code = call_journal(arguments, call_new("orders"), &answer);
	if (field_object(answer.object, "orders") && arguments_has(arguments, "--json"))
		puts(json_object_to_json_string_ext(field_object(answer.object, "orders"),
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (field_object(answer.object, "orders"))
		print_list(&answer);
	answer_free(&answer);
	return code;
}
