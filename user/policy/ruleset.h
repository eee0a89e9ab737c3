/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ruleset.h - a policy and its cuts as an nftables ruleset: what stands in for a guard that cannot
 * be loaded.
 *
 * nftables sees addresses, protocols, ports and who opened a TCP connection; no service, no budget.
 * So a grant widens to all services and to any amount, and where a cut cannot be told apart by what
 * nftables sees, more is refused than was cut:
 *
 *	a cut of a service, or of a class that a service has	everything but the lifeline
 *	X@service:NAME						all of X
 *	what was let back of a cut by service or address	stays cut
 *
 * Strangers get nothing. Grants in observe open nothing. A policy in observe refuses what is cut
 * alone. What partners call back to us for (FTP's data) passes as a call. Loopback, neighbour
 * discovery, group membership and DHCP always pass. Forwarded packets are judged like our own, on
 * the uplinks.
 */
#ifndef WEIR_RULESET_H
#define WEIR_RULESET_H

#include <stdio.h>

#include "user/policy/host_config.h"
#include "user/policy/image.h"

/* Hours further ahead than this are left out, and so closed. */
#define RULESET_HOURS_NS (31 * UINT64_C(86400) * 1000000000)

struct ruleset {
	const char *instance; /* its table is RULESET_TABLE with this behind it */
	enum without_guard mode;
	const struct image *image; /* NULL: no policy is known; then all modes but open close all */
	const struct order_table *cuts; /* compiled against it */
	const struct names *uplinks;	/* empty: every interface but loopback */
	uint64_t wall_ns;		/* hours that were over by then are left out */
	bool hours_closed;		/* all hours */
};

#define RULESET_FAMILY "inet"
#define RULESET_TABLE  "weir-"
/* Its counters: what left, but for what keeps the link alive, and what did not. */
#define RULESET_PASSED	"passed"
#define RULESET_REFUSED "refused"

/*
 * Writes what `nft -f` takes; it replaces, in one transaction, what an earlier one put there. Mode
 * closed: the lifeline alone; open: no table. 0 or -ENOMEM; errors of `out` are its own.
 */
int ruleset_write(const struct ruleset *ruleset, FILE *out);

#endif
