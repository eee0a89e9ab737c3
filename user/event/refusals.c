/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refusals.c - what did not go out: two rings of items, with an index by flow.
 */
#include "user/event/refusals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/table.h"

enum { PLACES = REFUSALS_MOST + REFUSALS_STRANGERS, BUCKETS = 16384, NO_PLACE = PLACES };

static const char magic[8] = "weirrfs1";

struct refusals {
	uint64_t began_ns;
	struct refusals_lost lost;
	struct refusal *item; /* PLACES; one that is free has count 0 */
	size_t count;
	uint32_t next[2]; /* the place that is taken next: of partners, of strangers */
	uint32_t *bucket; /* of flows: the first place; NO_PLACE: none */
	uint32_t *behind; /* PLACES: the next one in the same bucket */
	struct refusals_partner **partner; /* each stays where it is: `index` borrows its key */
	size_t partners;
	struct table index;
};

/* In front of the items and the partners in a file. */
struct head {
	char magic[8];
	uint32_t item_size, partner_size;
	uint64_t items, partners;
	uint64_t began_ns;
	struct refusals_lost lost;
	uint64_t crc; /* over all of it, with 0 here */
};

struct refusals *refusals_new(uint64_t wall_ns)
{
	struct refusals *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	list->began_ns = wall_ns;
	list->item = calloc(PLACES, sizeof(*list->item));
	list->bucket = malloc(BUCKETS * sizeof(*list->bucket));
	list->behind = malloc(PLACES * sizeof(*list->behind));
	list->next[1] = REFUSALS_MOST;
	if (!list->item || !list->bucket || !list->behind) {
		refusals_free(list);
		return NULL;
	}
	for (uint32_t i = 0; i < BUCKETS; i++)
		list->bucket[i] = NO_PLACE;
	return list;
}

void refusals_free(struct refusals *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->partners; i++)
		free(list->partner[i]);
	free(list->partner);
	table_free(&list->index);
	free(list->item);
	free(list->bucket);
	free(list->behind);
	free(list);
}

uint64_t refusals_began(const struct refusals *list)
{
	return list->began_ns;
}

size_t refusals_count(const struct refusals *list)
{
	return list->count;
}

struct refusals_lost *refusals_lost(struct refusals *list)
{
	return &list->lost;
}

/* ---- partners ------------------------------------------------------------------------------- */

static struct refusals_partner *add_partner(struct refusals *list, uint64_t key)
{
	struct refusals_partner **place = ARRAY_ADD(list->partner, list->partners);
	struct refusals_partner *partner = place ? calloc(1, sizeof(*partner)) : NULL;
	uint32_t found;

	if (!partner)
		return NULL;
	partner->key = key;
	if (table_put(&list->index, &partner->key, sizeof(partner->key), list->partners, &found) <
	    0) {
		free(partner);
		return NULL;
	}
	list->partner[list->partners++] = partner;
	return partner;
}

struct refusals_partner *refusals_partner(struct refusals *list, uint64_t key, bool make)
{
	uint32_t index = table_get(&list->index, &key, sizeof(key));

	if (index != TABLE_NONE)
		return list->partner[index];
	return make ? add_partner(list, key) : NULL;
}

void refusals_partners(struct refusals *list,
		       void (*each)(struct refusals_partner *partner, void *data), void *data)
{
	for (size_t i = 0; i < list->partners; i++)
		each(list->partner[i], data);
}

/* ---- the index of flows --------------------------------------------------------------------- */

static uint32_t bucket_of(const struct refusal *item)
{
	uint64_t h = item->service_key ^ weir_mix(item->partner_key + item->grant_key);

	for (size_t i = 0; i < sizeof(item->peer); i++)
		h = h * 31 + item->peer[i];
	h ^= (uint64_t)item->port << 32 | (uint64_t)item->reason << 16 | item->order;
	return weir_mix(h) % BUCKETS;
}

static bool is_same_flow(const struct refusal *a, const struct refusal *b)
{
	return a->service_key == b->service_key && a->partner_key == b->partner_key &&
	       a->grant_key == b->grant_key && a->order == b->order && a->port == b->port &&
	       a->protocol == b->protocol && a->direction == b->direction &&
	       a->reason == b->reason && memcmp(a->peer, b->peer, sizeof(a->peer)) == 0 &&
	       memcmp(a->program, b->program, sizeof(a->program)) == 0;
}

