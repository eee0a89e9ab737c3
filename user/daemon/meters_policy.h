/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_policy.h - every meter with a budget that a policy can lead to. Pure.
 */
#ifndef WEIR_METERS_POLICY_H
#define WEIR_METERS_POLICY_H

#include <stdbool.h>

#include "user/policy/image.h"

struct policy_meter {
	uint64_t grant_key, service_key, partner_key;
	const struct weir_limits *limits;
	bool severs; /* a breach latches it */
};

/* Accounts of grants, ceilings of services and partners, the strangers' totals: each once. A
 * non-zero return of `each` ends the walk and is the answer; -ENOMEM. */
int policy_meters_each(const struct image *image,
		       int (*each)(const struct policy_meter *meter, void *data), void *data);

/*
 * What a slot of the strangers can have held, whichever service used it: of the windows that each
 * service has, the longest, with the largest budget. False: no service gives strangers a budget.
 */
bool policy_stranger_limits(const struct image *image, struct weir_limits *limits);
/* Whether a breach latches a slot of the strangers, in some service. */
bool policy_severs_strangers(const struct image *image);

#endif
