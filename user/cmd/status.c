/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * status.c - `weir status`: the daemon's JSON, or a page for people made from it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/cmd/call.h"
#include "user/daemon/stand_in.h"
#include "user/daemon/without_guard.h"
#include "user/kernel/guard.h"
#include "user/view/parts.h"
#include "user/view/plan.h"

enum { MOST_PARTNERS = 40 }; /* on the page for people; --json has them all */

/* Local orders that wait for another login. */
static void print_four_eyes(json_object *status)
{
	json_object *four_eyes = field_object(status, "four_eyes");
	char when[32];

	if (field_is(four_eyes, "is_required"))
		puts("four eyes two logins for each local order that loosens");
	for (size_t i = 0; i < field_count(four_eyes, "pending"); i++) {
		json_object *pending = field_item(four_eyes, "pending", i);
		_cleanup_free_ char *by = field_plain(pending, "by");
		_cleanup_free_ char *reason = field_plain(pending, "reason");

		printf("WAITS     for a second person until %s: %s\n",
		       time_text(field_number(pending, "until"), when),
		       field_text(pending, "command"));
		printf("          asked for by %s%s%s\n", by ? by : "?",
		       reason && *reason ? ": " : "", reason ? reason : "");
	}
}

/* The policy is in force for a while. */
static void print_interim(json_object *interim)
{
	uint64_t left = field_number(interim, "seconds_left");
	json_object *back = field_object(interim, "back_to");
	char when[32], span[SPAN_TEXT];

	if (!interim)
		return;
	time_text(field_number(interim, "until"), when);
	span_format(left * NS_PER_SECOND, span, sizeof(span));
	if (left)
		printf("          in force for a while: goes back at %s, in %s,", when, span);
	else
		printf("          IN FORCE FOR A WHILE THAT ENDED at %s: goes back when the daemon "
		       "runs,",
		       when);
	printf(" to %s", back ? field_text(back, "name") : "the default, which blocks nothing");
	if (back)
		printf(" (%.12s)", field_text(back, "digest"));
	fputs(": ", stdout);
	print_plain(interim, "reason", stdout);
	puts("\n          `weir confirm` keeps it, `weir rollback` ends it");
}

static void print_policy(json_object *status)
{
	json_object *policy = field_object(status, "policy");
	char when[32];

	printf("policy    %s (%.12s), mode %s", field_text(policy, "name"),
	       field_text(policy, "digest"), field_text(status, "mode"));
	if (field_object(policy, "applied_at"))
		printf(", applied %s", time_text(field_number(policy, "applied_at"), when));
	putchar('\n');
	if (field_is(policy, "file_differs"))
		printf("          the file %s says something else\n", field_text(policy, "file"));
	if (field_object(policy, "trial_seconds_left") &&
	    !field_number(policy, "trial_seconds_left"))
		puts("          ON TRIAL, AND THE TRIAL IS OVER: it goes back when the daemon "
		     "runs");
	else if (field_object(policy, "trial_seconds_left"))
		printf("          on trial: goes back in %" PRIu64 " s unless `weir confirm`\n",
		       field_number(policy, "trial_seconds_left"));
	print_interim(field_object(policy, "interim"));
	if (!field_is(policy, "names_known"))
		puts("          it is none of those in the state directory: names are not known");
}

static void print_clock(json_object *status)
{
	json_object *clock = field_object(status, "clock");

	int64_t step = json_object_get_int64(field_object(clock, "step_seconds"));

	if (!field_is(clock, "is_confirmed") && step >= -60 && step <= 60)
		puts("clock     not confirmed, all hours are closed: `weir confirm clock --reason "
		     "TEXT`");
	else if (!field_is(clock, "is_confirmed"))
		printf("clock     stepped by %" PRId64 " s%s: `weir confirm clock --reason TEXT`\n",
		       json_object_get_int64(field_object(clock, "step_seconds")),
		       field_is(clock, "hours_closed") ? ", all hours are closed" : "");
}