static struct refusal *find_flow(const struct refusals *list, const struct refusal *wanted)
{
	uint32_t place = list->bucket[bucket_of(wanted)];

	while (place != NO_PLACE && !is_same_flow(&list->item[place], wanted))
		place = list->behind[place];
	return place == NO_PLACE ? NULL : &list->item[place];
}

static void index_flow(struct refusals *list, uint32_t place)
{
	uint32_t *bucket = &list->bucket[bucket_of(&list->item[place])];

	list->behind[place] = *bucket;
	*bucket = place;
}

static void unindex_flow(struct refusals *list, uint32_t place)
{
	uint32_t *at = &list->bucket[bucket_of(&list->item[place])];

	while (*at != place)
		at = &list->behind[*at];
	*at = list->behind[place];
}

/* ---- places --------------------------------------------------------------------------------- */

static void clear(struct refusals *list, uint32_t place)
{
	if (!list->item[place].is_session)
		unindex_flow(list, place);
	list->item[place] = (struct refusal){0};
	list->count--;
}

/* The oldest makes room. Sessions are in no counter of the kernel's: one that goes is counted like
 * a refusal, and told as one that is not listed. */
static void make_room(struct refusals *list, uint32_t place)
{
	const struct refusal *old = &list->item[place];
	struct refusals_partner *partner = refusals_partner(list, old->partner_key, true);

	if (partner)
		partner->dropped += old->count;
	clear(list, place);
}

static void put_item(struct refusals *list, const struct refusal *item)
{
	bool is_stranger = item->partner_key == 0;
	uint32_t place = list->next[is_stranger];

	if (list->item[place].count)
		make_room(list, place);
	list->item[place] = *item;
	list->count++;
	if (!item->is_session)
		index_flow(list, place);
	place++;
	if (is_stranger)
		list->next[1] = place == PLACES ? REFUSALS_MOST : place;
	else
		list->next[0] = place == REFUSALS_MOST ? 0 : place;
}

/* ---- taking note ---------------------------------------------------------------------------- */

static struct refusal item_of(const struct weir_event *event, uint8_t reason)
{
	bool serves = event->direction == WEIR_SERVES;
	struct refusal item = {
		.service_key = event->service_key,
		.partner_key = event->partner_key,
		.grant_key = event->grant_key,
		.order = reason == WEIR_REASON_CUT ? event->order : 0,
		.port = serves ? event->local_port : event->peer_port,
		.other_port = serves ? event->peer_port : event->local_port,
		.protocol = event->protocol,
		.direction = event->direction,
		.reason = reason,
		.is_session = event->kind == WEIR_EVENT_CLOSED,
		.pid = event->pid,
		.first_ns = event->wall_ns,
		.last_ns = event->wall_ns,
		.count = 1,
	};

	memcpy(item.peer, event->peer, sizeof(item.peer));
	memcpy(item.program, event->program, sizeof(item.program));
	if (item.is_session) {
		item.sent_bytes = event->bytes;
		item.acked_bytes = event->acked_bytes;
	} else if (event->untold > 1) {
		item.count = event->untold;
	}
	return item;
}

void refusals_note(struct refusals *list, const struct weir_event *event, uint8_t reason)
{
	struct refusal item = item_of(event, reason), *found;
	struct refusals_partner *partner = refusals_partner(list, item.partner_key, true);

	if (partner && !item.is_session)
		partner->told += event->untold;
	found = item.is_session ? NULL : find_flow(list, &item);
	if (!found) {
		put_item(list, &item);
		return;
	}
	found->count += item.count;
	found->pid = item.pid;
	found->other_port = item.other_port;
	if (item.first_ns < found->first_ns)
		found->first_ns = item.first_ns;
	if (item.last_ns > found->last_ns)
		found->last_ns = item.last_ns;
}

void refusals_forget(struct refusals *list, uint64_t wall_ns)
{
	for (uint32_t place = 0; place < PLACES; place++) {
		if (list->item[place].count && list->item[place].last_ns < wall_ns)
			clear(list, place);
	}
}

