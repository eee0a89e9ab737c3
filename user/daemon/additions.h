/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * additions.h - prefixes that orders add to partners for a while, as the daemon sees them: may one
 * be added, whose is an address with them, how orders lie to each other with them.
 *
 * The orders must have been refreshed.
 */
#ifndef WEIR_ADDITIONS_H
#define WEIR_ADDITIONS_H

#include "user/daemon/cover.h"
#include "user/daemon/host.h"

/* Who has new addresses for longer wants a policy that says so. */
#define ADDITION_LONGEST_NS (30 * NS_PER_DAY)

struct addition_request {
	const char *target; /* of the order */
	const char *prefix;
	uint64_t for_ns;
	/* What the target is; NULL: this policy does not have it, and a later one may. */
	const struct weir_cut_entry *partner;
	const uint8_t *body; /* of the signed order that it comes from; NULL: a local one */
};

/* Reads the prefix. 0; -EINVAL, -EEXIST with `problem`; -errno: the host's own addresses cannot be
 * read. */
int addition_may_be(const struct host *host, const struct orders *orders,
		    const struct addition_request *request, uint8_t address[16], uint8_t *bits,
		    char **problem);

/*
 * The signed cut that a local addition would take its addresses out of, as it takes them out of the
 * strangers, or into what the cut has let back of the partner; NULL: none. That takes two people:
 * while the cut is in force the addition gives nothing.
 */
const struct weir_order *addition_held_by(const struct image *image, const struct orders *orders,
					  const struct weir_order *addition);

/* The order by which the address is of a partner now, with the partner's index; NULL: by none. */
const struct weir_order *addition_of(const struct host *host, const uint8_t address[16],
				     uint32_t *partner);

/* Partner of an address, by the policy or an order; WEIR_NO_PARTNER. */
uint32_t host_partner_of(const struct host *host, const uint8_t address[16]);

/* cover_of() and partner_is_touched() under the policy in force and the additions that count now.
 */
enum cover host_cover(const struct host *host, const struct weir_cut_entry *cut,
		      const struct weir_cut_entry *target);
bool host_partner_is_touched(const struct host *host, const struct weir_cut_entry *order,
			     uint32_t partner);
/* As partners_touched(). */
int host_partners_touched(const struct host *host, const struct weir_cut_entry *order,
			  bool *touched);

#endif
