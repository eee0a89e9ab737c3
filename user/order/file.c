/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * file.c - the orders on disk, for the time after a reboot, in two lines:
 * {"next":7,"orders":[{"id":3,"parent":0,"since_ns":...,"until_ns":0,"target":"...",...}]}
 * where "body" stands only with what came from a signed order, "kind", "grant" and "more_bytes", or
 * "parts" of a probation, only with an override, "prefix" only with an addition, and "stands_for"
 * only with a cut that keeps a part of another; behind the
 * orders, when there are some, what was drawn from reserves:
 * "draws":[{"order":4,"bytes":...,"since_ns":...,"until_ns":...,"grant":"..."}]
 * with a "body" as well,
 * {"sha256":"..."}
 * (sealed.h). "PATH.copy" holds the same, so that one damaged file loses no cut.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/base/json_in.h"
#include "user/base/json_out.h"
#include "user/base/sealed.h"
#include "user/order/reserve.h"

enum { LONGEST_FILE = 16 << 20, FILE_DEPTH = 4 };

static char *copy_of(const char *path)
{
	char *copy;

	return asprintf(&copy, "%s.copy", path) < 0 ? NULL : copy;
}

static void put_body(struct json_out *json, const uint8_t body[32])
{
	char text[HEX_TEXT(32)];

	json_put_text(json, "body", hex_format(body, 32, text));
}

static void put_draws(struct json_out *json, const struct orders *orders)
{
	static const uint8_t none[32];

	if (!orders->draw_count)
		return;
	json_open(json, "draws", '[');
	for (size_t i = 0; i < orders->draw_count; i++) {
		const struct draw *draw = &orders->draw[i];

		json_open(json, NULL, '{');
		json_put_uint(json, "order", draw->order);
		json_put_uint(json, "bytes", draw->bytes);
		json_put_uint(json, "since_ns", draw->since_ns);
		json_put_uint(json, "until_ns", draw->until_ns);
		json_put_text(json, "grant", draw->grant);
		if (memcmp(draw->body, none, sizeof(none)) != 0)
			put_body(json, draw->body);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void put_override(struct json_out *json, const struct weir_order *order)
{
	char prefix[PREFIX_TEXT];

	json_put_uint(json, "kind", order->kind);
	json_put_text(json, "grant", order->grant);
	json_put_uint(json, order->kind == WEIR_ORDER_PROBATION ? "parts" : "more_bytes",
		      order->more_bytes);
	if (order->kind != WEIR_ORDER_PARTNER_ADD)
		return;
	prefix_format(order->address, order->prefix_bits, prefix, sizeof(prefix));
	json_put_text(json, "prefix", prefix);
}

static void put_orders(FILE *out, const struct orders *orders)
{
	struct json_out json = {.out = out};

	json_open(&json, NULL, '{');
	json_put_uint(&json, "next", orders->next);
	json_open(&json, "orders", '[');
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		json_open(&json, NULL, '{');
		json_put_uint(&json, "id", order->id);
		json_put_uint(&json, "parent", order->parent);
		json_put_uint(&json, "since_ns", order->since_ns);
		json_put_uint(&json, "until_ns", order->until_ns);
		json_put_text(&json, "target", order->target);
		json_put_text(&json, "reason", order->reason);
		json_put_text(&json, "by", order->by);
		if (order_is_signed(order))
			put_body(&json, order->body);
		if (order_is_override(order))
			put_override(&json, order);
		else if (order->stands_for)
			json_put_uint(&json, "stands_for", order->stands_for);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	put_draws(&json, orders);
	json_close(&json, '}');
	fputc('\n', out);
}

/* The copy comes last: while it is older, the file itself is good. */
int orders_save(const struct orders *orders, const char *path)
{
	_cleanup_free_ char *text = NULL, *copy = copy_of(path);
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	int r;

	if (!out)
		return -ENOMEM;
	put_orders(out, orders);
	if (fclose(out) != 0 || !copy)
		return -ENOMEM;
	r = sealed_write(path, text, length);
	return r < 0 ? r : sealed_write(copy, text, length);
}

static int read_number(json_object *object, const char *key, __u64 *number)
{
	json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_int))
		return -EBADMSG;
	*number = json_object_get_uint64(value);
	return 0;
}

static int read_text(json_object *object, const char *key, char *text, size_t size)
{
	json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string) ||
	    (size_t)json_object_get_string_len(value) >= size)
		return -EBADMSG;
	memcpy(text, json_object_get_string(value), json_object_get_string_len(value) + 1);
	return 0;
}

/* Not there: a local order. */
static int read_body(json_object *object, uint8_t body[32])
{
	json_object *value;
	const char *text;

	if (!json_object_object_get_ex(object, "body", &value))
		return 0;
	text = json_object_get_string(value);
	if (!json_object_is_type(value, json_type_string) || !hex_parse(text, body, 32))
		return -EBADMSG;
	return 0;
}

static int read_prefix(json_object *object, struct weir_order *order)
{
	char prefix[PREFIX_TEXT];

	if (read_text(object, "prefix", prefix, sizeof(prefix)) < 0 ||
	    prefix_parse(prefix, order->address, &order->prefix_bits) < 0)
		return -EBADMSG;
	return 0;
}

