/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders.c - cuts, their texts, and the other words that an order changes.
 */
#include "user/kernel/internal.h"

#include <errno.h>

/* Whether an entry can cut by the address alone, so that XDP has to look. A class may be a
 * service's only; asking for nothing costs time, missing one would cost a cut. */
static bool touches_edge(const struct weir_cut_entry *entry)
{
	return !entry->is_exception && entry->service == WEIR_ANY &&
	       entry->target != WEIR_TARGET_NOTHING && entry->target != WEIR_TARGET_SERVICE &&
	       entry->target != WEIR_TARGET_GRANT;
}

/* The additions stand first, so that what looks for one of the two kinds meets no other. */
static int overrides_fill(struct guard *guard, const struct order_table *table, uint32_t slot,
			  struct weir_cut_head *head)
{
	_cleanup_free_ struct weir_override *sorted =
		calloc(table->override_count + 1, sizeof(*sorted));
	size_t count = 0;

	if (!sorted)
		return -ENOMEM;
	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < table->override_count; i++) {
			bool is_first = table->override[i].kind == WEIR_ORDER_PARTNER_ADD;

			if (is_first == (turn == 0))
				sorted[count++] = table->override[i];
		}
		if (turn == 0)
			head->additions = count;
	}
	head->overrides = count;
	if (head->additions > WEIR_ADDITIONS)
		return -ENOSPC;
	return count ? map_fill_array(guard->map_fd[MAP_OVERRIDES], slot * WEIR_OVERRIDES, sorted,
				      sizeof(*sorted), count)
		     : 0;
}

int cuts_fill(struct guard *guard, const struct order_table *table, uint32_t slot)
{
	static const struct order_table none;
	struct weir_cut_head head = {0};
	int err;

	if (!table)
		table = &none;
	if (table->count > WEIR_CUT_ENTRIES || table->override_count > WEIR_OVERRIDES)
		return -ENOSPC;
	head.entries = table->count;
	for (size_t i = 0; i < head.entries; i++)
		head.touches_edge |= touches_edge(&table->entry[i]);
	err = head.entries ? map_fill_array(guard->map_fd[MAP_CUTS], slot * WEIR_CUT_ENTRIES,
					    table->entry, sizeof(*table->entry), head.entries)
			   : 0;
	if (!err)
		err = overrides_fill(guard, table, slot, &head);
	if (err)
		return err;
	return bpf_map_update_elem(guard->map_fd[MAP_CUT_HEADS], &slot, &head, BPF_ANY) ? -errno
											: 0;
}

/*
 * A grace period of the cut before may still run. It is for the slot that was active then; the next
 * one has been quiet since an earlier grace period, so nothing has to be waited for before the
 * write that cuts. grace_begin() waits, after it: there is never more than one under way.
 */
int guard_set_cuts(struct guard *guard, const struct order_table *table)
{
	uint64_t active;
	uint32_t slot;
	int err = guard_lock(guard);

	if (err)
		return err;
	active = guard->control->active;
	slot = (weir_cut_slot(active) + 1) % WEIR_CUT_SLOTS;
	err = cuts_fill(guard, table, slot);
	if (!err) {
		commit(guard, weir_policy_slot(active), slot);
		grace_begin(guard);
	}
	guard_unlock(guard);
	return err;
}

/* The slot whose turn comes last, so that it holds still while the dry run reads it. */
int guard_stage_cuts(struct guard *guard, const struct order_table *table, uint32_t *slot)
{
	uint32_t spare;
	int err = lock_quiet(guard);

	if (err)
		return err;
	spare = (weir_cut_slot(guard->control->active) + WEIR_CUT_SLOTS - 1) % WEIR_CUT_SLOTS;
	err = cuts_fill(guard, table, spare);
	guard_unlock(guard);
	if (!err)
		*slot = spare;
	return err;
}

int guard_raise(struct guard *guard)
{
	uint64_t active;
	int err = guard_lock(guard);

	if (err)
		return err;
	active = guard->control->active;
	commit(guard, weir_policy_slot(active), weir_cut_slot(active));
	guard_unlock(guard);
	return 0;
}

int guard_set_clock(struct guard *guard, int64_t wall_offset_ns, bool hours_closed)
{
	int err = guard_lock(guard);

	if (err)
		return err;
	/* what closes comes before the new time, what opens after it */
	if (hours_closed)
		__atomic_store_n(&guard->control->hours_closed, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&guard->control->wall_offset_ns, wall_offset_ns, __ATOMIC_SEQ_CST);
	if (!hours_closed)
		__atomic_store_n(&guard->control->hours_closed, 0, __ATOMIC_SEQ_CST);
	err = guard_raise(guard);
	guard_unlock(guard);
	return err;
}

int guard_set_observe(struct guard *guard, bool observe)
{
	int err = guard_lock(guard);

	if (err)
		return err;
	__atomic_store_n(&guard->control->observe, observe, __ATOMIC_SEQ_CST);
	err = guard_raise(guard);
	guard_unlock(guard);
	return err;
}

