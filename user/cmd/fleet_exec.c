/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* fleet_exec.c - finds weir-fleet and becomes it. */
#include "user/cmd/fleet_exec.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/cleanup.h"

/* Beside this program, as `make` leaves it, and where it is installed. */
static const char *const places[] = {"weir-fleet", "../libexec/weir/weir-fleet"};

/* The directory of this program, with its slash. */
static int own_directory(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (length < 0)
		return -errno;
	path[length] = '\0';
	strrchr(path, '/')[1] = '\0';
	return 0;
}

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
	char own[PATH_MAX];
	int r = words ? own_directory(own) : -ENOMEM;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && r == 0; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s%s", own, places[i]) < 0)
			return command_refuse(arguments, "out of memory");
		execv(path, words);
		if (errno != ENOENT)
			r = -errno;
	}
	if (r < 0)
		return command_refuse(arguments, "weir-fleet cannot be run: %s", strerror(-r));
	return command_refuse(arguments, "weir-fleet is not installed: it speaks to the brokers "
					 "(package weir-fleet)");
}
