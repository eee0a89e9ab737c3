/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders.c - the set of cuts, of the exceptions inside them, and of overrides.
 */
#include "user/order/orders.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/order/reserve.h"

void orders_free(struct orders *orders)
{
	free(orders->item);
	free(orders->draw);
	*orders = (struct orders){0};
}

bool order_is_of(const struct weir_order *order, const uint8_t body[32])
{
	return memcmp(order->body, body, sizeof(order->body)) == 0;
}

bool order_is_signed(const struct weir_order *order)
{
	static const uint8_t none[sizeof(order->body)];

	return !order_is_of(order, none);
}

static int by_id(const void *left, const void *right)
{
	const struct weir_order *a = left, *b = right;

	return a->id < b->id ? -1 : a->id > b->id;
}

const struct weir_order *orders_find(const struct orders *orders, uint64_t id)
{
	struct weir_order key = {.id = id};

	if (orders->count == 0)
		return NULL;
	return bsearch(&key, orders->item, orders->count, sizeof(key), by_id);
}

static const struct weir_order *find_cut(const struct orders *orders, uint64_t id)
{
	const struct weir_order *order = orders_find(orders, id);

	return order && order_is_cut(order) ? order : NULL;
}

bool order_is_cut(const struct weir_order *order)
{
	return order->parent == 0 && order->kind == WEIR_ORDER_CUT;
}

bool order_is_override(const struct weir_order *order)
{
	return order->kind != WEIR_ORDER_CUT;
}

/* Removes the order and its exceptions, and keeps the order of the others. */
static void keep_others(struct orders *orders, uint64_t id)
{
	size_t kept = 0;

	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (order->id != id && order->parent != id)
			orders->item[kept++] = *order;
	}
	orders->count = kept;
}

void orders_take(struct orders *orders, struct weir_order *item, size_t count)
{
	size_t kept = 0;

	qsort(item, count, sizeof(*item), by_id);
	free(orders->item);
	orders->item = item;
	orders->count = count;
	for (size_t i = 0; i < count; i++) {
		if (item[i].id >= orders->next)
			orders->next = item[i].id + 1;
		item[i].target[sizeof(item[i].target) - 1] = '\0';
		item[i].reason[sizeof(item[i].reason) - 1] = '\0';
		item[i].by[sizeof(item[i].by) - 1] = '\0';
		item[i].grant[sizeof(item[i].grant) - 1] = '\0';
		/* A parent has a lower id: it is among those kept already, or nowhere. */
		orders->count = kept;
		if (item[i].parent == 0 || find_cut(orders, item[i].parent))
			item[kept++] = item[i];
	}
	orders->count = kept;
	if (orders->next == 0)
		orders->next = 1;
}

int orders_copy(const struct orders *orders, struct orders *copy)
{
	struct weir_order *item = malloc((orders->count + 1) * sizeof(*item));

	if (!item)
		return -ENOMEM;
	if (orders->count)
		memcpy(item, orders->item, orders->count * sizeof(*item));
	*copy = (struct orders){.item = item, .count = orders->count, .next = orders->next};
	if (reserve_copy(orders, copy) == 0)
		return 0;
	orders_free(copy);
	return -ENOMEM;
}

/* Control characters would tear the lines in which the text is shown. */
static int copy_text(char *to, size_t size, const char *from, bool may_be_empty)
{
	size_t length = strlen(from);

	if (length >= size || (length == 0 && !may_be_empty))
		return -EINVAL;
	if (!text_is_plain(from))
		return -EINVAL;
	memcpy(to, from, length + 1);
	return 0;
}

