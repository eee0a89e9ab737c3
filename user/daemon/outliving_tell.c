/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * outliving_tell.c - events, and lines of the journal, of what outlived its words.
 */
#include "user/daemon/outliving.h"

#include <string.h>

#include "user/base/hex.h"
#include "user/daemon/cutting.h"

/* What stands for a cut, and what was none before (outliving_held.h). */
static void tell_cut(struct host *host, const struct weir_order *order)
{
	char id[24], of[24] = "", body[HEX_TEXT(sizeof(order->body))];
	const struct weir_order *cut =
		order->stands_for ? orders_find(&host->orders, order->stands_for) : NULL;
	const char *target = order->target;
	struct journal_order line = {.kind = "cut",
				     .id = id,
				     .target = &target,
				     .target_count = 1,
				     .reason = order->reason,
				     .since_ns = order->since_ns,
				     .until_ns = order->until_ns};

	order_format(order->id, id, sizeof(id));
	if (order->stands_for) {
		order_format(order->stands_for, of, sizeof(of));
		line.order = of;
	}
	if (order_is_signed(order))
		line.body_sha256 = hex_format(order->body, sizeof(order->body), body);
	journaling_after(host, &line, 1);
	host_tell(host, "cut-outlives", RECORD_HIGH,
		  (struct record_field[]){{"order", id, 0},
					  {"target", target, 0},
					  {"order_reason", order->reason, 0},
					  {"stands_for", of, 0}},
		  *of ? 4 : 3,
		  *of ? "cut %s: %s, for what policy %s does not have of %s (%s)"
		      : "cut %s: %s, since policy %s would not hold it back%s: %s",
		  id, target, host->image.name, of,
		  cut	? cut->target
		  : *of ? ""
			: order->reason);
}

static void journal_exception(struct host *host, const struct weir_order *exception)
{
	struct journal_cut cut = {.how = "exception"};
	const struct journal_order line = {.kind = "reopen",
					   .reason = exception->reason,
					   .since_ns = exception->since_ns,
					   .cut = &cut,
					   .cut_count = 1};

	order_format(exception->parent, cut.id, sizeof(cut.id));
	order_format(exception->id, cut.exception, sizeof(cut.exception));
	strcpy(cut.target, exception->target);
	journaling_after(host, &line, 1);
}

void cuts_tell_outliving(struct host *host, uint64_t first)
{
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];

		if (order->id < first)
			continue;
		if (order->parent)
			journal_exception(host, order);
		else
			tell_cut(host, order);
	}
}
