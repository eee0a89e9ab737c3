/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * same.h - whether two policies decide the same by a grant.
 */
#ifndef WEIR_SAME_H
#define WEIR_SAME_H

#include "user/policy/image.h"

/* One service and one partner of a policy. */
struct image_relation {
	const struct image *image;
	uint32_t service, partner;
};

/*
 * Whether what goes by `grant` (of a->image) in `a` goes by the grant of that name in `b`: both
 * have the same rules in the same order, up to the last one of it, by grants of the same names that
 * decide at the same hours from `wall_ns` on, as far as both are known. Budgets do not matter: what
 * a packet goes by does not depend on them.
 */
bool relations_are_same(const struct image_relation *a, const struct image_relation *b,
			uint32_t grant, uint64_t wall_ns);

#endif
