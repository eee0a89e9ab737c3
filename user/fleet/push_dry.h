/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* push_dry.h - what an order would do to the fleet, told and not sent. */
#ifndef WEIR_FLEET_PUSH_DRY_H
#define WEIR_FLEET_PUSH_DRY_H

#include "user/fleet/push.h"

/*
 * Tells what the order says and which hosts it would go to. With `over` (asking.h; NULL: not) each
 * of them is asked what it would do there, and has `within_ns` to say it: whom it stops, which
 * connections end, what the lifeline spares. FLEET_DONE, or FLEET_REFUSED: not all have said all of
 * it, which is told.
 */
int push_dry_run(const struct push *push, const char *over, uint64_t within_ns);

#endif
