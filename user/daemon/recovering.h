/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * recovering.h - state files that are damaged: what they held comes from elsewhere, or the guard
 * is stricter than it was. Whatever is damaged is set aside, told, and never read again.
 *
 *	applied.json	its first line, or else applied.digest, says which of the kept policies it
 *			was (store.h); without either: FILE of `weir run --policy`, or no start
 *	orders.json	orders.json.copy; without either: everything is cut and every reserve
 *			used up, for nobody knows what was
 *	trial.json	its policy from the kept ones, while it is in force for a while; or it is
 *			over (interim.h)
 *	meters		latches, or else latches.copy, and the rest is assumed (restoring.h)
 *	plan.json	no plan is under way: what is cut stays cut, probations stay
 *	refused		the list begins anew
 */
#ifndef WEIR_RECOVERING_H
#define WEIR_RECOVERING_H

#include "user/daemon/host.h"

/*
 * STATE/NAME becomes STATE/NAME.damaged-TIME; the last few of that name are kept. Where it is now
 * (malloc'd), or NULL when it could not be moved, or without memory.
 */
char *state_set_aside(const struct host *host, const char *name);
/* The same for what is evidence: none of that name goes. */
char *state_keep_aside(const struct host *host, const char *name);

/* NAME is damaged or missing: sets it aside, and tells what is so `then`. */
void state_damaged(struct host *host, const char *name, const char *then);

/* Removes what processes left that were killed while they wrote a state file. */
void state_sweep(const struct host *host);

/* Writes down the digest of applied.json a second time. 0 or -errno. */
int applied_note(const struct host *host);
/* The policy that the first line of PATH names, from those that are kept. 0 or -errno. */
int applied_load_kept(struct host *host, const char *path, struct applied *applied);
/* applied.json is damaged or missing: takes its policy from those that are kept, and writes the
 * file anew. 0; -EBADMSG when it is not known any more which one it was: then nothing is moved. */
int applied_recover(struct host *host, struct applied *applied);
/* There is no applied.json, but there was one. */
bool applied_is_missing(const struct host *host);

/* There are meters, but neither the orders nor their copy. */
bool orders_are_missing(const struct host *host);

/* Reads the orders, or what stands for them. 0; also without any; -errno with `problem`. */
int orders_recover(struct host *host, char **problem);

#endif
