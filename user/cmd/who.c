/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * who.c - `weir who ADDRESS`: whose it is, and what of it is going on.
 */
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/now.h"
#include "user/cmd/looking.h"
#include "user/cmd/policy_file.h"
#include "user/daemon/about.h"
#include "user/view/show.h"

/* What the file says, as JSON text; malloc'd. NULL without memory. */
static char *tell(const struct image *image, const uint8_t address[16])
{
	char *text = NULL;
	size_t length;
	struct json_out json = {.out = open_memstream(&text, &length)};

	if (!json.out)
		return NULL;
	json_open(&json, NULL, '{');
	about_address(image, address, WEIR_NO_PARTNER, wall_now(), &json);
	json_close(&json, '}');
	if (fclose(json.out) == 0)
		return text;
	free(text);
	return NULL;
}

static int print_told(const struct arguments *arguments, const char *text)
{
	json_object *answer = text ? json_tokener_parse(text) : NULL;

	if (!answer)
		return command_refuse(arguments, "out of memory");
	if (arguments_has(arguments, "--json"))
		puts(text);
	else
		who_print(answer, stdout);
	json_object_put(answer);
	return CMD_DONE;
}

/* From a file alone: neither a daemon nor a guard nor root. */
static int ask_file(const struct arguments *arguments, const uint8_t address[16])
{
	struct policy_file file;
	struct image image = {0};
	_cleanup_free_ char *text = NULL;
	int code = policy_file_read(arguments, arguments_value(arguments, "--policy"), &file);

	if (code == CMD_DONE)
		code = policy_file_compile(arguments, &file, wall_now(), &image);
	if (code == CMD_DONE) {
		text = tell(&image, address);
		code = print_told(arguments, text);
		image_free(&image);
	}
	policy_file_free(&file);
	return code;
}

static int run(const struct arguments *arguments)
{
	json_object *request;
	uint8_t address[16];

	if (address_parse(arguments->item[0], address) < 0)
		return command_usage(arguments, "\"%s\" is no address", arguments->item[0]);
	if (arguments_has(arguments, "--policy"))
		return ask_file(arguments, address);
	request = call_new("who");
	call_put_text(request, "address", arguments->item[0]);
	return look(arguments, request, who_print);
}

const struct command command_who = {
	.name = "who",
	.arguments = "ADDRESS",
	.help = "Tell whose an address is, the prefixes around it, and what of it is going on",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--policy", "FILE", "ask a policy file, and nothing else", false},
			{"--json", NULL, "the same as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
