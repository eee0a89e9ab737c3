/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drill_flow.h - a connection to the place of a drill, in a process of its own: it sends all the
 * time, and notes what becomes of that. Boot times, in ns; 0: it did not happen.
 *
 * What counts is the far end: its TCP acknowledges what it got, and nothing else does.
 */
#ifndef WEIR_DRILL_FLOW_H
#define WEIR_DRILL_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum flow_phase {
	FLOW_BEFORE, /* send */
	FLOW_CUT,    /* and try to connect anew */
	FLOW_AFTER,  /* connect anew, and send */
	FLOW_END,
};

/* Shared with the process; each field has one writer. */
struct flow {
	_Atomic uint32_t phase;

	_Atomic int32_t error;		/* errno: it could not begin */
	_Atomic uint64_t flowing_ns;	/* the far end acknowledged the first bytes */
	_Atomic uint64_t acked_bytes;	/* of the first connection */
	_Atomic uint64_t last_acked_ns; /* when that grew the last time */
	_Atomic uint64_t ended_ns;	/* the first connection broke; nothing else ends it */
	_Atomic int32_t ended_errno;	/* by which error; 0: the far end closed it */

	/* New connections during the cut, by when they were tried. */
	_Atomic uint64_t tries, refused;
	_Atomic uint64_t refused_ns; /* the first that was refused */
	_Atomic uint64_t passed_ns;  /* the last that was not */

	_Atomic uint64_t reconnected_ns, reflowing_ns; /* after the reopening */
	_Atomic uint64_t reacked_bytes;
};

struct flow_place {
	uint8_t address[16];
	uint16_t port;
	const char *cgroup; /* directory that the process enters; NULL: it stays in the caller's */
};

/* Starts the process, which ends with its parent. NULL and errno. */
struct flow *flow_begin(const struct flow_place *place, pid_t *pid);
/* Ends it; `flow` stays readable until flow_free(). */
void flow_end(struct flow *flow, pid_t pid);
void flow_free(struct flow *flow);

/* Waits until *at is set, or the process gave up, at most so long. Whether it is set. */
bool flow_wait(const struct flow *flow, const _Atomic uint64_t *at, uint64_t most_ns);

#endif