static void print_privileges(json_object *status)
{
	json_object *privileges = field_object(status, "privileges");

	if (privileges && !field_is(privileges, "system_calls_filtered"))
		puts("daemon    ITS SYSTEM CALLS ARE NOT FILTERED: this kernel, or this build, "
		     "cannot");
	if (field_is(privileges, "has_others"))
		puts("daemon    IT HAS MORE CAPABILITIES THAN IT NEEDS");
	for (size_t i = 0; i < field_count(privileges, "lacks"); i++)
		printf("%s%s", i ? ", " : "daemon    without ",
		       json_object_get_string(field_item(privileges, "lacks", i)));
	if (field_count(privileges, "lacks"))
		putchar('\n');
}

static void print_namespaces(json_object *status)
{
	json_object *namespaces = field_object(status, "namespaces");

	if (field_number(namespaces, "closed"))
		printf("daemon    MAY NOT ENTER %" PRIu64 " OF %" PRIu64
		       " NETWORK NAMESPACES: a cut "
		       "stops them, their connections end late\n",
		       field_number(namespaces, "closed"), field_number(namespaces, "found"));
	if (field_object(namespaces, "error"))
		printf("daemon    A CGROUP COULD NOT BE READ (%s): what a cut stops there ends "
		       "late\n",
		       field_text(namespaces, "error"));
}

static void print_stand_in(const char *mode, uint64_t since, const char *why)
{
	char when[32];

	printf("IN PLACE  %s stands in for the guard since %s%s%s\n", mode, time_text(since, when),
	       why[0] ? ": " : "", why);
}

/* Where a guard judges, what stood in for it should be off. */
static void print_without_guard(const struct arguments *arguments, json_object *status)
{
	json_object *in_force = field_object(field_object(status, "without_guard"), "in_force");

	if (!in_force)
		return;
	if (json_object_is_type(in_force, json_type_object))
		print_stand_in(field_text(in_force, "mode"), field_number(in_force, "since"),
			       field_text(in_force, "why"));
	else
		puts("IN PLACE  something stands in for the guard, but what cannot be read");
	if (guard_is_judging(arguments->instance))
		puts("          THE GUARD JUDGES, AND THAT IS STILL ON: `weir without-guard off`");
}

static void print_host(json_object *status)
{
	json_object *host = field_object(status, "host"), *groups = field_object(host, "groups");

	if (!host || !json_object_array_length(groups))
		return;
	printf("groups    ");
	for (size_t i = 0; i < json_object_array_length(groups); i++)
		printf("%s%s", i ? ", " : "",
		       json_object_get_string(json_object_array_get_idx(groups, i)));
	putchar('\n');
}

/* Of the kinds of signed orders that have versions, which one is in force. */
static void print_in_force(json_object *status)
{
	static const char *const kinds[] = {"base", "signers", "beat"};
	json_object *in_force = field_object(status, "in_force");
	char when[32];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		json_object *one = field_object(in_force, kinds[i]);

		if (one && field_is(one, "damaged"))
			printf("%-9s %s.order IS DAMAGED: no order of this kind is taken\n",
			       kinds[i], kinds[i]);
		else if (one)
			printf("%-9s %" PRIu64 ", issued %s%s\n", kinds[i],
			       field_number(one, "version"),
			       time_text(field_number(one, "issued"), when),
			       field_object(one, "holds") && !field_is(one, "holds")
				       ? "; ANOTHER POLICY IS IN ITS PLACE HERE"
				       : "");
	}
}

static void print_hooks(json_object *status)
{
	size_t count = field_count(status, "hooks"), attached = 0;

	for (size_t i = 0; i < count; i++)
		attached += field_is(field_item(status, "hooks", i), "is_attached");
	printf("guarding  %s, %zu of %zu hooks\n", field_text(status, "cgroup"), attached, count);
	for (size_t i = 0; i < count; i++) {
		json_object *hook = field_item(status, "hooks", i);

		if (!field_is(hook, "is_attached"))
			printf("          NOT GUARDED: %s at %s is not attached\n",
			       field_text(hook, "name"), field_text(hook, "where"));
	}
}

static void print_attachment(json_object *status)
{
	json_object *attachment = field_object(status, "attachment");
	char since[32], until[32];

	for (size_t i = 0; i < field_count(attachment, "findings"); i++) {
		json_object *finding = field_item(attachment, "findings", i);
		bool is_over = field_object(finding, "until");

		printf("%s %s at %s since %s%s%s: %s\n", is_over ? "tampered " : "TAMPERED ",
		       field_text(finding, "what"), field_text(finding, "where"),
		       time_text(field_number(finding, "since"), since), is_over ? " until " : "",
		       is_over ? time_text(field_number(finding, "until"), until) : "",
		       field_text(finding, "detail"));
	}
}

