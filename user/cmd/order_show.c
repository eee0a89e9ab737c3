/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_show.c - `weir order show`: all that the journal has of one order, from its beginning to
 * its end.
 */
#include <inttypes.h>
#include <string.h>

#include "bpf/abi.h"
#include "user/base/text.h"
#include "user/base/units.h"
#include "user/cmd/call.h"
#include "user/cmd/order.h"

/* Nothing of what callers wrote steers the terminal. */
static void print_text(const char *name, json_object *object, const char *key)
{
	if (field_text(object, key)[0])
		text_put_line(stdout, "  %-12s %s", name, field_text(object, key));
}

static void print_bytes(const char *name, json_object *record, const char *key)
{
	char bytes[BYTES_TEXT];

	if (!field_number(record, key))
		return;
	bytes_format(field_number(record, key), bytes, sizeof(bytes));
	printf("  %-12s %s\n", name, bytes);
}

static void print_time(const char *name, json_object *record, const char *key)
{
	uint64_t ns = field_number(record, key);
	char when[32];

	if (ns)
		printf("  %-12s %s\n", name, time_text(ns / NS_PER_SECOND, when));
}

static void print_cuts(json_object *record)
{
	for (size_t i = 0; i < field_count(record, "cuts"); i++) {
		json_object *cut = field_item(record, "cuts", i);
		const char *exception = field_text(cut, "exception");

		text_put_line(stdout, "  %-12s %s %s, %s%s%s", "lets back", field_text(cut, "id"),
			      field_text(cut, "target"), field_text(cut, "how"),
			      exception[0] ? " " : "", exception);
	}
}

static void print_signatures(json_object *record)
{
	print_text("body sha256", record, "body_sha256");
	for (size_t i = 0; i < field_count(record, "signatures"); i++) {
		json_object *signature = field_item(record, "signatures", i);

		print_text("signed by", signature, "principal");
		print_text("with", signature, "key");
	}
}

/* Of an extension, an addition, a probation. */
static void print_change(json_object *record)
{
	print_text("grant", record, "grant");
	print_bytes("more", record, "more_bytes");
	print_bytes("of reserve", record, "drawn_bytes");
	print_text("prefix", record, "prefix");
	if (field_number(record, "parts"))
		printf("  %-12s %.3g %%\n", "share",
		       100.0 * (double)field_number(record, "parts") / WEIR_WHOLE);
}

static void print_step(json_object *record)
{
	print_text("plan", record, "plan");
	print_text("stage", record, "stage");
	print_text("evidence", record, "evidence");
}

/* Who asked for what took two people, and why. */
static void print_first(json_object *record)
{
	json_object *first = field_object(record, "asked_by");
	const char *reason = field_text(first, "reason");

	if (first)
		text_put_line(stdout, "  %-12s %s, in line %" PRIu64 "%s%s", "asked for by",
			      field_text(first, "text"), field_number(first, "line"),
			      reason[0] ? ": " : "", reason);
}

static void print_line(json_object *line)
{
	json_object *record = field_object(line, "record");
	json_object *policy = field_object(record, "policy");
	char when[32];

	text_put_line(stdout, "line %" PRIu64 ", %s: %s %s%s", field_number(line, "line"),
		      time_text(field_number(line, "at"), when), field_text(record, "kind"),
		      field_text(record, "result"),
		      field_is(record, "found") ? ", found in force without a line" : "");
	if (field_number(record, "of"))
		printf("  %-12s line %" PRIu64 "\n", "of", field_number(record, "of"));
	print_text("why", record, "why");
	for (size_t i = 0; i < field_count(record, "targets"); i++)
		text_put_line(stdout, "  %-12s %s", "target",
			      json_object_get_string(field_item(record, "targets", i)));
	print_text("order", record, "order");
	print_change(record);
	print_step(record);
	print_text("reason", record, "reason");
	print_text("by", field_object(record, "by"), "text");
	print_first(record);
	print_time("since", record, "since_ns");
	print_time("until", record, "until_ns");
	print_time("waits until", record, "waits_until_ns");
	print_text("policy", policy, "name");
	print_text("digest", policy, "digest");
	print_cuts(record);
	if (field_object(record, "ended_connections"))
		printf("  %-12s %" PRIu64 " connections\n", "ended",
		       field_number(record, "ended_connections"));
	print_text("in part", record, "in_part");
	print_signatures(record);
}

static void print_exceptions(json_object *answer)
{
	for (size_t i = 0; i < field_count(answer, "except"); i++) {
		json_object *exception = field_item(answer, "except", i);

		text_put_line(stdout, "but not %s (%s)", field_text(exception, "target"),
			      field_text(exception, "id"));
	}
}

/* In force, or not, is the cut or latch itself, whose last line says so. */
static void print_state(json_object *answer)
{
	json_object *last = NULL;

	for (size_t i = 0; i < field_count(answer, "lines"); i++) {
		json_object *line = field_item(answer, "lines", i);

		if (field_object(line, "in_force") &&
		    strcmp(field_text(line, "id"), field_text(answer, "id")) == 0)
			last = line;
	}
	if (last)
		printf("%s is %s\n", field_text(answer, "id"),
		       field_is(last, "in_force") ? "in force" : "over");
}

int order_show(const struct arguments *arguments)
{
	json_object *request;
	struct answer answer;
	int code;

	if (arguments->count != 2)
		return command_usage(arguments, "show takes one ID");
	request = call_new("order");
	call_put_text(request, "id", arguments->item[1]);
	code = call_journal(arguments, request, &answer);
	if (field_object(answer.object, "lines") && arguments_has(arguments, "--json")) {
		json_object_object_del(answer.object, "code");
		puts(json_object_to_json_string_ext(answer.object, JSON_C_TO_STRING_NOSLASHESCAPE));
	} else if (field_object(answer.object, "lines")) {
		print_state(answer.object);
		print_exceptions(answer.object);
		for (size_t i = 0; i < field_count(answer.object, "lines"); i++)
			print_line(field_item(answer.object, "lines", i));
	}
	answer_free(&answer);
	return code;
}