static int add(struct orders *orders, uint64_t parent, const struct order_text *text, uint64_t *id)
{
	struct weir_order order = {.parent = parent,
				   .since_ns = text->since_ns,
				   .until_ns = text->until_ns,
				   .kind = text->kind,
				   .more_bytes = text->more_bytes,
				   .prefix_bits = text->address ? text->prefix_bits : 0};
	struct weir_order *item;

	if (copy_text(order.target, sizeof(order.target), text->target, false) < 0 ||
	    copy_text(order.reason, sizeof(order.reason), text->reason, false) < 0 ||
	    copy_text(order.by, sizeof(order.by), text->by, true) < 0 ||
	    (text->grant && copy_text(order.grant, sizeof(order.grant), text->grant, false) < 0))
		return -EINVAL;
	if (text->body)
		memcpy(order.body, text->body, sizeof(order.body));
	if (text->address)
		memcpy(order.address, text->address, sizeof(order.address));
	if (orders->count +
		    (text->body || text->is_needed ? 0 : ORDERS_FOR_SIGNED + orders->spare) >=
	    WEIR_MAX_ORDERS)
		return -ENOSPC;
	item = realloc(orders->item, (orders->count + 1) * sizeof(*item));
	if (!item)
		return -ENOMEM;
	orders->item = item;
	order.id = orders->next ? orders->next : 1;
	orders->next = order.id + 1;
	item[orders->count++] = order;
	*id = order.id;
	return 0;
}

int orders_add_cut(struct orders *orders, const struct order_text *text, uint64_t *id)
{
	return add(orders, 0, text, id);
}

int orders_add_exception(struct orders *orders, uint64_t cut, const struct order_text *text,
			 uint64_t *id)
{
	if (!find_cut(orders, cut))
		return -ENOENT;
	for (size_t i = 0; i < orders->count; i++) {
		if (orders->item[i].parent == cut &&
		    strcmp(orders->item[i].target, text->target) == 0)
			return -EEXIST;
	}
	return add(orders, cut, text, id);
}

int orders_add_override(struct orders *orders, const struct order_text *text, uint64_t *id)
{
	bool is_addition = text->kind == WEIR_ORDER_PARTNER_ADD;
	bool is_probation = text->kind == WEIR_ORDER_PROBATION;
	size_t count = 0, additions = 0;

	if (text->kind == WEIR_ORDER_CUT || is_probation != !text->until_ns ||
	    (is_probation && (text->parts == 0 || text->parts >= WEIR_WHOLE)) ||
	    is_addition != !!text->address)
		return -EINVAL;
	for (size_t i = 0; i < orders->count; i++) {
		count += order_is_override(&orders->item[i]);
		additions += orders->item[i].kind == WEIR_ORDER_PARTNER_ADD;
	}
	if (count >= WEIR_OVERRIDES || (is_addition && additions >= WEIR_ADDITIONS))
		return -ENOSPC;
	return add(orders, 0, text, id);
}

const struct weir_order *orders_find_addition(const struct orders *orders, const char *target,
					      const uint8_t address[16], uint8_t bits)
{
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (order->kind == WEIR_ORDER_PARTNER_ADD && strcmp(order->target, target) != 0 &&
		    (prefix_holds(order->address, order->prefix_bits, address) ||
		     prefix_holds(address, bits, order->address)))
			return order;
	}
	return NULL;
}

static uint64_t span_of(const struct weir_order *order)
{
	return order->until_ns ? order->until_ns - order->since_ns : 0;
}

static bool says_the_same(const struct weir_order *a, const struct weir_order *b)
{
	return a->kind == b->kind && a->parent == b->parent && strcmp(a->target, b->target) == 0 &&
	       strcmp(a->reason, b->reason) == 0 && strcmp(a->by, b->by) == 0 &&
	       memcmp(a->body, b->body, sizeof(a->body)) == 0 && a->more_bytes == b->more_bytes &&
	       strcmp(a->grant, b->grant) == 0 &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       a->prefix_bits == b->prefix_bits && span_of(a) == span_of(b);
}

/* Whether the `count` orders of each say the same. */
static bool are_alike(const struct weir_order *there, const struct weir_order *added, size_t count,
		      uint64_t since_ns)
{
	for (size_t i = 0; i < count; i++) {
		if (there[i].id != there[0].id + i || there[i].since_ns < since_ns ||
		    there[i].since_ns > added[i].since_ns || !says_the_same(&there[i], &added[i]))
			return false;
	}
	return true;
}

