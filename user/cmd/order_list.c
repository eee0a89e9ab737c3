/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_list.c - `weir order list`: the journal's lines, one for each order, the newest last.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/cmd/call.h"
#include "user/cmd/order.h"

static const char *state_of(json_object *order)
{
	if (field_object(order, "in_force"))
		return field_is(order, "in_force") ? "in force" : "over";
	return field_text(field_object(order, "record"), "result");
}

static void print_plain(const char *before, json_object *object, const char *key)
{
	char *text = field_plain(object, key);

	if (text && *text)
		printf("%s%s", before, text);
	free(text);
}

/* Its targets, or else those of what it let back, or the policy. */
static void print_what(json_object *record)
{
	json_object *policy = field_object(record, "policy");
	size_t count = field_count(record, "targets");

	for (size_t i = 0; i < count; i++) {
		char *target = field_plain_item(record, "targets", i);

		printf("%s%s", i ? " " : "  ", target ? target : "");
		free(target);
	}
	for (size_t i = 0; count == 0 && i < field_count(record, "cuts"); i++)
		print_plain(i ? " " : "  ", field_item(record, "cuts", i), "id");
	if (policy) {
		print_plain("  policy ", policy, "name");
		printf(" (%.12s)", field_text(policy, "digest"));
	}
}

static void print_order(json_object *order)
{
	json_object *record = field_object(order, "record");
	char when[32];

	printf("%-17s  %s  %-13s  %-8s", field_text(order, "id"),
	       time_text(field_number(order, "at"), when), field_text(record, "kind"),
	       state_of(order));
	print_what(record);
	print_plain(", by ", field_object(record, "by"), "text");
	print_plain(": ", record, "reason");
	print_plain("; ", record, "why");
	putchar('\n');
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
