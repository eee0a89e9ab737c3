/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * check_rank.c - grants of equal rank that overlap.
 *
 * Two grants collide when some partner is named by both on one level (name, class, any), some
 * service likewise, and a rule of each has the same direction, protocol and width of ports, with a
 * port, an hour and a day in common. Each rule goes into a bucket for each level on which its grant
 * can be met; only rules of one bucket are compared, and there only those whose ports overlap.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/policy/check.h"

enum {
	ENTRIES_MAX = 8 << 20,
	COLLISIONS_MAX = 20000, /* before the same pair found twice is taken out */
};

struct entry {
	uint32_t partner; /* level << 28 | member or group of classes */
	uint32_t service;
	uint8_t direction, protocol;
	uint16_t first, last;
	uint32_t grant;
	uint32_t endpoint;
};

struct entries {
	struct entry *item;
	size_t count, room;
};

struct collision {
	uint32_t earlier, later; /* grants */
	uint32_t endpoint;	 /* of the later one */
};

struct collisions {
	struct collision *item; /* COLLISIONS_MAX */
	size_t count;
};

/* ---- the buckets of a grant -------------------------------------------------------------------*/

static uint32_t token(enum level level, uint32_t number)
{
	return (uint32_t)level << 28 | number;
}

/* The levels and members, or groups of classes, at which a selection can be met. */
static int tokens(const struct reach *reach, const struct side *side, uint32_t **list,
		  uint32_t *count)
{
	struct class_bits one;
	bool is_in[CLASSES_MAX] = {false};
	uint32_t *filled = calloc((size_t)reach->name_count + CLASSES_MAX + 1, sizeof(*filled));
	uint32_t used = 0, bit;

	if (!filled)
		return -ENOMEM;
	for (bit = 0; bit < reach->name_count; bit++)
		filled[used++] = token(LEVEL_NAME, reach->names[bit]);
	for (bit = 0; bit < CLASSES_MAX; bit++) {
		one = (struct class_bits){{0}};
		class_bits_set(&one, bit);
		if (!class_bits_meet(&one, &reach->classes) || is_in[side->group[bit]])
			continue;
		is_in[side->group[bit]] = true;
		filled[used++] = token(LEVEL_CLASS, side->group[bit]);
	}
	if (reach->is_any)
		filled[used++] = token(LEVEL_ANY, 0);
	*list = filled;
	*count = used;
	return 0;
}

