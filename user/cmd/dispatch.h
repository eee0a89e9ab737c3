/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* dispatch.h - from a command's name to its entry, and from its words to its function. */
#ifndef WEIR_DISPATCH_H
#define WEIR_DISPATCH_H

#include "user/cmd/cmd.h"

/* The entry of this name among `count`; NULL: there is none. */
const struct command *dispatch_find(const struct command *const *commands, size_t count,
				    const char *name);

/* Runs it on argv[0..argc), what stands behind its name. Returns its exit code, CMD_USAGE when what
 * was given cannot be read. */
int dispatch(const struct command *command, int argc, char **argv);

#endif
