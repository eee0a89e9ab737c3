/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refusing.h - the list of what did not go out, kept by the daemon: STATE/refused.
 *
 * It is made of the kernel's events, and checked against its counters: what these counted and no
 * event told of is answered as a number. It is on the disk a second after it changed, while it goes
 * on changing every ten: so it outlives a restart, a new policy, an upgrade and a reboot; of a
 * daemon that was killed, the last seconds are that number.
 */
#ifndef WEIR_REFUSING_H
#define WEIR_REFUSING_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

#define REFUSING_FILE "refused"

struct refusing;

/* Reads the file, or begins a list; a damaged file is told and set aside. The guard is on, and what
 * waited in its ring has not been read. Without memory there is no list (host->refusing NULL),
 * which keeps nothing else from its work. */
void refusing_begin(struct host *host);
/* What waited has been read: a list that begins counts from here. */
void refusing_base(struct host *host);
/* Not saved: refusing_save() comes before. */
void refusing_end(struct host *host);

/* Of one event, if it is about something that did not go out. */
void refusing_take(struct host *host, const struct weir_event *event);
/* Connections that the daemon ended for a budget, between two boot times: their events say that
 * their last packet passed. */
void refusing_note_ended(struct host *host, const struct weir_sever_request *request,
			 uint8_t reason, uint64_t from_ns, uint64_t until_ns);

/* Saves what is due. Boot time of the next time, 0: there is none. */
uint64_t refusing_save_due(struct host *host, uint64_t now_ns);
void refusing_save(struct host *host);

/* What `weir refused` answers, into an open object: of `target` (NULL: of all), since a wall time.
 * Without a daemon from the file and the pinned guard. 0 or -errno with `problem`. */
int host_refused(struct host *host, const char *target, uint64_t since_ns, struct json_out *reply,
		 char **problem);

/* ---- for refusing_tell.c --------------------------------------------------------------------- */

struct refusals;

struct refusals *refusing_list(const struct host *host);
/* Without a daemon the file, read only. */
int refusing_open(struct host *host, char **problem);
/* Events that the kernel could not tell, of whatever kind, since the list began. */
uint64_t refusing_lost_events(struct host *host);
/* What the kernel counts now: as `told` of each partner the packets that were refused, and as
 * `edge_base` those that were dropped before the stack. NULL without memory, or -errno in *error.
 */
struct refusals *refusing_counts(const struct host *host, int *error);

#endif
