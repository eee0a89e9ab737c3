/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * watch.h - the kernel's events: into the file, and what user space owes to them: ending the
 * sockets of an account that was severed, or that is held for more than a minute.
 *
 * Scans of all sockets are dear, so they are collected and done at most five times a second.
 */
#ifndef WEIR_WATCH_H
#define WEIR_WATCH_H

#include "user/daemon/host.h"

enum { WATCH_ACCOUNTS = 64 }; /* more than these wait for their next event, a second later */

/* Whose connections are to be ended, and which budget it is for. */
struct watch_held {
	struct weir_sever_request request;
	uint8_t reason;
};

struct watch {
	bool wants_cut_scan; /* something was latched */
	struct watch_held held[WATCH_ACCOUNTS];
	size_t held_count;
	uint64_t scanned_ns; /* boot; the last scan */
	uint64_t losses[WEIR_LOSSES];
	uint64_t unwritten;
	bool has_unended; /* told, and not well since */
};

/* Events taken in one go, at some 20 us each. An order that comes meanwhile waits for them up to
 * three times (its connection, its words), and a cut has 5 ms; before the first and after the last
 * order there is none that waits. */
enum { WATCH_AT_ONCE = 32, WATCH_WAITING = 4096 };

/* Takes what waits in the ring, `most` events of it. */
void watch_events(struct watch *watch, struct host *host, int most);

/* Does the scans that are due. Returns the boot time at which the next one is, 0 when none is. */
uint64_t watch_scan(struct watch *watch, struct host *host);

/* Tells of losses since the last call. The first call only takes note of them. */
void watch_losses(struct watch *watch, struct host *host, bool is_first);

#endif
