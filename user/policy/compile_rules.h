/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_rules.h - the rules of profiles. Only user/policy/compile_{grants,rules}.c include it.
 */
#ifndef WEIR_COMPILE_RULES_H
#define WEIR_COMPILE_RULES_H

#include "user/policy/arena.h"
#include "user/policy/compile.h"

/* A grant of the policy's, and the way by which it selects: SELECT_NAME, SELECT_CLASS, SELECT_ANY.
 */
struct selected {
	uint32_t grant;
	uint32_t kind;
};

struct candidate;

struct rules_build {
	struct compile *c;
	struct arena arena; /* keys of the tables */

	struct selected *services; /* (service, kind) that the grants reach, grant by grant */
	struct weir_span *services_of;
	size_t services_count, services_room;

	struct table profile_of; /* list of (grant, kind) -> profile */
	uint32_t profile_count;
	struct table span_of; /* rules -> index into `spans` */
	struct weir_span *spans;
	size_t span_count;
	size_t rules_room, pairs_room;

	struct candidate *candidates; /* scratch */
	size_t candidate_count, candidate_room;
};

/* Resolves the services of all grants. End with rules_end(), also after a failure. */
int rules_begin(struct rules_build *build, struct compile *c);

/*
 * The number of the profile of a list of grants (rising); new lists are compiled into rules and
 * pairs. `partner` is one that has it, for messages. Profile 0 is the empty list.
 */
int rules_profile(struct rules_build *build, const struct selected *grants, size_t count,
		  uint32_t partner, uint32_t *profile);

/* Sorts the pairs. */
void rules_finish(struct rules_build *build);
void rules_end(struct rules_build *build);

#endif