/* Not there: it stands for itself. */
static int read_stands_for(json_object *object, struct weir_order *order)
{
	if (!json_object_object_get_ex(object, "stands_for", NULL))
		return 0;
	return order->parent ? -EBADMSG : read_number(object, "stands_for", &order->stands_for);
}

/* Not there: a cut, or an exception to one. */
static int read_override(json_object *object, struct weir_order *order)
{
	__u64 kind;

	if (!json_object_object_get_ex(object, "kind", NULL))
		return read_stands_for(object, order);
	if (read_number(object, "kind", &kind) < 0 || order->parent || kind < WEIR_ORDER_EXTEND ||
	    kind > WEIR_ORDER_PARTNER_ADD || (kind == WEIR_ORDER_PROBATION) != !order->until_ns ||
	    read_text(object, "grant", order->grant, sizeof(order->grant)) < 0 ||
	    read_number(object, kind == WEIR_ORDER_PROBATION ? "parts" : "more_bytes",
			&order->more_bytes) < 0 ||
	    (kind == WEIR_ORDER_PROBATION && (order->parts == 0 || order->parts >= WEIR_WHOLE)))
		return -EBADMSG;
	order->kind = kind;
	return kind == WEIR_ORDER_PARTNER_ADD ? read_prefix(object, order) : 0;
}

static int read_order(json_object *object, struct weir_order *order)
{
	if (!json_object_is_type(object, json_type_object) ||
	    read_number(object, "id", &order->id) < 0 || order->id == 0 ||
	    read_number(object, "parent", &order->parent) < 0 ||
	    read_number(object, "since_ns", &order->since_ns) < 0 ||
	    read_number(object, "until_ns", &order->until_ns) < 0 ||
	    read_text(object, "target", order->target, sizeof(order->target)) < 0 ||
	    read_text(object, "reason", order->reason, sizeof(order->reason)) < 0 ||
	    read_text(object, "by", order->by, sizeof(order->by)) < 0 ||
	    read_body(object, order->body) < 0 || read_override(object, order) < 0)
		return -EBADMSG;
	return 0;
}

static int read_draw(json_object *object, struct draw *draw)
{
	__u64 order, bytes, since_ns, until_ns;

	if (!json_object_is_type(object, json_type_object) ||
	    read_number(object, "order", &order) < 0 || read_number(object, "bytes", &bytes) < 0 ||
	    read_number(object, "since_ns", &since_ns) < 0 ||
	    read_number(object, "until_ns", &until_ns) < 0 ||
	    read_text(object, "grant", draw->grant, sizeof(draw->grant)) < 0 ||
	    read_body(object, draw->body) < 0)
		return -EBADMSG;
	draw->order = order;
	draw->bytes = bytes;
	draw->since_ns = since_ns;
	draw->until_ns = until_ns;
	return 0;
}

/* Not there: nothing was drawn, or the file is of a build without reserves. */
static int read_draws(json_object *root, struct orders *orders)
{
	json_object *list;
	size_t count;
	int r = 0;

	if (!json_object_object_get_ex(root, "draws", &list))
		return 0;
	if (!json_object_is_type(list, json_type_array))
		return -EBADMSG;
	count = json_object_array_length(list);
	if (count > RESERVE_MOST_DRAWS + 1)
		return -EBADMSG;
	for (size_t i = 0; i < count && r == 0; i++) {
		struct draw *draw = ARRAY_ADD(orders->draw, orders->draw_count);

		if (!draw)
			return -ENOMEM;
		r = read_draw(json_object_array_get_idx(list, i), draw);
		orders->draw_count++;
	}
	return r;
}

static int read_orders(json_object *root, struct orders *orders)
{
	_cleanup_free_ struct weir_order *item = NULL;
	json_object *list;
	__u64 next;
	size_t count;

	if (!json_object_is_type(root, json_type_object) || read_number(root, "next", &next) < 0 ||
	    !json_object_object_get_ex(root, "orders", &list) ||
	    !json_object_is_type(list, json_type_array))
		return -EBADMSG;
	count = json_object_array_length(list);
	if (count > WEIR_MAX_ORDERS)
		return -EBADMSG;
	item = calloc(count + 1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (read_order(json_object_array_get_idx(list, i), &item[i]) < 0)
			return -EBADMSG;
	}
	*orders = (struct orders){.next = next};
	if (read_draws(root, orders) < 0) {
		orders_free(orders);
		return -EBADMSG;
	}
	orders_take(orders, TAKE_PTR(item), count);
	return 0;
}

static int load_one(const char *path, struct orders *orders)
{
	_cleanup_free_ char *text = NULL;
	json_object *root;
	size_t length;
	int r;

	r = sealed_read(path, LONGEST_FILE, &text, &length);
	if (r < 0)
		return r;
	root = json_in(text, length, FILE_DEPTH);
	if (!root)
		return -EBADMSG;
	r = read_orders(root, orders);
	json_object_put(root);
	return r;
}

int orders_load(const char *path, struct orders *orders)
{
	_cleanup_free_ char *copy = copy_of(path);
	int r = load_one(path, orders), of_copy;

	if (r == 0 || r == -ENOMEM)
		return r;
	of_copy = copy ? load_one(copy, orders) : -ENOMEM;
	orders->is_of_copy = of_copy == 0;
	/* without the file, the copy is what is damaged */
	return of_copy == 0 || of_copy == -ENOMEM || r == -ENOENT ? of_copy : r;
}
