/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * reserve.h - what one person alone has let pass more, out of the reserves of grants.
 *
 * A draw stands beside the orders (struct orders) and outlives its extension: it counts against the
 * grant's reserve until the reserve's span is over, however early the extension was ended. Pure: no
 * clock, no policy.
 */
#ifndef WEIR_RESERVE_H
#define WEIR_RESERVE_H

#include "user/order/orders.h"

/* Beyond these, older draws of one grant are put together: they count a little longer then. */
enum { RESERVE_MOST_DRAWS = 1024 };

struct draw {
	uint64_t order;	   /* id of the extension */
	uint64_t bytes;	   /* of all accounts that it reached; UINT64_MAX: not known, all of it */
	uint64_t since_ns; /* wall */
	uint64_t until_ns; /* wall: the reserve's span from then on, when it was drawn */
	uint8_t body[32];  /* of the signed order; 0: a local one */
	char grant[56];	   /* "": of each */
};

struct reserve_state {
	uint64_t drawn_bytes, left_bytes;
	uint64_t fits_at_ns; /* wall; 0: now, UINT64_MAX: never, it is more than the reserve */
};

/* How a reserve stands at `wall_ns`, for who wants `bytes` of it. */
void reserve_look(const struct orders *orders, const char *grant, const struct weir_limit *reserve,
		  uint64_t wall_ns, uint64_t bytes, struct reserve_state *state);

/* Whether a draw counts at `wall_ns`, under a reserve of this span (0: the grant has none now). */
bool draw_counts(const struct draw *draw, uint64_t span_ns, uint64_t wall_ns);

/* Adds a copy. 0, also when there is one of the same order; -ENOSPC when there are
 * RESERVE_MOST_DRAWS, each of another grant; -ENOMEM. */
int reserve_draw(struct orders *orders, const struct draw *draw);

/* Whether there is one of the signed order with this digest. */
bool reserve_has(const struct orders *orders, const uint8_t body[32]);

/* What was drawn is not known any more: each reserve counts as used up, from `wall_ns` on. -ENOMEM.
 */
int reserve_draw_all(struct orders *orders, uint64_t wall_ns);

/* The draws of the other, which come in the place of its own. -ENOMEM: it has its own still. */
int reserve_copy(const struct orders *from, struct orders *to);

/* Drops those of which `counts` says no. */
void reserve_prune(struct orders *orders, bool (*counts)(const struct draw *draw, void *data),
		   void *data);

#endif