/* ---- latches --------------------------------------------------------------------------------- */

/*
 * Only the word is cleared that refuses. The rest is written back as it was read: a latched account
 * is charged nothing, so at most a count of refusals from these microseconds is lost.
 */
static int clear_one(int fd, const void *key)
{
	struct weir_meter meter;

	if (bpf_map_lookup_elem(fd, key, &meter))
		return -errno;
	if (!meter.severed_ns)
		return -ENOENT;
	meter.severed_ns = 0;
	return bpf_map_update_elem(fd, key, &meter, BPF_EXIST) ? -errno : 0;
}

struct clearing {
	int fd;
	uint64_t service_key;
	bool is_done; /* at least one */
};

/* A slot is of the service that met it last: of two that share one, the other's latch too. */
static int clear_slot(uint32_t slot, const struct weir_meter *meter, void *data)
{
	struct clearing *clearing = data;
	int err;

	if (!meter->severed_ns || meter->service_key != clearing->service_key)
		return 0;
	err = clear_one(clearing->fd, &slot);
	clearing->is_done |= !err;
	return err == -ENOENT ? 0 : err;
}

int guard_clear_latch(struct guard *guard, uint64_t account)
{
	int err = guard_lock(guard);

	if (err)
		return err;
	err = clear_one(guard->map_fd[MAP_METERS], &account);
	if (!err)
		err = guard_raise(guard);
	guard_unlock(guard);
	return err;
}

int guard_clear_strangers(struct guard *guard, uint64_t service_key)
{
	struct clearing clearing = {.fd = guard->map_fd[MAP_STRANGERS], .service_key = service_key};
	int err = guard_lock(guard);

	if (err)
		return err;
	err = guard_strangers(guard, clear_slot, &clearing);
	if (clearing.is_done && guard_raise(guard) && !err)
		err = -EIO;
	guard_unlock(guard);
	return err ?: clearing.is_done ? 0 : -ENOENT;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static int order_by_id(const void *a, const void *b)
{
	const struct weir_order *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

/* All places of the map; *used is one behind the last that holds an order. */
static int orders_read(struct guard *guard, struct weir_order **ret, size_t *used)
{
	_cleanup_free_ struct weir_order *all = calloc(WEIR_MAX_ORDERS, sizeof(*all));
	int err;

	if (!all)
		return -ENOMEM;
	err = map_read_array(guard->map_fd[MAP_ORDERS], 0, all, sizeof(*all), WEIR_MAX_ORDERS);
	if (err)
		return err;
	*used = WEIR_MAX_ORDERS;
	while (*used && !all[*used - 1].id)
		--*used;
	guard->orders_end = *used;
	*ret = TAKE_PTR(all);
	return 0;
}

int guard_orders(struct guard *guard, struct weir_order **ret, size_t *count)
{
	_cleanup_free_ struct weir_order *all = NULL;
	size_t used = 0, kept = 0;
	int err = guard_lock(guard);

	if (err)
		return err;
	err = orders_read(guard, &all, &used);
	guard_unlock(guard);
	if (err)
		return err;
	for (size_t i = 0; i < used; i++) {
		if (!all[i].id)
			continue;
		all[i].target[sizeof(all->target) - 1] = 0;
		all[i].reason[sizeof(all->reason) - 1] = 0;
		all[i].by[sizeof(all->by) - 1] = 0;
		all[kept++] = all[i];
	}
	qsort(all, kept, sizeof(*all), order_by_id);
	*count = kept;
	*ret = TAKE_PTR(all);
	return 0;
}

/*
 * Another process may have written since this one looked, and taken places behind those that are
 * known here. It took them without a gap. To read all of them each time would take longer than
 * everything else that a cut waits for.
 */
static int orders_find_end(struct guard *guard, size_t from, size_t *end)
{
	for (*end = from; *end < WEIR_MAX_ORDERS; ++*end) {
		struct weir_order order;
		uint32_t place = *end;

		if (bpf_map_lookup_elem(guard->map_fd[MAP_ORDERS], &place, &order))
			return -errno;
		if (!order.id)
			break;
	}
	return 0;
}

static int orders_write(struct guard *guard, const struct weir_order *orders, size_t count)
{
	_cleanup_free_ struct weir_order *all = NULL;
	size_t used;
	int err = orders_find_end(guard, count > guard->orders_end ? count : guard->orders_end,
				  &used);

	if (err)
		return err;
	/* places that are not needed any more become free, in the same write */
	all = calloc(used ?: 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	if (count)
		memcpy(all, orders, count * sizeof(*all));
	err = map_fill_array(guard->map_fd[MAP_ORDERS], 0, all, sizeof(*all), used);
	if (!err)
		guard->orders_end = count;
	return err;
}

int guard_set_orders(struct guard *guard, const struct weir_order *orders, size_t count)
{
	int err;

	if (count > WEIR_MAX_ORDERS)
		return -ENOSPC;
	err = guard_lock(guard);
	if (err)
		return err;
	err = orders_write(guard, orders, count);
	guard_unlock(guard);
	return err;
}
