/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders.c - the set of cuts and of the exceptions inside them.
 */
#include "user/order/orders.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"

void orders_free(struct orders *orders)
{
	free(orders->item);
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

	return order && order->parent == 0 ? order : NULL;
}

/* Removes the cut and its exceptions, and keeps the order of the others. */
static void keep_others(struct orders *orders, uint64_t cut)
{
	size_t kept = 0;

	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (order->id != cut && order->parent != cut)
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
	return 0;
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
	struct weir_order order = {
		.parent = parent, .since_ns = text->since_ns, .until_ns = text->until_ns};
	struct weir_order *item;

	if (copy_text(order.target, sizeof(order.target), text->target, false) < 0 ||
	    copy_text(order.reason, sizeof(order.reason), text->reason, false) < 0 ||
	    copy_text(order.by, sizeof(order.by), text->by, true) < 0)
		return -EINVAL;
	if (text->body)
		memcpy(order.body, text->body, sizeof(order.body));
	if (orders->count >= WEIR_MAX_ORDERS - (text->body ? 0 : ORDERS_FOR_SIGNED))
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

int orders_remove_cut(struct orders *orders, uint64_t id)
{
	if (!find_cut(orders, id))
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

		if (orders->item[i].parent)
			continue;
		r = compile_cut(orders, i, resolve, data, entry, &used);
		if (r)
			return r;
	}
	*ret = TAKE_PTR(entry);
	*count = used;
	return 0;
}
