/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * explain.c - `weir explain FILE`: what a policy answers to one question, from the tables that the
 * kernel would get. Needs neither a daemon nor root, and knows of no cuts.
 */
#include <string.h>

#include "user/base/address.h"
#include "user/base/now.h"
#include "user/base/text.h"
#include "user/cmd/policy_file.h"
#include "user/policy/question.h"
#include "user/policy/words.h"

static const struct {
	const char *option;
	uint8_t direction;
	bool is_held;
} ways[] = {
	{"--serves", WEIR_SERVES, false},
	{"--calls", WEIR_CALLS, false},
	{"--calls-back", WEIR_CALLS, true},
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* Everything but the service, which the policy must be read for. */
static int read_question(const struct arguments *arguments, struct weir_question *question)
{
	const char *peer = arguments_value(arguments, "--peer"), *endpoint = NULL;

	*question = (struct weir_question){.cut_slot = WEIR_ANY};
	if (!arguments_has(arguments, "--service"))
		return command_usage(arguments, "--service is missing");
	if (!peer)
		return command_usage(arguments, "--peer is missing");
	if (address_parse(peer, question->peer))
		return command_usage(arguments, "\"%s\" is no address", peer);
	for (size_t i = 0; i < WAYS; i++) {
		if (!arguments_has(arguments, ways[i].option))
			continue;
		if (endpoint)
			return command_usage(arguments, "one of --serves, --calls, --calls-back");
		endpoint = arguments_value(arguments, ways[i].option);
		question->direction = ways[i].direction;
		question->is_held = ways[i].is_held;
	}
	if (!endpoint)
		return command_usage(arguments, "--serves, --calls or --calls-back is missing");
	if (question_endpoint(endpoint, question))
		return command_usage(arguments, "\"%s\" is none of 22/tcp, icmp, proto/47",
				     endpoint);
	return CMD_DONE;
}

/* --at as the policy's zone has it, or now. */
static int read_time(const struct arguments *arguments, const struct policy *policy,
		     uint64_t *wall_ns)
{
	const char *at = arguments_value(arguments, "--at");

	*wall_ns = wall_now();
	if (at && moment_parse(at, policy->zone, wall_ns))
		return command_usage(arguments, "\"%s\" is no moment such as 2027-03-01T20:00", at);
	return CMD_DONE;
}

static int find_service(const struct arguments *arguments, const struct image *image,
			uint32_t *service)
{
	const char *name = arguments_value(arguments, "--service");
	const char *near;
	uint32_t found = image_service(image, name);

	if (found == WEIR_ANY) {
		near = near_name(name, image->service_names, image->head.services);
		return command_refuse(arguments, "the policy has no service \"%s\"%s%s%s", name,
				      near ? "; did you mean \"" : "", near ? near : "",
				      near ? "\"?" : "");
	}
	*service = found;
	return CMD_DONE;
}

static int answer(const struct arguments *arguments, struct policy_file *file,
		  struct weir_question *question)
{
	struct weir_answer given;
	struct image image;
	uint64_t wall_ns;
	int code = read_time(arguments, &file->policy, &wall_ns);

	if (code == CMD_DONE)
		code = policy_file_compile(arguments, file, wall_ns, &image);
	if (code != CMD_DONE)
		return code;
	code = find_service(arguments, &image, &question->service);
	if (code == CMD_DONE) {
		explain_decide(&image, NULL, question, wall_ns, false, &given);
		explain_print(&image, question, &given, stdout);
	}
	image_free(&image);
	return code;
}

static int run_explain(const struct arguments *arguments)
{
	struct weir_question question;
	struct policy_file file;
	int code = read_question(arguments, &question);

	if (code != CMD_DONE)
		return code;
	code = policy_file_read(arguments, arguments->item[0], &file);
	if (code == CMD_DONE)
		code = answer(arguments, &file, &question);
	policy_file_free(&file);
	return code;
}

const struct command command_explain = {
	.name = "explain",
	.arguments = "FILE",
	.help = "Tell what a policy answers to one question, and why",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--service", "NAME", "who sends", false},
			{"--peer", "ADDRESS", "to whom", false},
			{"--serves", "PORT/PROTO", "they connected to this port of ours", false},
			{"--calls", "PORT/PROTO", "we connected to this port of theirs", false},
			{"--calls-back", "PORT/PROTO",
			 "likewise, and they hold a connection to a port that we serve", false},
			{"--at", "TIME", "2027-03-01T20:00 in the policy's zone; else now", false},
			{NULL, NULL, NULL, false},
		},
	.run = run_explain,
};
