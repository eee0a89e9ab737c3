/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * paths.h - where the files of an instance are.
 *
 *	$WEIR_CONFIG_DIR/				(/etc/weir)
 *		allowed_signers, revoked_signers	whose signed orders count
 *	$WEIR_RUN_DIR/INSTANCE.sock, INSTANCE.lock	(/run/weir)
 *	$WEIR_RUN_DIR/INSTANCE.orders.sock		takes signed orders alone (server.h)
 *	$WEIR_RUN_DIR/INSTANCE.without-guard		what stands in for the guard (stand_in.h)
 *	$WEIR_STATE_DIR/INSTANCE/			(/var/lib/weir)
 *		applied.json	the policy in force, with its texts; its digest in applied.digest
 *		previous.json	the one before it
 *		policies/	every one that was applied (store.h)
 *		trial.json	one on trial, or in force for a while (interim.h)
 *		orders.json	cuts and exceptions, overrides, what was drawn from reserves; the
 *				same in orders.json.copy
 *		plan.json	the plan under way (planning.h)
 *		orders/		signed orders that were accepted (user/order/archive.h)
 *		base.order, signers.order, beat.order	those that are in force (in_force.h)
 *		meters		what was charged (meters_file.h)
 *		latches		those of the meters that are latched; the same in latches.copy
 *		clock.json	the clock that was confirmed
 *		events.jsonl	what happened
 *		refused		what did not go out (refusing.h)
 *		journal.jsonl	what was ordered (user/ledger/journal.h)
 *		journal.begun	there was a journal
 *		without-guard.nft	what would stand in for the guard (without_guard.h)
 */
#ifndef WEIR_PATHS_H
#define WEIR_PATHS_H

/* "CONFIG_DIR/NAME"; malloc'd, NULL without memory. */
char *path_config(const char *name);
/* "RUN_DIR/INSTANCE" + suffix; malloc'd, NULL without memory. */
char *path_run(const char *instance, const char *suffix);
/* "STATE_DIR/INSTANCE" + suffix ("" or "/NAME"). */
char *path_state(const char *instance, const char *suffix);

/* Makes the directory of the sockets (0755) and that of the state (0750). 0 or -errno, then with
 * the path that failed in `*problem` (malloc'd). */
int paths_make(const char *instance, char **problem);

#endif
