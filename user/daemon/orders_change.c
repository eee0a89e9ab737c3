/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders_change.c - the steps that cut and reopen have in common.
 */
#include "user/daemon/orders_change.h"

#include <string.h>

#include "user/base/cleanup.h"

int orders_begin(struct host *host, struct orders *orders, char **problem)
{
	int r = host_refresh_orders(host);

	if (r == 0)
		r = orders_copy(&host->orders, orders);
	if (r < 0)
		return tell_problem(problem, r, "cannot read the orders: %s", strerror(-r));
	return 0;
}

int orders_compile_for(struct host *host, const struct orders *orders, struct cut_table *table,
		       char **problem)
{
	size_t lost;

	return host_compile_orders(&host->image, orders, table, host->is_foreign ? NULL : &lost,
				   problem);
}

void orders_hold(struct host *host, struct orders *orders)
{
	orders_free(&host->orders);
	host->orders = *orders;
	*orders = (struct orders){0};
	host->has_stale_stand_in = true;
	host->orders_active = guard_control(host->guard).active;
}

int orders_keep(struct host *host, struct orders *orders)
{
	int r = guard_set_orders(host->guard, orders->item, orders->count);

	orders_hold(host, orders);
	return r;
}

int orders_save_set(const struct host *host, const struct orders *orders)
{
	_cleanup_free_ char *path = host_path(host, "orders.json");

	if (host->state_dir < 0)
		return -ENOENT;
	return path ? orders_save(orders, path) : -ENOMEM;
}

int orders_to_disk(struct host *host)
{
	return orders_save_set(host, &host->orders);
}

int orders_problem(int error, const struct order_text *text, char **problem)
{
	if (error == -EINVAL)
		return tell_problem(problem, error,
				    "a reason of 1 to %zu bytes without control characters is "
				    "needed, and a target of at most %zu",
				    sizeof(((struct weir_order *)0)->reason) - 1,
				    sizeof(((struct weir_order *)0)->target) - 1);
	if (error == -ENOSPC)
		return tell_problem(problem, error, "there are %d orders already", WEIR_MAX_ORDERS);
	return tell_problem(problem, error, "cannot add %s: %s", text->target, strerror(-error));
}