static void print_all_cuts(json_object *status)
{
	size_t count = field_count(status, "cuts");
	char when[32];

	for (size_t i = 0; i < count; i++) {
		json_object *cut = field_item(status, "cuts", i);

		printf("cut       %s %s since %s by %s: %s\n", field_text(cut, "id"),
		       field_text(cut, "target"), time_text(field_number(cut, "since"), when),
		       field_text(cut, "by"), field_text(cut, "reason"));
		for (size_t j = 0; j < field_count(cut, "except"); j++)
			printf("          but not %s\n",
			       json_object_get_string(field_item(cut, "except", j)));
		if (field_object(cut, "until"))
			printf("          until %s\n", time_text(field_number(cut, "until"), when));
		if (field_object(cut, "stands_for"))
			printf("          stands for %s: ends with it\n",
			       field_text(cut, "stands_for"));
		if (field_object(cut, "has_object") && !field_is(cut, "has_object"))
			puts("          covers nothing: the policy does not have it");
	}
}

static void print_assumed(json_object *status)
{
	json_object *assumed = field_object(field_object(status, "meters"), "assumed");
	char since[32], until[32], bytes[BYTES_TEXT];

	if (!assumed)
		return;
	bytes_format(field_number(assumed, "bytes"), bytes, sizeof(bytes));
	printf("assumed   %s in %" PRIu64 " meters%s since %s: %s\n", bytes,
	       field_number(assumed, "meters"),
	       field_number(assumed, "stranger_slots") ? ", and strangers," : "",
	       time_text(field_number(assumed, "since"), since), field_text(assumed, "why"));
	printf("          until %s, or `weir meters reset --reason TEXT`\n",
	       time_text(field_number(assumed, "until"), until));
}

static void print_unsaved(json_object *status)
{
	json_object *unsaved = field_object(status, "unsaved");

	if (field_is(unsaved, "orders"))
		puts("UNSAVED   the orders: what was cut holds, but not over a loss of power");
	if (field_number(unsaved, "journal"))
		printf("UNSAVED   %" PRIu64 " lines of the journal of the orders\n",
		       field_number(unsaved, "journal"));
	if (field_number(unsaved, "refusals"))
		printf("UNSAVED   %" PRIu64 " refused orders, which the journal only counts\n",
		       field_number(unsaved, "refusals"));
	if (field_object(unsaved, "meters"))
		printf("UNSAVED   the meters: %s\n", field_text(unsaved, "meters"));
}

static void print_losses(json_object *status)
{
	json_object *lost = field_object(status, "lost");

	if (!lost)
		return;
	json_object_object_foreach(lost, name, value)
	{
		if (json_object_get_uint64(value))
			printf("lost      %s %" PRIu64 "\n", name, json_object_get_uint64(value));
	}
}

static bool has_traffic(json_object *entry)
{
	return field_number(entry, "sent_bytes") || field_number(entry, "refused_packets") ||
	       field_number(entry, "would_refuse_packets") ||
	       field_number(entry, "edge_dropped_packets");
}

static void print_total(const char *name, json_object *entry)
{
	char sent[BYTES_TEXT], acked[BYTES_TEXT], refused[BYTES_TEXT];

	bytes_format(field_number(entry, "sent_bytes"), sent, sizeof(sent));
	bytes_format(field_number(entry, "acked_bytes"), acked, sizeof(acked));
	bytes_format(field_number(entry, "refused_bytes"), refused, sizeof(refused));
	printf("  %-24s %10s %10s %10s %10" PRIu64 "\n", name, sent, acked, refused,
	       field_number(entry, "refused_packets"));
}

static void print_totals(json_object *status, const char *list, size_t most)
{
	size_t count = field_count(status, list), shown = 0, silent = 0;

	printf("%s\n  %-24s %10s %10s %10s %10s\n", list, "", "sent", "acked", "refused",
	       "packets");
	for (size_t i = 0; i < count; i++) {
		json_object *entry = field_item(status, list, i);

		if (!has_traffic(entry) || shown >= most) {
			silent++;
			continue;
		}
		print_total(field_text(entry, "name"), entry);
		shown++;
	}
	if (silent)
		printf("  and %zu more (--json)\n", silent);
}

