/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * reach.h - what a grant's selectors reach, without listing the pairs.
 *
 * A side is all partners, or all services. Its members fall into sets of equal classes, of which
 * there are few, however many members there are: questions about classes and `any` are answered
 * from the sets.
 */
#ifndef WEIR_REACH_H
#define WEIR_REACH_H

#include "user/base/table.h"
#include "user/policy/policy.h"

enum { CLASSES_MAX = 64 * WEIR_CLASS_WORDS };

struct class_bits {
	uint64_t word[WEIR_CLASS_WORDS];
};

/* How specifically a selection names a member. */
enum level { LEVEL_NONE, LEVEL_ANY, LEVEL_CLASS, LEVEL_NAME };

/* Members with the same classes: side.member[first .. first + count). */
struct class_set {
	struct class_bits classes;
	uint32_t first, count;
};

struct side {
	struct table names;	    /* -> member */
	uint32_t count;		    /* members that can be named */
	uint32_t grouped;	    /* the first of them, which `any` and classes can mean */
	struct class_bits *classes; /* by member */
	uint32_t *set_of;	    /* by member that is grouped */
	uint32_t *member;	    /* sorted by set */
	struct class_set *sets;
	uint32_t set_count;
	struct class_bits carried;  /* each class that a member carries */
	uint8_t group[CLASSES_MAX]; /* classes that share members, directly or not, share a group */
};

struct reach {
	uint32_t *names; /* members, rising */
	uint32_t name_count;
	struct class_bits classes;
	bool is_any;
};

void class_bits_set(struct class_bits *bits, uint32_t bit);
bool class_bits_meet(const struct class_bits *a, const struct class_bits *b);

/*
 * Makes room for `count` members, of which the first `grouped` can be meant by `any`. The caller
 * fills side->names and side->classes, then calls side_group(). 0 or -ENOMEM; side_free() always.
 */
int side_init(struct side *side, uint32_t count, uint32_t grouped);
int side_group(struct side *side);
void side_free(struct side *side);

/* Reads selectors; unknown names and classes are passed over. `classes`: name -> bit. */
int reach_init(struct reach *reach, const struct selectors *selectors, const struct side *side,
	       const struct table *classes);
void reach_free(struct reach *reach);

enum level reach_level(const struct reach *reach, const struct side *side, uint32_t member);

/* Whether some member is named at `level` by both. */
bool reach_meet(const struct reach *a, const struct reach *b, const struct side *side,
		enum level level);

/* All members of a selection, one after the other; start from all zero. False at the end. */
struct reach_walk {
	uint32_t name, set, at;
};
bool reach_next(const struct reach *reach, const struct side *side, struct reach_walk *walk,
		uint32_t *member);

#endif
