/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * file.c - the orders on disk, for the time after a reboot, in two lines:
 * {"next":7,"orders":[{"id":3,"parent":0,"since_ns":...,"until_ns":0,"target":"...",...}]}
 * where "body" stands only with what came from a signed order, "kind", "grant" and "more_bytes"
 * only with an override, and "prefix" only with an addition,
 * {"sha256":"..."}
 * The second is over the first and its end of line. A file of one line is from before there were
 * two. "PATH.copy" holds the same, so that one damaged file loses no cut.
 */
#include <errno.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/hex.h"
#include "user/base/json_in.h"
#include "user/base/json_out.h"
#include "user/order/orders.h"

enum { LONGEST_FILE = 16 << 20, FILE_DEPTH = 4, SEAL_TEXT = 96 };

/* The line that says that what stands before it is whole. */
static int seal_of(const char *text, size_t length, char seal[SEAL_TEXT])
{
	char text_of_digest[HEX_TEXT(32)];
	uint8_t digest[32];

	if (!EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL))
		return -EIO;
	snprintf(seal, SEAL_TEXT, "{\"sha256\":\"%s\"}\n",
		 hex_format(digest, sizeof(digest), text_of_digest));
	return 0;
}

static char *copy_of(const char *path)
{
	char *copy;

	return asprintf(&copy, "%s.copy", path) < 0 ? NULL : copy;
}

static void put_override(struct json_out *json, const struct weir_order *order)
{
	char prefix[PREFIX_TEXT];

	json_put_uint(json, "kind", order->kind);
	json_put_text(json, "grant", order->grant);
	json_put_uint(json, "more_bytes", order->more_bytes);
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
		if (order_is_signed(order)) {
			char body[HEX_TEXT(sizeof(order->body))];

			hex_format(order->body, sizeof(order->body), body);
			json_put_text(&json, "body", body);
		}
		if (order_is_override(order))
			put_override(&json, order);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
	fputc('\n', out);
}

/* The copy comes last: while it is older, the file itself is good. */
int orders_save(const struct orders *orders, const char *path)
{
	_cleanup_free_ char *text = NULL, *copy = copy_of(path);
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	char seal[SEAL_TEXT];
	int r;

	if (!out)
		return -ENOMEM;
	put_orders(out, orders);
	fflush(out);
	r = seal_of(text, length, seal);
	fputs(r == 0 ? seal : "", out);
	if (fclose(out) != 0 || !copy)
		return -ENOMEM;
	if (r == 0)
		r = file_write_atomic(path, text, length, 0640);
	return r < 0 ? r : file_write_atomic(copy, text, length, 0640);
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

/* Not there: a cut, or an exception to one. */
static int read_override(json_object *object, struct weir_order *order)
{
	__u64 kind;

	if (!json_object_object_get_ex(object, "kind", NULL))
		return 0;
	if (read_number(object, "kind", &kind) < 0 || order->parent || !order->until_ns ||
	    kind < WEIR_ORDER_EXTEND || kind > WEIR_ORDER_PARTNER_ADD ||
	    read_text(object, "grant", order->grant, sizeof(order->grant)) < 0 ||
	    read_number(object, "more_bytes", &order->more_bytes) < 0)
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
	orders_take(orders, TAKE_PTR(item), count);
	return 0;
}

/* *length becomes that of the first line, without its end. */
static int check_seal(const char *text, size_t *length)
{
	const char *end = memchr(text, '\n', *length);
	size_t first = end ? (size_t)(end + 1 - text) : *length, behind = *length - first;
	char seal[SEAL_TEXT];
	int r = seal_of(text, first, seal);

	if (r == 0 && behind && (behind != strlen(seal) || memcmp(text + first, seal, behind)))
		r = -EBADMSG;
	*length = end ? first - 1 : first;
	return r;
}

static int load_one(const char *path, struct orders *orders)
{
	_cleanup_free_ char *text = NULL;
	json_object *root;
	size_t length;
	int r;

	r = file_read(path, LONGEST_FILE, &text, &length);
	if (r == 0)
		r = check_seal(text, &length);
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
