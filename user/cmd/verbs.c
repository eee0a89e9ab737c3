/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* verbs.c - runs what the first argument names, with its own options alone. */
#include "user/cmd/verbs.h"

#include <string.h>

static bool takes(const struct verb *verb, const char *option)
{
	for (size_t i = 0; verb->options[i]; i++) {
		if (strcmp(verb->options[i], option) == 0)
			return true;
	}
	return strcmp(option, "--instance") == 0;
}

static int run(const struct arguments *arguments, const struct verb *verb)
{
	for (size_t i = 0; i < arguments->given_count; i++) {
		const char *option = arguments->given[i].option->name;

		if (!takes(verb, option))
			return command_usage(arguments, "%s takes no %s", verb->name, option);
	}
	return verb->run(arguments);
}

/* "start, status or next" */
static void list(const struct verb *verbs, size_t count, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < count && used < size; i++)
		used += snprintf(text + used, size - used, "%s%s",
				 i == 0		  ? ""
				 : i + 1 == count ? " or "
						  : ", ",
				 verbs[i].name);
}

int verbs_run(const struct arguments *arguments, const struct verb *verbs, size_t count)
{
	char names[128];

	if (arguments->count == 0)
		return run(arguments, verbs);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(arguments->item[0], verbs[i].name) == 0)
			return run(arguments, &verbs[i]);
	}
	list(verbs, count, names, sizeof(names));
	return command_usage(arguments, "%s: %s", arguments->item[0], names);
}
