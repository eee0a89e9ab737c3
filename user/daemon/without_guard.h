/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * without_guard.h - when the guard cannot be loaded: what `without_guard` of the host's
 * configuration says stands in for it, an nftables ruleset (ruleset.h).
 *
 *	RUN_DIR/INSTANCE.without-guard		there is one in force, since when and why
 *	STATE_DIR/INSTANCE/without-guard.nft	what would be, were it needed now; written after
 *						each change of the policy and of the orders
 *
 * It is put on and taken off by a command, for the daemon that guards can start no program.
 */
#ifndef WEIR_WITHOUT_GUARD_H
#define WEIR_WITHOUT_GUARD_H

#include "user/daemon/stand_in.h"

#define WITHOUT_GUARD_FILE "without-guard.nft"

/*
 * What would stand in now, made from the policy and the orders on disk; stricter where those cannot
 * be read: stand_in->why says so. `text` is malloc'd. 0, -ENOMEM, or -errno with `problem`.
 */
int without_guard_make(struct host *host, const struct host_config *config,
		       struct stand_in *stand_in, char **text, size_t *length, char **problem);

/* Puts it in force, if it is not yet; the caller holds stand_in_lock(), and has seen that no guard
 * judges. *is_new: what is in force, or why, is not what it was. 0, or -errno with `problem`: then
 * what was there before stands in, or nothing, and stand_in says so. */
int without_guard_on(struct host *host, const struct host_config *config, struct stand_in *stand_in,
		     bool *is_new, char **problem);
/* Takes it off, under the same lock. -ENOENT: there is none. */
int without_guard_off(struct host *host, char **problem);

/* Whether there is a table of it, whoever loaded it: without weir, the units do with nft alone. */
bool without_guard_has_table(const char *instance);

/* Writes WITHOUT_GUARD_FILE from the policy and the orders in force. 0 or -errno. */
int without_guard_save(struct host *host);

#endif
