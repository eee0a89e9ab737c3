/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * outliving_held.h - what holds something back without being a cut, and outlives what it names as
 * cuts do (outliving.h): when the guard goes back by itself to a policy under which
 *
 *	a latch		would hold other packets, because the grant, the service or the partner of
 *			its account has another name there, or means something else: the partner is
 *			cut in the service, of strangers all in the service
 *	a plan		has a stage under way whose targets are not all there: what is missing
 *			something is cut, since nobody could cut it again, and no share bounds it
 *
 * These are cuts by the guard, until somebody reopens them. They are wider than what they stand
 * for: a latch is of one grant, and of one stranger's address nothing but a hash is known. A latch
 * is of an account: whom the older policy calls a partner, and the one that is left a stranger, has
 * another account there, which kept its budget. A trial that forgot its partners ends with their
 * service, not without.
 *
 * Latches that hold the same take no room, however many there are. Of the others at most 256 are
 * cut each; with more, or where that would take of the room that is left for signed orders, their
 * services are: no number of severed accounts keeps a trial on.
 */
#ifndef WEIR_OUTLIVING_HELD_H
#define WEIR_OUTLIVING_HELD_H

#include "user/daemon/host.h"

/*
 * Adds these cuts to `orders`, by the words of `before`; cuts_outlive() comes after it. Latches and
 * the plan are those of the guard and of `host`, or as they are saved where there is none yet. 0;
 * -ENOSPC with `problem`: there is no room even for the services; -errno with `problem`: what is
 * held is not known.
 */
int held_outlives(const struct host *host, const struct image *before, const struct image *after,
		  uint64_t wall_ns, struct orders *orders, char **problem);

#endif