uint64_t orders_find_again(const struct orders *orders, size_t count, uint64_t since_ns)
{
	const struct weir_order *item = orders->item;
	size_t added = orders->count - count;

	for (size_t i = 0; added && i + added <= count; i++) {
		if (are_alike(&item[i], &item[count], added, since_ns))
			return item[i].id;
	}
	return 0;
}

int orders_remove(struct orders *orders, uint64_t id)
{
	const struct weir_order *order = orders_find(orders, id);

	if (!order || order->parent)
		return -ENOENT;
	keep_others(orders, id);
	return 0;
}

static bool ends(const struct weir_order *order, bool with_signed)
{
	return order->parent == 0 && order->until_ns && (with_signed || !order_is_signed(order));
}

uint64_t orders_expired(const struct orders *orders, uint64_t wall_ns, bool with_signed)
{
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (ends(order, with_signed) && order->until_ns <= wall_ns)
			return order->id;
	}
	return 0;
}

uint64_t orders_next_end(const struct orders *orders, bool with_signed)
{
	uint64_t next = 0;

	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (ends(order, with_signed) && (!next || order->until_ns < next))
			next = order->until_ns;
	}
	return next;
}

static int compile_one(const struct weir_order *order, order_resolver resolve, void *data,
		       struct weir_cut_entry *entry)
{
	int r;

	*entry = (struct weir_cut_entry){.service = WEIR_ANY};
	r = resolve(order, entry, data);
	if (r)
		return r;
	entry->order = order->id;
	entry->is_exception = order->parent != 0;
	return 0;
}

static int compile_cut(const struct orders *orders, size_t cut, order_resolver resolve, void *data,
		       struct weir_cut_entry *entry, size_t *count)
{
	int r = compile_one(&orders->item[cut], resolve, data, &entry[(*count)++]);

	for (size_t i = cut + 1; i < orders->count && r == 0; i++) {
		if (orders->item[i].parent == orders->item[cut].id)
			r = compile_one(&orders->item[i], resolve, data, &entry[(*count)++]);
	}
	return r;
}

int orders_compile(const struct orders *orders, order_resolver resolve, void *data,
		   struct weir_cut_entry **ret, size_t *count)
{
	_cleanup_free_ struct weir_cut_entry *entry = NULL;
	size_t used = 0;

	if (orders->count > WEIR_CUT_ENTRIES)
		return -E2BIG;
	if (orders->count) {
		entry = calloc(orders->count, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
	}
	for (size_t i = 0; i < orders->count; i++) {
		int r;

		if (!order_is_cut(&orders->item[i]))
			continue;
		r = compile_cut(orders, i, resolve, data, entry, &used);
		if (r)
			return r;
	}
	*ret = TAKE_PTR(entry);
	*count = used;
	return 0;
}

int orders_compile_overrides(const struct orders *orders, override_resolver resolve, void *data,
			     struct weir_override **ret, size_t *count)
{
	_cleanup_free_ struct weir_override *override = NULL;
	size_t used = 0;

	for (size_t i = 0; i < orders->count; i++)
		used += order_is_override(&orders->item[i]);
	if (used > WEIR_OVERRIDES)
		return -E2BIG;
	if (used) {
		override = calloc(used, sizeof(*override));
		if (!override)
			return -ENOMEM;
	}
	used = 0;
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];
		int r;

		if (!order_is_override(order))
			continue;
		override[used] = (struct weir_override){
			.at = {.service = WEIR_ANY},
			.until_ns = order->until_ns ? order->until_ns : UINT64_MAX,
			.more_bytes = order->more_bytes,
			.kind = order->kind};
		r = resolve(order, &override[used], data);
		if (r)
			return r;
		override[used++].at.order = order->id;
	}
	*ret = TAKE_PTR(override);
	*count = used;
	return 0;
}
