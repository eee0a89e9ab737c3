/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * verbs.h - a command that does several things has a verb for each, its first argument.
 */
#ifndef WEIR_VERBS_H
#define WEIR_VERBS_H

#include "user/cmd/cmd.h"

enum { VERB_OPTIONS = 12 };

struct verb {
	const char *name;
	int (*run)(const struct arguments *arguments);
	const char *options[VERB_OPTIONS]; /* those that it takes; ends with NULL */
};

/*
 * Runs the one that was given; without a word the first. CMD_USAGE after telling why, for another
 * word, and for an option of another verb: who types `next --dry-run` wants nothing to be done.
 */
int verbs_run(const struct arguments *arguments, const struct verb *verbs, size_t count);

#endif