static void print_page(const struct arguments *arguments, json_object *status, bool by_daemon)
{
	printf("instance  %s%s\n", arguments->instance,
	       by_daemon ? "" : ": NO DAEMON ANSWERS; the guard in the kernel goes on");
	print_hooks(status);
	print_privileges(status);
	print_namespaces(status);
	print_attachment(status);
	print_without_guard(arguments, status);
	print_policy(status);
	print_clock(status);
	print_host(status);
	print_in_force(status);
	print_four_eyes(status);
	print_all_cuts(status);
	print_overrides(status, stdout);
	print_plan_line(field_object(status, "plan"), stdout);
	print_reserves(status, stdout);
	print_assumed(status);
	print_unsaved(status);
	print_losses(status);
	print_totals(status, "services", SIZE_MAX);
	print_totals(status, "partners", MOST_PARTNERS);
}

/* There is no guard to tell of: what is in its place? */
static void tell_without_guard(const struct arguments *arguments)
{
	struct stand_in stand_in;
	int r = stand_in_read(arguments->instance, &stand_in);
	bool has_table;

	if (arguments_has(arguments, "--json")) {
		struct host host = {.instance = (char *)arguments->instance};
		struct json_out json = {.out = stdout};

		json_open(&json, NULL, '{');
		json_put_text(&json, "instance", arguments->instance);
		json_put_bool(&json, "daemon", false);
		json_put_bool(&json, "guard", false);
		stand_in_put(&host, &json);
		json_close(&json, '}');
		putchar('\n');
		return;
	}
	has_table = r < 0 && without_guard_has_table(arguments->instance);
	if (r < 0 && !has_table)
		printf("instance  %s: NO GUARD JUDGES, AND NOTHING STANDS IN FOR IT\n",
		       arguments->instance);
	else
		printf("instance  %s: NO GUARD JUDGES\n", arguments->instance);
	if (r == 0)
		print_stand_in(stand_in_name(stand_in.mode), stand_in.since_ns / NS_PER_SECOND,
			       stand_in.why);
	else if (has_table)
		puts("IN PLACE  a ruleset of nftables, of which weir has no note, stands in for "
		     "it");
}

/* What waits for its guard by this command's exit code must not start while something is amiss. An
 * interface without its edge is not: egress judges. */
static bool is_judging(json_object *status)
{
	json_object *attachment = field_object(status, "attachment");

	for (size_t i = 0; i < field_count(status, "hooks"); i++) {
		json_object *hook = field_item(status, "hooks", i);

		if (!field_is(hook, "is_attached") && strcmp(field_text(hook, "name"), "edge") != 0)
			return false;
	}
	return !attachment || field_is(attachment, "is_whole");
}

static int run(const struct arguments *arguments)
{
	struct answer answer;
	int code = call_host(arguments, call_new("status"), true, &answer);
	bool is_amiss = code == CMD_DONE && !is_judging(answer.object);

	if (code == CMD_DONE && arguments_has(arguments, "--json")) {
		json_object_object_del(answer.object, "code");
		puts(json_object_to_json_string_ext(answer.object, JSON_C_TO_STRING_NOSLASHESCAPE));
	} else if (code == CMD_DONE) {
		print_page(arguments, answer.object, answer.by_daemon);
	}
	if (code == CMD_DONE && !answer.by_daemon) {
		command_refuse(arguments, "no daemon answers; this is the guard's pinned state");
		code = CMD_NO_DAEMON;
	}
	if (code == CMD_DONE && is_amiss)
		code = command_refuse(arguments,
				      "the guard is not in its place, or not as it was put");
	if (code == CMD_NO_DAEMON && !answer.object && !guard_is_pinned(arguments->instance))
		tell_without_guard(arguments);
	answer_free(&answer);
	return code;
}

const struct command command_status = {
	.name = "status",
	.arguments = "",
	.help = "Tell what is guarded, by which policy, what is cut, what was sent and refused",
	.options =
		{
			{"--json", NULL, "as JSON, with all partners", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
