/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refusing_tell.c - the list of what did not go out, partner by partner, for people.
 */
#include "user/daemon/refusing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/about.h"
#include "user/daemon/cutting.h"
#include "user/daemon/totals.h"
#include "user/event/refusals.h"
#include "user/policy/words.h"

struct telling {
	struct host *host;
	struct refusals *list, *counts;
	const struct weir_cut_entry *target; /* NULL: all of it */
	uint64_t since_ns;
	struct json_out *reply;
	const struct refusal **item; /* by partner, then by time */
	size_t count;
	bool is_short; /* of memory */
};

/* ---- what is asked for ---------------------------------------------------------------------- */

/* Of a name that this policy does not have, `all` alone tells. */
static bool is_meant(const struct telling *telling, const struct refusal *item)
{
	const struct names_of_keys *names = &telling->host->names;
	uint32_t grant = names_grant_index(names, item->grant_key);
	struct weir_answer answer = {
		.service = names_service_index(names, item->service_key),
		.partner = item->partner_key ? names_partner_index(names, item->partner_key)
					     : WEIR_NO_PARTNER,
		.grant = grant == TABLE_NONE ? WEIR_NO_GRANT : grant,
	};

	if (!telling->target ||
	    (telling->target->target == WEIR_TARGET_ALL && telling->target->service == WEIR_ANY))
		return true;
	if (answer.service == TABLE_NONE || answer.partner == TABLE_NONE)
		return false;
	return image_entry_covers(&telling->host->image, telling->target, item->peer, &answer);
}

/* Whether all that the kernel counted of a partner belongs to the target. */
static bool is_whole(const struct telling *telling, uint64_t key)
{
	const struct weir_cut_entry *target = telling->target;

	if (!target)
		return true;
	if (target->service != WEIR_ANY)
		return false;
	return target->target == WEIR_TARGET_ALL ||
	       (target->target == WEIR_TARGET_STRANGERS && key == 0) ||
	       (target->target == WEIR_TARGET_PARTNER && key != 0 &&
		names_partner_index(&telling->host->names, key) == target->index);
}

