/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pace.h - when something is due; so often and no more: a burst, and then a rate (the generic cell
 * rate algorithm). */
#ifndef WEIR_FLEET_PACE_H
#define WEIR_FLEET_PACE_H

#include <stdint.h>

struct pace {
	uint64_t each_ns; /* between two, in the long run */
	uint64_t burst;	  /* so many at once */
	uint64_t used_ns; /* up to when it is used up, on the caller's clock */
};

/* When the next one may be; not after `now_ns`: now. */
static inline uint64_t pace_next(const struct pace *pace)
{
	uint64_t ahead_ns = (pace->burst - 1) * pace->each_ns;

	return pace->used_ns > ahead_ns ? pace->used_ns - ahead_ns : 0;
}

static inline void pace_use(struct pace *pace, uint64_t now_ns)
{
	pace->used_ns = (pace->used_ns > now_ns ? pace->used_ns : now_ns) + pace->each_ns;
}

/* *next becomes the earlier of the two. */
static inline void sooner(uint64_t *next, uint64_t at)
{
	if (at < *next)
		*next = at;
}

#endif
