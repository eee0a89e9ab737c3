/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * clock.h - the wall clock is not trusted: hours are read against boot time plus an offset that
 * somebody has confirmed. A step of the system's clock by more than a minute closes all hours until
 * it is confirmed, also over a restart and a reboot.
 *
 * CLOCK_BOOTTIME runs at the same rate as CLOCK_REALTIME (NTP slews both), so the offset between
 * them changes by steps alone.
 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/* Whether the state directory says that hours are closed, or that the clock went backwards over a
 * reboot, and why. For a guard that is about to be loaded. `doubt` may be NULL. */
bool clock_needs_confirmation(const struct host *host, struct clock_doubt *doubt);

/* The guard was loaded with what host->clock_doubt says: an event, and a file that could not be
 * read is set aside. Before clock_save(). */
void clock_tell_doubt(struct host *host);

/* Compares the system's clock with the guard's; closes the hours on a step. True when it closed
 * them. */
bool clock_check(struct host *host);

/* Writes down what is confirmed and what time it is. 0 or -errno. */
int clock_save(const struct host *host);

/* `weir confirm clock`: the system's clock counts from now on. */
int clock_confirm(struct host *host, const char *by, const char *reason, struct json_out *reply,
		  char **problem);

/* The fields of status' `clock`, into an open object. */
void clock_put(const struct host *host, struct json_out *reply);

/* The guard's wall time that was saved last; 0: none is known. */
uint64_t clock_known(const struct host *host);

#endif
