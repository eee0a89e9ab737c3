/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * plan.c - `weir plan`: the way back from a cut, stage by stage.
 */
#include <errno.h>
#include <string.h>

#include "user/cmd/call.h"
#include "user/cmd/verbs.h"
#include "user/policy/plan.h"
#include "user/view/plan.h"

/* Reads it here too, with the caller's rights; the daemon reads its text itself. */
static int load(const struct arguments *arguments, const char *path, struct sources *sources)
{
	struct faults faults = {0};
	struct plan plan = {0};
	int r = sources_load(path, sources, &faults);

	if (r == 0)
		r = plan_read(sources, &plan, &faults);
	if (r < 0 && faults.errors) {
		faults_print(&faults, sources, stderr);
		command_refuse(arguments, "%zu fault%s in %s", faults.errors,
			       faults.errors == 1 ? "" : "s", path);
	} else if (r < 0) {
		command_refuse(arguments, "cannot read %s: %s", path, strerror(-r));
	}
	faults_free(&faults);
	plan_free(&plan);
	return r;
}

/* Asks, and prints the plan as it is then. */
static int ask(const struct arguments *arguments, json_object *request)
{
	struct answer answer;
	int code = call_host(arguments, request, false, &answer);

	if (code == CMD_DONE && arguments_has(arguments, "--json"))
		puts(json_object_to_json_string_ext(answer.object, JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (code == CMD_DONE || field_object(answer.object, "plan"))
		print_plan(field_object(answer.object, "plan"), stdout);
	answer_free(&answer);
	return code;
}

static int start(const struct arguments *arguments)
{
	struct sources sources = {0};
	json_object *request;
	int code = CMD_REFUSED;

	if (arguments->count != 2)
		return command_usage(arguments, "start takes one FILE");
	if (load(arguments, arguments->item[1], &sources) == 0) {
		request = call_new("plan-start");
		json_object_object_add(request, "files", call_files(&sources));
		if (arguments_has(arguments, "--dry-run"))
			json_object_object_add(request, "dry_run", json_object_new_boolean(true));
		code = ask(arguments, request);
	}
	sources_free(&sources);
	return code;
}

static int status(const struct arguments *arguments)
{
	if (arguments->count > 1)
		return command_usage(arguments, "status takes no more arguments");
	return ask(arguments, call_new("plan"));
}

static int next(const struct arguments *arguments)
{
	json_object *request;

	if (arguments->count > 1)
		return command_usage(arguments, "next takes no more arguments");
	request = call_new("plan-next");
	if (arguments_has(arguments, "--evidence"))
		call_put_text(request, "evidence", arguments_value(arguments, "--evidence"));
	return ask(arguments, request);
}

static int stop(const struct arguments *arguments)
{
	const char *reason = arguments_value(arguments, "--reason");
	json_object *request;
	struct answer answer;
	int code;

	if (arguments->count > 1)
		return command_usage(arguments, "abort takes no more arguments");
	if (!reason)
		return command_usage(arguments, "--reason is missing");
	request = call_new("plan-abort");
	call_put_text(request, "reason", reason);
	code = call_host(arguments, request, false, &answer);
	if (field_is(answer.object, "aborted"))
		puts("the plan is over: what it let back for good stays open, all else is cut");
	answer_free(&answer);
	return code;
}

static int run(const struct arguments *arguments)
{
	static const struct verb verbs[] = {
		{"start", start, {"--dry-run", "--json"}},
		{"status", status, {"--json"}},
		{"next", next, {"--evidence", "--json"}},
		{"abort", stop, {"--reason"}},
	};

	return verbs_run(arguments, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

const struct command command_plan = {
	.name = "plan",
	.arguments = "start FILE | status | next | abort",
	.help = "Bring back what was cut stage by stage, each watched before the next begins",
	.least = 1,
	.most = 2,
	.options =
		{
			{"--dry-run", NULL, "start: only show the stages", false},
			{"--evidence", "REF", "next: where the evidence lies", false},
			{"--reason", "TEXT", "abort: why; it stays in the record", false},
			{"--json", NULL, "start, status, next: as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
