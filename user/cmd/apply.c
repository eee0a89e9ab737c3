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

#include "user/base/units.h"
#include "user/cmd/call.h"
#include "user/cmd/own.h"
#include "user/policy/policy.h"

static json_object *files_of(const struct sources *sources)
{
	json_object *files = json_object_new_array();

	for (size_t i = 0; i < sources->count; i++) {
		json_object *file = json_object_new_object();

		call_put_text(file, "name", sources->item[i].name);
		json_object_object_add(
			file, "text",
			json_object_new_string_len(sources->item[i].text, sources->item[i].length));
		json_object_array_add(files, file);
	}
	return files;
}

/*
 * Reads and checks here too: bytes that are no text (which JSON cannot carry) and most other faults
 * are found before anybody is asked. Prints the faults.
 */
static int load(const struct arguments *arguments, struct sources *sources)
{
	const char *path = arguments->item[0];
	struct policy policy = {0};
	struct faults faults = {0};
	int r = sources_load(path, sources, &faults);

	if (r == 0)
		r = policy_read(sources, &policy, &faults);
	policy_free(&policy);
	if (r < 0 && faults.errors) {
		faults_print(&faults, sources, stderr);
		command_refuse(arguments, "%zu fault%s in %s; the policy in force stays",
			       faults.errors, faults.errors == 1 ? "" : "s", path);
	} else if (r < 0) {
		command_refuse(arguments, "cannot read %s: %s", path, strerror(-r));
	}
	faults_free(&faults);
	return r;
}

static void print_change(json_object *changes, const char *what, json_object *answer)
{
	json_object *change = field_object(changes, what);

	printf("  %-9s %8" PRIu64 "  (+%" PRIu64 " -%" PRIu64 ")\n", what,
	       field_number(answer, what), field_number(change, "added"),
	       field_number(change, "removed"));
}

static void print_answer(const struct arguments *arguments, json_object *answer)
{
	json_object *changes = field_object(answer, "changes");
	const char *trial = arguments_value(arguments, "--confirm");

	printf("%s: policy %s (%.12s), mode %s\n",
	       field_is(answer, "dry_run") ? "can be applied" : "in force",
	       field_text(answer, "name"), field_text(answer, "digest"),
	       field_text(answer, "mode"));
	print_change(changes, "services", answer);
	print_change(changes, "partners", answer);
	print_change(changes, "grants", answer);
	printf("  %-9s %8" PRIu64 "\n", "prefixes", field_number(answer, "prefixes"));
	if (trial && !field_is(answer, "dry_run"))
		printf("it goes back in %s seconds unless you say `weir confirm`\n", trial);
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
	json_object_object_add(request, "files", files_of(&sources));
	sources_free(&sources);
	code = call_host(arguments, request, false, &answer);
	if (field_object(answer.object, "changes"))
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
			{"--dry-run", NULL, "tell what would change, and do nothing", false},
			{"--yes", NULL, "even if it cuts this very connection", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