static int add_entry(struct entries *entries, struct entry entry)
{
	struct entry *larger;
	size_t room;

	if (entries->count == entries->room) {
		room = entries->room ? entries->room * 2 : 256;
		larger = realloc(entries->item, room * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		entries->item = larger;
		entries->room = room;
	}
	entries->item[entries->count++] = entry;
	return 0;
}

static int add_endpoints(struct entries *entries, const struct grant *grant, struct entry entry)
{
	const struct endpoint *endpoint;
	int r = 0;

	for (entry.endpoint = 0; r == 0 && entry.endpoint < grant->endpoints.count;
	     entry.endpoint++) {
		endpoint = &grant->endpoints.item[entry.endpoint];
		entry.direction = (uint8_t)endpoint->direction;
		entry.protocol = endpoint->protocol;
		entry.first = endpoint->port_first;
		entry.last = endpoint->port_last;
		r = add_entry(entries, entry);
		if (r == 0 && endpoint->is_icmp) {
			entry.protocol = IPPROTO_ICMPV6;
			r = add_entry(entries, entry);
		}
	}
	return r;
}

static int add_grant(struct check *check, struct entries *entries, uint32_t number)
{
	const struct grant *grant = &check->policy->grants[number];
	_cleanup_free_ uint32_t *partners = NULL, *services = NULL;
	uint32_t partner_count, service_count, i, k;
	int r;

	r = tokens(&check->partner_reach[number], &check->partners, &partners, &partner_count);
	if (r == 0)
		r = tokens(&check->service_reach[number], &check->services, &services,
			   &service_count);
	if (r < 0)
		return r;
	if ((uint64_t)partner_count * service_count * grant->endpoints.count >
	    ENTRIES_MAX - entries->count) {
		faults_add(check->faults, SEVERITY_ERROR, grant->name.at,
			   "grant \"%s\": too many names: a class says the same in one word",
			   grant->name.text);
		return 0;
	}
	for (i = 0; r == 0 && i < partner_count; i++)
		for (k = 0; r == 0 && k < service_count; k++)
			r = add_endpoints(entries, grant,
					  (struct entry){.partner = partners[i],
							 .service = services[k],
							 .grant = number});
	return r;
}

/* ---- comparing within a bucket ----------------------------------------------------------------*/

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_buckets(const struct entry *x, const struct entry *y)
{
	int r = order(x->partner, y->partner);

	if (r == 0)
		r = order(x->service, y->service);
	if (r == 0)
		r = order(x->direction, y->direction);
	if (r == 0)
		r = order(x->protocol, y->protocol);
	/* The width of the ports is part of the rank. */
	return r ? r : order((uint64_t)(x->last - x->first), (uint64_t)(y->last - y->first));
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = compare_buckets(x, y);

	if (r == 0)
		r = order(x->first, y->first);
	return r ? r : order(x->grant, y->grant);
}

static bool collide(const struct check *check, const struct entry *x, const struct entry *y)
{
	const struct grant *grants = check->policy->grants;

	return x->grant != y->grant &&
	       reach_meet(&check->partner_reach[x->grant], &check->partner_reach[y->grant],
			  &check->partners, (enum level)(x->partner >> 28)) &&
	       reach_meet(&check->service_reach[x->grant], &check->service_reach[y->grant],
			  &check->services, (enum level)(x->service >> 28)) &&
	       times_meet(check->policy, &grants[x->grant], &grants[y->grant]);
}

static void find_collisions(const struct check *check, const struct entries *entries,
			    struct collisions *collisions)
{
	const struct entry *x, *y, *end = entries->item + entries->count;
	const struct entry *later;

	for (x = entries->item; x < end; x++) {
		for (y = x + 1; y < end && compare_buckets(x, y) == 0 && y->first <= x->last; y++) {
			if (!collide(check, x, y))
				continue;
			if (collisions->count == COLLISIONS_MAX)
				return;
			later = x->grant > y->grant ? x : y;
			collisions->item[collisions->count++] = (struct collision){
				.earlier = later == x ? y->grant : x->grant,
				.later = later->grant,
				.endpoint = later->endpoint,
			};
		}
	}
}

/* ---- telling ----------------------------------------------------------------------------------*/

static int compare_collisions(const void *a, const void *b)
{
	const struct collision *x = a, *y = b;
	int r = order(x->later, y->later);

	if (r == 0)
		r = order(x->earlier, y->earlier);
	return r ? r : order(x->endpoint, y->endpoint);
}

static void tell(struct check *check, struct collisions *collisions)
{
	const struct grant *grants = check->policy->grants;
	const struct collision *c;
	size_t i;

	if (collisions->count > 0)
		qsort(collisions->item, collisions->count, sizeof(*c), compare_collisions);
	for (i = 0; i < collisions->count; i++) {
		c = &collisions->item[i];
		if (i > 0 && c->later == c[-1].later && c->earlier == c[-1].earlier)
			continue;
		faults_add_pair(check->faults, SEVERITY_ERROR,
				grants[c->later].endpoints.item[c->endpoint].at,
				grants[c->earlier].name.at,
				"grant \"%s\" and grant \"%s\" are of equal rank and overlap here",
				grants[c->later].name.text, grants[c->earlier].name.text);
	}
}

int check_rank(struct check *check)
{
	struct entries entries = {0};
	struct collisions collisions = {0};
	uint32_t i;
	int r = 0;

	for (i = 0; r == 0 && i < check->policy->grant_count; i++)
		if (is_sound(&check->policy->grants[i]))
			r = add_grant(check, &entries, i);
	collisions.item = calloc(COLLISIONS_MAX, sizeof(*collisions.item));
	if (r == 0 && !collisions.item)
		r = -ENOMEM;
	if (r == 0 && entries.count > 0) {
		qsort(entries.item, entries.count, sizeof(*entries.item), compare_entries);
		find_collisions(check, &entries, &collisions);
		tell(check, &collisions);
	}
	free(entries.item);
	free(collisions.item);
	return r;
}
