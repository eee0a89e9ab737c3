/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy.c - `weir policy`: the policies that were ever applied here, and how they differ.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "user/cmd/difference.h"
#include "user/cmd/policy_file.h"
#include "user/cmd/verbs.h"

/* ---- list, show ----------------------------------------------------------------------------- */

static const char *state_of(json_object *policy)
{
	if (field_is(policy, "is_damaged"))
		return "DAMAGED";
	if (field_is(policy, "is_interim"))
		return "for a while";
	if (field_is(policy, "is_on_trial"))
		return "on trial";
	if (field_is(policy, "is_in_force"))
		return "in force";
	if (field_is(policy, "is_applied"))
		return "applied"; /* another one is on trial, or in force for a while */
	return field_is(policy, "is_previous") ? "previous" : "";
}

static void print_policy(json_object *policy)
{
	char *name = field_plain(policy, "name"), *by = field_plain(policy, "by");
	char when[32];

	printf("%.12s  %-19s  %-8s  %s%s%s\n", field_text(policy, "digest"),
	       time_text(field_number(policy, "applied_at"), when), state_of(policy),
	       name ? name : "", by && *by ? ", by " : "", by ? by : "");
	free(name);
	free(by);
}

static int list(const struct arguments *arguments)
{
	struct answer answer;
	int code;

	if (arguments->count > 1)
		return command_usage(arguments, "list takes no more arguments");
	code = call_host(arguments, call_new("policies"), true, &answer);
	if (code == CMD_DONE && arguments_has(arguments, "--json")) {
		puts(json_object_to_json_string_ext(field_object(answer.object, "policies"),
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	} else if (code == CMD_DONE) {
		for (size_t i = 0; i < field_count(answer.object, "policies"); i++)
			print_policy(field_item(answer.object, "policies", i));
		if (!field_count(answer.object, "policies"))
			puts("no policy was ever applied here");
	}
	answer_free(&answer);
	return code;
}

static int show(const struct arguments *arguments)
{
	json_object *request;
	struct answer answer;
	int code;

	if (arguments->count != 2)
		return command_usage(arguments, "show takes one DIGEST");
	request = call_new("policy");
	call_put_text(request, "digest", arguments->item[1]);
	code = call_host(arguments, request, true, &answer);
	for (size_t i = 0; code == CMD_DONE && i < field_count(answer.object, "files"); i++) {
		json_object *file = field_item(answer.object, "files", i);

		if (field_count(answer.object, "files") > 1)
			printf("# ---- %s\n", field_text(file, "name"));
		fputs(field_text(file, "text"), stdout);
	}
	answer_free(&answer);
	return code;
}

/* ---- diff ----------------------------------------------------------------------------------- */

/* A file if there is one of this name, else a digest. CMD_REFUSED after telling why. */
static int side_of(const struct arguments *arguments, const char *word, json_object **side)
{
	struct policy_file file = {0};
	int code = CMD_DONE;

	if (access(word, F_OK) < 0) {
		*side = difference_side_digest(word);
		return CMD_DONE;
	}
	code = policy_file_read(arguments, word, &file);
	if (code == CMD_DONE)
		*side = difference_side_files(&file.sources);
	policy_file_free(&file);
	return code;
}

static int diff(const struct arguments *arguments)
{
	json_object *before = NULL, *after = NULL;
	int code = CMD_DONE;

	if (arguments->count == 1)
		before = difference_side_previous();
	if (arguments->count >= 2)
		code = side_of(arguments, arguments->item[arguments->count - 1], &after);
	if (code == CMD_DONE && arguments->count == 3)
		code = side_of(arguments, arguments->item[1], &before);
	if (code == CMD_DONE)
		return difference_tell(arguments, before, after);
	json_object_put(before);
	json_object_put(after);
	return code;
}

static int run(const struct arguments *arguments)
{
	static const struct verb verbs[] = {
		{"list", list, {"--json"}},
		{"show", show, {NULL}},
		{"diff", diff, {NULL}},
	};

	return verbs_run(arguments, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

const struct command command_policy = {
	.name = "policy",
	.arguments = "list | show DIGEST | diff [[A] B]",
	.help = "List the policies that were ever applied, show one, or tell how two differ",
	.least = 1,
	.most = 3,
	.options =
		{
			{"--json", NULL, "list: as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
