/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * daemon_lock.h - one daemon for each instance: it holds RUN_DIR/INSTANCE.lock.
 */
#ifndef WEIR_DAEMON_LOCK_H
#define WEIR_DAEMON_LOCK_H

#include <stdbool.h>

/* Takes it for as long as *lock is open. -EBUSY: another daemon has it. */
int daemon_lock(const char *instance, int *lock, char **problem);
/* Whether a daemon has it, be it one that does not answer. */
bool daemon_is_there(const char *instance);

#endif
