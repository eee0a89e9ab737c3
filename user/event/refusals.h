/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refusals.h - what did not go out: the flows that were refused, and the sessions that were ended,
 * for the notices to partners.
 *
 * Refusals of one flow are one item, however often it is tried: a job that goes on trying fills no
 * list. There is room for REFUSALS_MOST items of partners, and beside them for REFUSALS_STRANGERS
 * of strangers, who so push no partner out; the one that began first makes room for the next. What
 * is not listed is counted, per partner.
 *
 * Pure: keys as the kernel tells them; wall times in ns.
 */
#ifndef WEIR_REFUSALS_H
#define WEIR_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

enum { REFUSALS_MOST = 16384, REFUSALS_STRANGERS = 2048, REFUSALS_DAYS = 30 };

struct refusal {
	/* What makes it the same flow. */
	uint64_t service_key, partner_key, grant_key;
	uint64_t order; /* of WEIR_REASON_CUT */
	uint8_t peer[16];
	uint16_t port; /* the service's: ours when we serve, theirs when we call */
	uint8_t protocol, direction, reason;
	uint8_t is_session; /* a connection that was ended: each is an item of its own */
	char program[16];   /* that made the socket, as in struct weir_event */
	/* What there is to tell of it. */
	uint16_t other_port; /* of who opened it, the last time; 0: not known */
	uint32_t pid;	     /* the last time; 0: not known */
	uint32_t pad;	     /* the bytes go to a file */
	uint64_t first_ns, last_ns;
	uint64_t count;			  /* of refusals; 1 of a session */
	uint64_t sent_bytes, acked_bytes; /* of a session, before it ended */
};

/* What the kernel's counters said of a partner (key 0: strangers) when counting began, and what was
 * told since. */
struct refusals_partner {
	uint64_t key;
	int64_t base;	    /* refused packets; negative when the counters began anew */
	uint64_t told;	    /* refusals that events told of */
	uint64_t dropped;   /* of these: items made room for others, or had no memory */
	uint64_t edge_base; /* packets dropped before the stack */
};

struct refusals;

/* NULL without memory. */
struct refusals *refusals_new(uint64_t wall_ns);
void refusals_free(struct refusals *list);

/* Since when it is kept. */
uint64_t refusals_began(const struct refusals *list);

/* Takes note of a refusal, or of a connection that was ended, for `reason`: event->reason is that
 * of its last packet, which may have passed. */
void refusals_note(struct refusals *list, const struct weir_event *event, uint8_t reason);

/* Forgets items that nothing was added to since `wall_ns`: they do not count as missing. */
void refusals_forget(struct refusals *list, uint64_t wall_ns);

/* The items that something was added to at or after `since_ns`; the order is that of memory. */
void refusals_each(const struct refusals *list, uint64_t since_ns,
		   void (*each)(const struct refusal *item, void *data), void *data);
size_t refusals_count(const struct refusals *list);

/* The partner's entry; NULL when there is none and it is not to be made, or without memory. */
struct refusals_partner *refusals_partner(struct refusals *list, uint64_t key, bool make);
/* All of them, in the order in which they came. */
void refusals_partners(struct refusals *list,
		       void (*each)(struct refusals_partner *partner, void *data), void *data);

/* What the kernel lost of its events, of whatever kind: `losses` is its counter at the last save.
 */
struct refusals_lost {
	uint64_t events, losses;
	char boot_id[40];
};
struct refusals_lost *refusals_lost(struct refusals *list);

/* All of it as bytes, for a file of this machine. *data is malloc'd. -ENOMEM. */
int refusals_pack(const struct refusals *list, void **data, size_t *length);
/* *list is new. -EBADMSG when it is not, to the last bit, what refusals_pack() made; -ENOMEM. */
int refusals_unpack(const void *data, size_t length, struct refusals **list);

#endif
