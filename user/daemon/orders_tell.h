/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders_tell.h - orders and latches as JSON, and which of them hold a target.
 */
#ifndef WEIR_ORDERS_TELL_H
#define WEIR_ORDERS_TELL_H

#include "user/base/json_out.h"
#include "user/daemon/cover.h"
#include "user/daemon/host.h"
#include "user/daemon/latches.h"

/* The fields of a cut with what is let back, and those of a latch, into an open object. */
void order_put(const struct host *host, const struct weir_order *cut, struct json_out *reply);
void latch_put(const struct host *host, const struct latch *latch, struct json_out *reply);

/* What holds a target, most of it first. */
struct holding {
	bool is_cut; /* all of it is, and no part is let back */
	bool is_part_cut;
	bool is_severed; /* a latch lies within it, or around it */
};

/*
 * "cuts": each order that means the target or a part of it, with "covers" (whole, part) and
 * "let_back" (none, part, whole) beside the fields of status; then the latches in it. The orders
 * must have been refreshed.
 */
struct holding holding_put(const struct host *host, const struct weir_cut_entry *target,
			   const struct latches *latches, struct json_out *reply);

/* How a cut lies to a target; NONE when it means nothing of it, or is let back for all of it. */
enum cover cut_holds(const struct host *host, const struct weir_order *cut,
		     const struct weir_cut_entry *target, enum cover *let_back);

/* Whether a latch holds something of the target. */
bool latch_holds(const struct host *host, const struct latch *latch,
		 const struct weir_cut_entry *target);

#endif