void refusals_each(const struct refusals *list, uint64_t since_ns,
		   void (*each)(const struct refusal *item, void *data), void *data)
{
	for (uint32_t place = 0; place < PLACES; place++) {
		if (list->item[place].count && list->item[place].last_ns >= since_ns)
			each(&list->item[place], data);
	}
}

/* ---- as bytes ------------------------------------------------------------------------------- */

static uint64_t sum_of(const struct head *head, const void *rest, size_t length)
{
	struct head plain = *head;

	plain.crc = 0;
	return crc32_z(crc32_z(0, (const void *)&plain, sizeof(plain)), rest, length);
}

static size_t rest_length(const struct head *head)
{
	return head->items * sizeof(struct refusal) +
	       head->partners * sizeof(struct refusals_partner);
}

/* From the place that is taken next, so that the oldest comes first. */
static struct refusal *pack_ring(const struct refusals *list, struct refusal *to, bool strangers)
{
	uint32_t first = strangers ? REFUSALS_MOST : 0;
	uint32_t size = strangers ? REFUSALS_STRANGERS : REFUSALS_MOST;

	for (uint32_t i = 0; i < size; i++) {
		const struct refusal *item =
			&list->item[first + (list->next[strangers] - first + i) % size];

		if (item->count)
			*to++ = *item;
	}
	return to;
}

int refusals_pack(const struct refusals *list, void **data, size_t *length)
{
	struct head head = {.item_size = sizeof(struct refusal),
			    .partner_size = sizeof(struct refusals_partner),
			    .items = list->count,
			    .partners = list->partners,
			    .began_ns = list->began_ns,
			    .lost = list->lost};
	size_t rest = rest_length(&head);
	char *bytes = malloc(sizeof(head) + rest);
	struct refusals_partner *partner;

	if (!bytes)
		return -ENOMEM;
	memcpy(head.magic, magic, sizeof(magic));
	partner = (void *)pack_ring(list, pack_ring(list, (void *)(bytes + sizeof(head)), false),
				    true);
	for (size_t i = 0; i < list->partners; i++)
		partner[i] = *list->partner[i];
	head.crc = sum_of(&head, bytes + sizeof(head), rest);
	memcpy(bytes, &head, sizeof(head));
	*data = bytes;
	*length = sizeof(head) + rest;
	return 0;
}

static bool is_whole(const struct head *head, const void *rest, size_t length)
{
	return memcmp(head->magic, magic, sizeof(magic)) == 0 &&
	       head->item_size == sizeof(struct refusal) &&
	       head->partner_size == sizeof(struct refusals_partner) && head->items <= PLACES &&
	       head->partners <= length / sizeof(struct refusals_partner) &&
	       rest_length(head) == length && head->crc == sum_of(head, rest, length) &&
	       memchr(head->lost.boot_id, '\0', sizeof(head->lost.boot_id));
}

static int take_rest(struct refusals *list, const struct head *head, const char *rest)
{
	for (uint64_t i = 0; i < head->items; i++) {
		struct refusal item;

		memcpy(&item, rest + i * sizeof(item), sizeof(item));
		if (item.count == 0 || (!item.is_session && find_flow(list, &item)))
			return -EBADMSG;
		put_item(list, &item);
	}
	rest += head->items * sizeof(struct refusal);
	for (uint64_t i = 0; i < head->partners; i++) {
		struct refusals_partner partner, *to;

		memcpy(&partner, rest + i * sizeof(partner), sizeof(partner));
		to = refusals_partner(list, partner.key, true);
		if (!to)
			return -ENOMEM;
		*to = partner;
	}
	return 0;
}

int refusals_unpack(const void *data, size_t length, struct refusals **list)
{
	struct refusals *found;
	struct head head;
	int r;

	if (length < sizeof(head))
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	if (!is_whole(&head, (const char *)data + sizeof(head), length - sizeof(head)))
		return -EBADMSG;
	found = refusals_new(head.began_ns);
	if (!found)
		return -ENOMEM;
	found->lost = head.lost;
	r = take_rest(found, &head, (const char *)data + sizeof(head));
	if (r < 0)
		refusals_free(found);
	else
		*list = found;
	return r;
}
