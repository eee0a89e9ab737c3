/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders_change.c - the steps that the orders have in common.
 */
#include "user/daemon/orders_change.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/additions.h"
#include "user/daemon/planning.h"
#include "user/daemon/returning.h"
#include "user/policy/target.h"

int order_lock(struct host *host, char **problem)
{
	int r = guard_lock_told(host->guard, problem);

	if (r < 0 || !host->asker || !caller_has_hung_up(host->asker))
		return r;
	guard_unlock(host->guard);
	return tell_problem(problem, -ECANCELED, "whoever asked for it has given it up");
}

uint64_t order_find_done(const struct host *host, const struct orders *orders, uint64_t asked_ns)
{
	uint64_t now = boot_now(), offset_ns = guard_control(host->guard).wall_offset_ns;

	if (!asked_ns || asked_ns > now || now - asked_ns > ASKING_LONGEST_NS)
		return 0;
	return orders_find_again(orders, host->orders.count, asked_ns + offset_ns);
}

int orders_begin(struct host *host, struct orders *orders, char **problem)
{
	int r = host_refresh_orders(host);

	if (r == 0)
		r = orders_copy(&host->orders, orders);
	if (r < 0)
		return tell_problem(problem, r, "cannot read the orders: %s", strerror(-r));
	orders->spare = plan_spare(host);
	return 0;
}

int orders_compile_for(struct host *host, const struct orders *orders, struct order_table *table,
		       char **problem)
{
	size_t lost;

	return host_compile_orders(host, &host->image, orders, table,
				   host->is_foreign ? NULL : &lost, problem);
}

void orders_hold(struct host *host, struct orders *orders)
{
	orders_free(&host->orders);
	host->orders = *orders;
	*orders = (struct orders){0};
	host->has_stale_stand_in = true;
	host->orders_active = guard_control(host->guard).active;
}

int orders_keep_texts(struct host *host, const struct orders *orders)
{
	int r = guard_set_orders(host->guard, orders->item, orders->count);

	host->has_unkept_orders = r < 0;
	return r;
}

int orders_keep(struct host *host, struct orders *orders)
{
	int r = orders_keep_texts(host, orders);

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

int orders_save_late(struct host *host)
{
	int r = host->has_unsaved_orders ? host_refresh_orders(host) : 0;

	if (r < 0 || !host->has_unsaved_orders)
		return r;
	r = orders_to_disk(host);
	if (r < 0)
		return r;
	host->has_unsaved_orders = false;
	if (host->is_daemon) /* a command does not know whether one has ended */
		host_forget_ended(host);
	return 0;
}

/* What holds still, onto the disk; when that fails, it is tried again in a while. */
static void put_back(struct host *host)
{
	host->has_unsaved_orders = orders_to_disk(host) < 0;
}

int orders_loosen(struct host *host, struct orders *orders, char **problem)
{
	_cleanup_order_table_ struct order_table table = {0};
	int r = orders_compile_for(host, orders, &table, problem);

	if (r < 0)
		return r;
	r = orders_save_set(host, orders);
	if (r < 0) {
		/* its file may be there all the same (file.h): a reboot must not find it */
		put_back(host);
		tell_problem(problem, r, "cannot save the order, so it is not done: %s",
			     strerror(-r));
	} else {
		host->loosened_saved_ns = boot_now();
		r = guard_set_cuts(host->guard, &table);
		host->loosened_ns = boot_now();
		if (r < 0) {
			put_back(host);
			tell_problem(problem, r, "the kernel refused it: %s", strerror(-r));
		}
	}
	if (r < 0)
		return r;
	r = orders_keep(host, orders);
	if (r < 0)
		return tell_problem(problem, DONE_IN_PART,
				    "it is done, but the orders' texts could not be kept in the "
				    "kernel: %s",
				    strerror(-r));
	return 0;
}

int orders_tighten(struct host *host, struct orders *orders, char **problem)
{
	_cleanup_order_table_ struct order_table table = {0};
	int r = orders_compile_for(host, orders, &table, problem), kept;

	if (r < 0)
		return r;
	r = guard_set_cuts(host->guard, &table);
	if (r < 0)
		return tell_problem(problem, r, "the kernel refused it: %s", strerror(-r));
	kept = orders_keep(host, orders);
	r = orders_to_disk(host);
	host->has_unsaved_orders = r < 0;
	if (r == 0)
		r = kept;
	return r < 0 ? tell_problem(problem, DONE_IN_PART, "it is done, but not saved: %s",
				    strerror(-r))
		     : 0;
}

/* In doubt they do: an exception lets back only what its cut covers, and so does no harm. */
static bool may_meet(const struct host *host, const char *cut, const char *target)
{
	struct weir_cut_entry of_cut, of_target;

	return target_resolve(&host->image, cut, &of_cut, NULL) < 0 ||
	       target_resolve(&host->image, target, &of_target, NULL) < 0 ||
	       host_cover(host, &of_cut, &of_target) != COVER_NONE;
}

/* The cut's own target, or that of the cut that it stands for. */
static bool is_of_target(const struct host *host, const struct weir_order *cut, const char *target)
{
	const struct weir_order *first =
		cut->stands_for ? orders_find(&host->orders, cut->stands_for) : NULL;

	return strcmp(cut->target, target) == 0 || (first && strcmp(first->target, target) == 0);
}

int orders_let_back(const struct host *host, struct orders *orders, uint64_t cut,
		    const struct order_text *text, enum let_back *how, uint64_t *exception)
{
	const struct weir_order *order = orders_find(orders, cut);
	int r;

	*how = LET_NOTHING;
	if (!order || !order_is_cut(order))
		return -ENOENT;
	if (is_of_target(host, order, text->target)) {
		*how = LET_WHOLE;
		return orders_remove(orders, cut);
	}
	if (!may_meet(host, order->target, text->target))
		return 0;
	r = orders_add_exception(orders, cut, text, exception);
	if (r == 0)
		*how = LET_PART;
	return r == -EEXIST ? 0 : r;
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
		return tell_problem(
			problem, error,
			"there is no room for more cuts and exceptions: %d, and %d more "
			"of signed orders",
			WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED, ORDERS_FOR_SIGNED);
	return tell_problem(problem, error, "cannot add %s: %s", text->target, strerror(-error));
}
