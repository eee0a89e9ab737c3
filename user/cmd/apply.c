/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * apply.c - `weir apply`: a policy comes into force.
 *
 * The files are read here, with the caller's rights, and their texts sent to the daemon, which
 * reads and checks them itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/base/units.h"
#include "user/cmd/call.h"
#include "user/cmd/difference.h"
#include "user/cmd/own.h"
#include "user/daemon/interim.h"
#include "user/policy/policy.h"

/* Prints the faults; 0 when there are none. */
static int tell_faults(const struct arguments *arguments, const struct sources *sources,
		       struct faults *faults, int r)
{
	const char *path = arguments->item[0];

	if (r < 0 && faults->errors) {
		faults_print(faults, sources, stderr);
		command_refuse(arguments, "%zu fault%s in %s; the policy in force stays",
			       faults->errors, faults->errors == 1 ? "" : "s", path);
	} else if (r < 0) {
		command_refuse(arguments, "cannot read %s: %s", path, strerror(-r));
	}
	faults_free(faults);
	return r;
}

static int check(const struct arguments *arguments, const struct sources *sources)
{
	struct policy policy = {0};
	struct faults faults = {0};
	int r = policy_read(sources, &policy, &faults);

	if (r == 0)
		r = policy_check(&policy, &faults);
	policy_free(&policy);
	return tell_faults(arguments, sources, &faults, r);
}

/* The daemon checks what it is asked about, and tells the faults. What is no text JSON cannot carry
 * to it: that is checked here. */
static int load(const struct arguments *arguments, struct sources *sources)
{
	struct faults faults = {0};
	int r = sources_load(arguments->item[0], sources, &faults);

	r = tell_faults(arguments, sources, &faults, r);
	for (size_t i = 0; r == 0 && i < sources->count; i++) {
		if (!text_is_utf8(sources->item[i].text, sources->item[i].length))
			r = check(arguments, sources);
	}
	return r;
}

static void print_voided(json_object *answer)
{
	for (size_t i = 0; i < field_count(answer, "voided"); i++) {
		json_object *order = field_item(answer, "voided", i);
		const char *why = field_text(order, "why");

		printf("%s (%s %s) changes nothing under it: %s\n", field_text(order, "id"),
		       field_text(order, "kind"), field_text(order, "target"),
		       why[0] ? why : "the policy does not have it");
	}
}

static void print_answer(const struct arguments *arguments, json_object *answer)
{
	const char *trial = arguments_value(arguments, "--confirm");
	char when[32];

	printf("%s: policy %s (%.12s), mode %s; %" PRIu64 " services, %" PRIu64
	       " partners, %" PRIu64 " grants, %" PRIu64 " prefixes\n",
	       field_is(answer, "dry_run") ? "can be applied" : "in force",
	       field_text(answer, "name"), field_text(answer, "digest"), field_text(answer, "mode"),
	       field_number(answer, "services"), field_number(answer, "partners"),
	       field_number(answer, "grants"), field_number(answer, "prefixes"));
	print_voided(answer);
	if (trial && !field_is(answer, "dry_run"))
		printf("it goes back in %s seconds unless you say `weir confirm`\n", trial);
	if (field_object(answer, "until"))
		printf("it goes back by itself at %s; `weir confirm` keeps it, `weir rollback` "
		       "ends it\n",
		       time_text(field_number(answer, "until"), when));
}

/* --for and --reason. */
static int put_while(const struct arguments *arguments, json_object *request)
{
	const char *span = arguments_value(arguments, "--for");
	uint64_t ns;

	if (!span)
		return arguments_has(arguments, "--reason")
			       ? command_usage(arguments, "--reason goes with --for")
			       : CMD_DONE;
	if (arguments_has(arguments, "--confirm"))
		return command_usage(arguments, "--for and --confirm exclude each other");
	if (span_parse(span, &ns) < 0 || ns < INTERIM_LEAST_NS || ns > INTERIM_MOST_NS)
		return command_usage(arguments,
				     "--for takes a span from 1m to 30d, like 90m, 4h or 2d");
	if (!arguments_has(arguments, "--reason"))
		return command_usage(arguments, "--reason is missing");
	json_object_object_add(request, "for_seconds", json_object_new_int64(ns / NS_PER_SECOND));
	call_put_text(request, "reason", arguments_value(arguments, "--reason"));
	return CMD_DONE;
}

static int put_options(const struct arguments *arguments, json_object *request)
{
	const char *confirm = arguments_value(arguments, "--confirm");
	json_object *own;

	if (confirm) {
		char *end;
		unsigned long seconds = strtoul(confirm, &end, 10);

		if (*end || confirm[0] < '0' || confirm[0] > '9' || seconds < 1 || seconds > 86400)
			return command_usage(arguments, "--confirm takes seconds, 1 to 86400");
		json_object_object_add(request, "confirm_seconds", json_object_new_int64(seconds));
	}
	if (arguments_has(arguments, "--dry-run"))
		json_object_object_add(request, "dry_run", json_object_new_boolean(true));
	if (arguments_has(arguments, "--yes"))
		json_object_object_add(request, "agreed", json_object_new_boolean(true));
	own = own_connection();
	if (own)
		json_object_object_add(request, "own", own);
	return CMD_DONE;
}

static int run(const struct arguments *arguments)
{
	json_object *request = call_new("apply");
	struct sources sources = {0};
	struct answer answer = {0};
	char real[PATH_MAX];
	int code = put_options(arguments, request);

	if (code == CMD_DONE)
		code = put_while(arguments, request);
	if (code != CMD_DONE) {
		json_object_put(request);
		return code;
	}
	if (load(arguments, &sources) < 0) {
		json_object_put(request);
		sources_free(&sources);
		return CMD_REFUSED;
	}
	call_put_text(request, "path",
		      realpath(arguments->item[0], real) ? real : arguments->item[0]);
	json_object_object_add(request, "files", call_files(&sources));
	code = difference_tell(arguments, NULL, difference_side_files(&sources));
	if (code == CMD_NO_DAEMON && check(arguments, &sources) < 0)
		code = CMD_REFUSED;
	sources_free(&sources);
	if (code != CMD_DONE) {
		json_object_put(request);
		return code;
	}
	code = call_host(arguments, request, false, &answer);
	if (field_object(answer.object, "digest"))
		print_answer(arguments, answer.object);
	answer_free(&answer);
	return code;
}

const struct command command_apply = {
	.name = "apply",
	.arguments = "FILE",
	.help = "Put a policy into force, in one switch; it counts at the next boot too",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--confirm", "SECONDS", "go back unless `weir confirm` comes in time",
			 false},
			{"--for", "SPAN", "go back by itself after that, 1m to 30d", false},
			{"--reason", "TEXT", "why; with --for, which requires it", false},
			{"--dry-run", NULL, "tell what would change, and do nothing", false},
			{"--yes", NULL, "even if it cuts this very connection", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
