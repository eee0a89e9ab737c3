/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ending.c - orders that end by themselves. The end of a cut loosens, so all is done in the same
 * order as of a reopening; what only loosens for a while is over in the kernel already.
 */
#include "user/daemon/cutting.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/overriding.h"

/* What journal and event call it. */
static const char *end_name(const struct weir_order *order)
{
	return order_is_cut(order) ? "cut-ended" : "override-ended";
}

static void id_of(const struct weir_order *order, char *text, size_t size)
{
	if (order_is_cut(order))
		order_format(order->id, text, size);
	else
		override_format(order->id, text, size);
}

/* Once, however often it is tried to end it. */
static int journal_end(struct host *host, const struct weir_order *ended, char **problem)
{
	struct journal_cut cut = {.how = "whole"};
	const struct journal_order order = {.kind = end_name(ended),
					    .reason = "its time is over",
					    .since_ns = host_wall(host),
					    .cut = &cut,
					    .cut_count = 1};
	int r;

	if (host->journaling.ending_order == ended->id)
		return 0;
	id_of(ended, cut.id, sizeof(cut.id));
	strcpy(cut.target, ended->target);
	r = journaling_before(host, &order, problem);
	if (r == 0)
		host->journaling.ending_order = ended->id;
	return r;
}

static int end_order(struct host *host, uint64_t id)
{
	_cleanup_free_ char *problem = NULL;
	_cleanup_orders_ struct orders orders = {0};
	_cleanup_order_table_ struct order_table table = {0};
	const struct weir_order *order = orders_find(&host->orders, id);
	struct weir_order ended = *order;
	char text[24];
	int r = orders_copy(&host->orders, &orders);

	if (r == 0)
		r = orders_remove(&orders, id);
	if (r == 0)
		r = orders_compile_for(host, &orders, &table, &problem);
	if (r == 0)
		r = journal_end(host, &ended, &problem);
	if (r == 0)
		r = orders_save_set(host, &orders);
	if (r == 0)
		r = guard_set_cuts(host->guard, &table);
	if (r < 0)
		return r;
	r = orders_keep(host, &orders);
	id_of(&ended, text, sizeof(text));
	host_tell(host, end_name(&ended), RECORD_MEDIUM,
		  (struct record_field[]){
			  {"order", text, 0}, {"target", ended.target, 0}, {"by", ended.by, 0}},
		  3, "%s %s (%s) ended: its time is over",
		  order_is_cut(&ended) ? "cut" : override_kind_name(ended.kind), text,
		  ended.target);
	return r;
}

uint64_t host_end_orders(struct host *host)
{
	/* by a clock that nobody confirmed, no signed cut is over; confirming it raises the
	 * generation, and so this is asked again */
	bool with_signed = !guard_control(host->guard).hours_closed;
	uint64_t id, next;
	int r = guard_lock(host->guard);

	if (r < 0)
		return 0;
	r = host_refresh_orders(host);
	while (r == 0 && (id = orders_expired(&host->orders, host_wall(host), with_signed)) != 0)
		r = end_order(host, id);
	/* What could not be ended (a full disk) is tried again later: it only holds longer. */
	next = r < 0 ? host_wall(host) + 10 * NS_PER_SECOND
		     : orders_next_end(&host->orders, with_signed);
	guard_unlock(host->guard);
	return next;
}
