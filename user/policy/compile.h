/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile.h - what the parts of the compiler share. Only user/policy/compile*.c include it.
 *
 * Each part fills some tables of the image and returns 0, -ENOMEM, or -EBADMSG with a fault. Names
 * are resolved through the image's own tables; what policy_check() has ruled out is a fault here
 * too rather than a wrong table.
 */
#ifndef WEIR_COMPILE_H
#define WEIR_COMPILE_H

#include "user/policy/image.h"

enum {
	COMPILE_MAX_STEPS = 1 << 18,		 /* of the paths' automaton */
	COMPILE_MAX_HOURS = 1 << 22,		 /* intervals */
	COMPILE_MAX_GRANT_HOURS = (1 << 20) - 1, /* of one grant: 20 steps of binary search */
	COMPILE_MAX_REACH = 1 << 24,		 /* (grant, service) */
	COMPILE_MAX_PAIRS = 1 << 22,		 /* (service, profile) with rules */
	COMPILE_MAX_RULES = 1 << 24,
};

struct compile {
	const struct policy *policy;
	uint64_t now_ns; /* wall */
	struct image *image;
	struct faults *faults;
};

/* compile_names.c: names, their tables, classes; the counts in image->head. First of all. */
int compile_names(struct compile *c);
/* compile_records.c: services, partners, grants, but for profiles and hours. */
int compile_records(struct compile *c);
int compile_hours(struct compile *c); /* after the records */
int compile_paths(struct compile *c);
int compile_prefixes(struct compile *c);
int compile_lifeline(struct compile *c);
int compile_grants(struct compile *c); /* rules, pairs, profiles; after the records */

/* The windows in use first, in rising order. */
void compile_limits(const struct budget *budget, struct weir_limits *limits);

/* A fault at `at`; returns -EBADMSG. */
int compile_fault(struct compile *c, struct position at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static inline bool class_has(const __u64 words[WEIR_CLASS_WORDS], uint32_t bit)
{
	return words[bit / 64] >> (bit % 64) & 1;
}

/* Whether the first `bits` bits are the same. Unlike prefix_covers(), ::/0 holds IPv4 here: it is
 * about the order of the numbers alone. */
bool compile_holds(const uint8_t outer[16], uint8_t bits, const uint8_t inner[16]);

#endif
