/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* check.h - inside policy_check(): what its parts share. */
#ifndef WEIR_CHECK_H
#define WEIR_CHECK_H

#include "user/policy/reach.h"

struct check {
	const struct policy *policy;
	struct faults *faults;
	struct table classes; /* name -> bit */
	struct table grants;  /* name -> number */
	struct side services; /* the named ones, then "other" and "forwarded" */
	struct side partners;
	struct reach *service_reach; /* by grant */
	struct reach *partner_reach;
	unsigned int near_searches; /* for near names among many: each costs a walk over all */
};

/* check_names.c: duplicates, unknown names, empty classes. Fills all of the above but `policy` and
 * `faults`. 0 or -ENOMEM; check_names_free() always. */
int check_names(struct check *check);
void check_names_free(struct check *check);

/* check_space.c: prefixes and cgroup paths that two claim. */
int check_space(struct check *check);

/* check_rank.c: grants of equal rank that overlap. */
int check_rank(struct check *check);

/* check_dead.c: grants that can never match. */
int check_dead(struct check *check);

/* check_advice.c: what is allowed and seldom meant. */
void check_advice(struct check *check);

/* check_hours.c: whether two grants have a moment in common; whether `a` holds whenever `b` does.
 */
bool times_meet(const struct policy *policy, const struct grant *a, const struct grant *b);
bool times_cover(const struct policy *policy, const struct grant *a, const struct grant *b);
bool validities_meet(const struct validity *a, const struct validity *b);

/* True for a grant whose rank can be judged. */
static inline bool is_sound(const struct grant *grant)
{
	return !grant->is_faulty && grant->name.text;
}

#endif
