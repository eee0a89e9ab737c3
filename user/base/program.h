/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* program.h - the programs that weir consists of run each other. */
#ifndef WEIR_PROGRAM_H
#define WEIR_PROGRAM_H

/*
 * Becomes the program `name`, which stands beside this one (as `make` leaves them) or in
 * ../libexec/weir (where they are installed); words[0] is what it is told that it is called.
 * Returns only when it cannot: -ENOENT, it is not installed; -errno.
 */
int program_become(const char *name, char *const *words);

#endif
