/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * outliving.h - cuts that outlive what they name. When the guard goes back by itself from a policy
 * on trial, or in force for a while, nobody is there to say what becomes of a cut by a name that
 * the older policy lacks, or has with less behind it. What it covers stays cut, by other words:
 *
 *	a partner	addr:PREFIX of each of its prefixes, as they are in the policy that is left,
 *			but not of other partners' prefixes inside them
 *	a service	service:NAME of each service that has its cgroups under the older policy;
 *			where that names none for them, service:other
 *	a grant		addr:PREFIX@service:NAME of its partners and services, all ports; also
 *			where the older policy has the grant, but not the same rules
 *	a class		what its members come to, as above
 *	X@service:NAME	the same in each service that has the cgroups
 *
 * These are cuts with an id of their own that stand for the first (struct weir_order), and end with
 * it: by a reopening, or in time. The first stays too, for the day on which a policy has its name
 * again. Wider is allowed, narrower is not: more prefixes than there is room for are cut shorter
 * until there is. What has a name in every policy (all, strangers, other) means what the policy in
 * force means by it, and so does an exception by name.
 */
#ifndef WEIR_OUTLIVING_H
#define WEIR_OUTLIVING_H

#include "user/daemon/host.h"

/*
 * Adds to `orders` the cuts that stand for those whose object `after` does not have as `before`
 * has. A cut that nothing is missing of, or that has its stand-ins already, gets none. 0; -ENOSPC
 * with `problem`: there is no room even for the shortest; -ENOMEM. `orders` is as it was then.
 */
int cuts_outlive(const struct image *before, const struct image *after, uint64_t wall_ns,
		 struct orders *orders, char **problem);

/* Events, and lines of the journal, of those with an id from `first` on: they are in force. */
void cuts_tell_outliving(struct host *host, uint64_t first);

#endif
