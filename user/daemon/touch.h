/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * touch.h - which partners an order means, as a policy has them. Pure.
 */
#ifndef WEIR_TOUCH_H
#define WEIR_TOUCH_H

#include "user/policy/image.h"

/* Whether the order stops something that the partner could get: all or a part of its addresses, or
 * what it has by a grant. */
bool partner_is_touched(const struct image *image, const struct weir_cut_entry *order,
			uint32_t partner);

/* The same for all partners: `touched` has head.partners places, and gains what is true. -ENOMEM.
 */
int partners_touched(const struct image *image, const struct weir_cut_entry *order, bool *touched);

/* For which services the lifeline has a rule that these targets mean too, and which they do not
 * stop: `spared` has head.services places, and gains what is true. */
void services_spared(const struct image *image, const struct weir_cut_entry *target,
		     size_t target_count, bool *spared);

/* How many pairs of a service and a partner that the target means have the grant: each has a meter
 * of its own. */
uint64_t grant_accounts(const struct image *image, uint32_t grant,
			const struct weir_cut_entry *target);

/* Whether the grant lets something pass that the target, of partners or of a class, means. */
bool grant_meets(const struct image *image, uint32_t grant, const struct weir_cut_entry *target);

#endif
