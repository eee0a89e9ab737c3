/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * about.h - what a policy says of a partner and of an address, as JSON. Pure: needs no guard.
 */
#ifndef WEIR_ABOUT_H
#define WEIR_ABOUT_H

#include "user/base/json_out.h"
#include "user/policy/image.h"

/* "partner": name, classes, prefixes, from/until at `wall_ns`, info, and what its grants allow;
 * null for WEIR_NO_PARTNER. */
void about_partner(const struct image *image, uint32_t partner, uint64_t wall_ns,
		   struct json_out *reply);

/* "info": what the policy says for people, such as whom to call. */
void about_info(const struct image *image, uint32_t partner, struct json_out *reply);

/*
 * "address"; "is": partner, stranger, or lifeline when that is all it is; "prefix": the one that
 * matched, "around": those that hold it too, from the inside out, "near": the listed ones next to
 * it on either side; "lifeline": its rules; "partner"; "strangers": what each service gives who has
 * no grant. `added`: whose it is by an order, where the policy gives it to none; WEIR_NO_PARTNER.
 */
void about_address(const struct image *image, const uint8_t address[16], uint32_t added,
		   uint64_t wall_ns, struct json_out *reply);

#endif
