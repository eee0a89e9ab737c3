/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* fleet_exec.c - becomes weir-fleet, with what was given. */
#include "user/cmd/fleet_exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/program.h"

/* Options in one form, then what is none. */
static char **words_of(const struct arguments *arguments, const char *verb)
{
	char **words = calloc(arguments->given_count + arguments->count + 4, sizeof(*words));
	size_t used = 0;

	if (!words)
		return NULL;
	words[used++] = (char *)"weir-fleet";
	words[used++] = (char *)verb;
	for (size_t i = 0; i < arguments->given_count; i++) {
		const struct given *given = &arguments->given[i];
		char *word = NULL;

		if (!given->option->value)
			words[used++] = (char *)given->option->name;
		else if (asprintf(&word, "%s=%s", given->option->name, given->value) >= 0)
			words[used++] = word;
	}
	words[used++] = (char *)"--";
	for (size_t i = 0; i < arguments->count; i++)
		words[used++] = arguments->item[i];
	return words;
}

int fleet_exec(const struct arguments *arguments, const char *verb)
{
	_cleanup_free_ char **words = words_of(arguments, verb);
	int r = words ? program_become("weir-fleet", words) : -ENOMEM;

	if (r != -ENOENT)
		return command_refuse(arguments, "weir-fleet cannot be run: %s", strerror(-r));
	return command_refuse(arguments, "weir-fleet is not installed: it speaks to the brokers "
					 "(package weir-fleet)");
}