static void collect(const struct refusal *item, void *data)
{
	struct telling *telling = data;
	const struct refusal **place;

	if (!is_meant(telling, item))
		return;
	place = ARRAY_ADD(telling->item, telling->count);
	if (!place) {
		telling->is_short = true;
		return;
	}
	*place = item;
	telling->count++;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_partner(const void *left, const void *right)
{
	const struct refusal *a = *(const struct refusal *const *)left;
	const struct refusal *b = *(const struct refusal *const *)right;

	return compare(a->partner_key, b->partner_key) ?: compare(a->first_ns, b->first_ns);
}

static int is_of(const void *key, const void *item)
{
	return compare(*(const uint64_t *)key, (*(const struct refusal *const *)item)->partner_key);
}

/* ---- one item ------------------------------------------------------------------------------- */

static void put_key(struct json_out *reply, const char *what, const char *name, uint64_t key)
{
	char digits[20];

	snprintf(digits, sizeof(digits), "#%016" PRIx64, key);
	json_put_text(reply, what, name ? name : digits);
}

/* What is known of an order stands with it, as long as it is in force. */
static void put_order(const struct host *host, uint64_t id, struct json_out *reply)
{
	const struct weir_order *order = orders_find(&host->orders, id);
	char text[24];

	if (!id)
		return;
	order_format(id, text, sizeof(text));
	json_put_text(reply, "order", text);
	if (!order)
		return;
	json_put_text(reply, "order_target", order->target);
	json_put_text(reply, "order_reason", order->reason);
}

static void put_ends(const struct refusal *item, struct json_out *reply)
{
	bool serves = item->direction == WEIR_SERVES;
	uint16_t ours = serves ? item->port : item->other_port;
	uint16_t theirs = serves ? item->other_port : item->port;
	char peer[ADDRESS_TEXT], protocol[PROTOCOL_NAME_BYTES];

	address_format(item->peer, peer, sizeof(peer));
	json_put_text(reply, "protocol", protocol_name(item->protocol, protocol));
	json_put_text(reply, "direction", direction_name(item->direction));
	json_put_text(reply, "peer", peer);
	if (theirs)
		json_put_uint(reply, "peer_port", theirs);
	if (ours)
		json_put_uint(reply, "local_port", ours);
}

static void put_item(const struct telling *telling, const struct refusal *item)
{
	const struct names_of_keys *names = &telling->host->names;
	char program[sizeof(item->program) + 1] = "";
	struct json_out *reply = telling->reply;

	json_open(reply, NULL, '{');
	json_put_text(reply, "kind", item->is_session ? "severed" : "refused");
	put_key(reply, "service", names_service(names, item->service_key), item->service_key);
	put_key(reply, "grant", names_grant(names, item->grant_key), item->grant_key);
	put_ends(item, reply);
	json_put_text(reply, "reason", reason_name(item->reason));
	put_order(telling->host, item->order, reply);
	json_put_uint(reply, "first", item->first_ns / NS_PER_SECOND);
	json_put_uint(reply, "last", item->last_ns / NS_PER_SECOND);
	json_put_uint(reply, "count", item->count);
	if (item->is_session) {
		json_put_uint(reply, "acked_bytes", item->acked_bytes);
		json_put_uint(reply, "sent_bytes", item->sent_bytes);
	}
	memcpy(program, item->program, sizeof(item->program));
	if (program[0])
		json_put_text(reply, "program", program);
	if (item->pid)
		json_put_uint(reply, "pid", item->pid);
	json_close(reply, '}');
}

/* ---- one partner ---------------------------------------------------------------------------- */

/* Refusals that the kernel counted since the list began, and that stand in no item. */
static uint64_t unlisted(const struct refusals_partner *partner, uint64_t counted)
{
	int64_t untold = (int64_t)counted;

	if (partner)
		untold -= partner->base + (int64_t)partner->told;
	return (untold > 0 ? untold : 0) + (partner ? partner->dropped : 0);
}

static void put_counts(const struct telling *telling, uint64_t key)
{
	const struct refusals_partner *ours = refusals_partner(telling->list, key, false);
	const struct refusals_partner *now = refusals_partner(telling->counts, key, false);
	uint64_t edge = now ? now->edge_base : 0;

	json_put_uint(telling->reply, "unlisted", unlisted(ours, now ? now->told : 0));
	json_put_uint(telling->reply, "edge_dropped_packets",
		      ours && ours->edge_base <= edge ? edge - ours->edge_base : edge);
}

static void put_partner(const struct telling *telling, uint64_t key,
			const struct refusal *const *item, size_t count)
{
	const struct host *host = telling->host;
	uint32_t index = key ? names_partner_index(&host->names, key) : WEIR_NO_PARTNER;
	struct json_out *reply = telling->reply;

	json_open(reply, NULL, '{');
	if (key)
		put_key(reply, "name", names_partner(&host->names, key), key);
	else
		json_put_null(reply, "name");
	if (key && index != TABLE_NONE)
		about_info(&host->image, index, reply);
	json_open(reply, "items", '[');
	for (size_t i = 0; i < count; i++)
		put_item(telling, item[i]);
	json_close(reply, ']');
	put_counts(telling, key);
	json_close(reply, '}');
}

/* One of which nothing is listed, but something was counted. */
static void put_uncollected(struct refusals_partner *now, void *data)
{
	const struct telling *telling = data;
	const struct refusals_partner *ours = refusals_partner(telling->list, now->key, false);

	if (is_whole(telling, now->key) && unlisted(ours, now->told) &&
	    !(telling->count &&
	      bsearch(&now->key, telling->item, telling->count, sizeof(*telling->item), is_of)))
		put_partner(telling, now->key, NULL, 0);
}

static void put_partners(const struct telling *telling)
{
	size_t first = 0, behind;

	json_open(telling->reply, "partners", '[');
	for (; first < telling->count; first = behind) {
		uint64_t key = telling->item[first]->partner_key;

		behind = first;
		while (behind < telling->count && telling->item[behind]->partner_key == key)
			behind++;
		put_partner(telling, key, telling->item + first, behind - first);
	}
	refusals_partners(telling->counts, put_uncollected, (void *)telling);
	json_close(telling->reply, ']');
}

/* ---- the answer ----------------------------------------------------------------------------- */

static int tell(struct telling *telling, char **problem)
{
	struct json_out *reply = telling->reply;
	int r;

	telling->counts = refusing_counts(telling->host, &r);
	if (!telling->counts)
		return tell_problem(problem, r, "cannot read the meters: %s", strerror(-r));
	refusals_each(telling->list, telling->since_ns, collect, telling);
	if (telling->is_short)
		return tell_problem(problem, -ENOMEM, "the list does not fit into the memory");
	if (telling->count)
		qsort(telling->item, telling->count, sizeof(*telling->item), by_partner);
	json_put_uint(reply, "began", refusals_began(telling->list) / NS_PER_SECOND);
	json_put_uint(reply, "now", host_wall(telling->host) / NS_PER_SECOND);
	if (telling->since_ns)
		json_put_uint(reply, "since", telling->since_ns / NS_PER_SECOND);
	json_put_bool(reply, "daemon", telling->host->is_daemon);
	json_put_uint(reply, "lost_events", refusing_lost_events(telling->host));
	put_partners(telling);
	return 0;
}

int host_refused(struct host *host, const char *target, uint64_t since_ns, struct json_out *reply,
		 char **problem)
{
	struct telling telling = {.host = host, .since_ns = since_ns, .reply = reply};
	struct weir_cut_entry entry;
	int r = target ? host_resolve(host, target, &entry, problem) : 0;

	if (r == 0)
		r = refusing_open(host, problem);
	if (r == 0)
		r = host_refresh_orders(host);
	if (r < 0)
		return r;
	telling.target = target ? &entry : NULL;
	telling.list = refusing_list(host);
	r = tell(&telling, problem);
	refusals_free(telling.counts);
	free(telling.item);
	return r;
}
