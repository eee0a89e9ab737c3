/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * addition.h - may a prefix be added to a partner for a while? Pure.
 *
 * The policy comes first: what it gives to a partner stays that partner's, and where it says
 * anything about a part of the prefix that an addition must not decide, nothing of it is added.
 */
#ifndef WEIR_ADDITION_H
#define WEIR_ADDITION_H

#include "user/policy/image.h"

/* The shortest prefixes. A partner that moves does not move into more than that, and the default
 * route, a continent or a cloud's whole range would make strangers partners. */
enum { ADDITION_LEAST_V4 = 16, ADDITION_LEAST_V6 = 32 };

/*
 * 0; -EINVAL with one line in *problem (malloc'd; NULL: nobody wants to know): too short; no
 * partner's (loopback, multicast, ...); it overlaps a prefix of another partner, lies in one of
 * this partner's, or covers one of the lifeline.
 */
int addition_check(const struct image *image, uint32_t partner, const uint8_t address[16],
		   uint8_t bits, char **problem);

/* The part of it that no policy changes: the length, and whether it may be any partner's. */
int addition_check_prefix(const uint8_t address[16], uint8_t bits, char **problem);

/* What the order of an addition comes to under the policy: override->at. 0; -ENOENT or -EINVAL,
 * with *problem as of addition_check(): it gives nothing; -ENOMEM. */
int addition_resolve(const struct image *image, const struct weir_order *order,
		     struct weir_override *override, char **problem);

#endif
