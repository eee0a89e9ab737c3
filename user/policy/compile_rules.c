/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_rules.c - the rules of each (service, profile), most specific first.
 *
 * Rank: partner by name over class over any, then service likewise, then the narrower range of
 * ports; then the order of the file, which decides nothing since policy_check() refuses grants of
 * one rank that overlap. Lists of rules that come up again are stored once.
 */
#include "user/policy/compile_rules.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"

struct candidate {
	uint32_t service;
	uint32_t rank;
	uint32_t width; /* ports of the range */
	uint32_t grant; /* of the policy */
	uint32_t endpoint;
};

/* Makes room for `more` items behind `count` in an array that knows its room. */
static int reserve(void *array_pointer, size_t *room, size_t count, size_t more, size_t size)
{
	void *larger, *array;
	size_t needed = count + more, next = *room;

	if (needed <= *room)
		return 0;
	while (next < needed)
		next = next ? 2 * next : 64;
	memcpy(&array, array_pointer, sizeof(array));
	larger = realloc(array, next * size);
	if (!larger)
		return -ENOMEM;
	memcpy(array_pointer, &larger, sizeof(larger));
	*room = next;
	return 0;
}

/* ---- the services of each grant
 * ----------------------------------------------------------------*/

/* By its own name, also `other` and `forwarded`, which `any` and classes never mean. */
static int find_service(struct compile *c, const struct selector *selector, uint32_t *service)
{
	uint32_t found = image_service(c->image, selector->name);

	if (found == WEIR_ANY || found == WEIR_SERVICE_STACK)
		return compile_fault(c, selector->at, "no service \"%s\"", selector->name);
	*service = found;
	return 0;
}

static bool selects(const struct compile *c, const struct selector *selector, uint32_t service,
		    uint32_t named)
{
	if (selector->kind == SELECT_NAME)
		return service == named;
	if (selector->kind == SELECT_ANY)
		return true;
	return class_has(c->image->services[service].classes,
			 image_class(c->image, selector->name));
}

/* Marks the services that one selector selects; kinds[] keeps the best way of each. */
static int mark_services(struct compile *c, const struct selector *selector, uint8_t *kinds)
{
	uint32_t first = WEIR_SERVICE_NAMED, last = c->image->head.services, named = WEIR_ANY;

	if (selector->kind == SELECT_NAME) {
		int r = find_service(c, selector, &named);

		if (r)
			return r;
		first = named;
		last = named + 1;
	}
	for (uint32_t i = first; i < last; i++) {
		if (selector->kind < kinds[i] && selects(c, selector, i, named))
			kinds[i] = selector->kind;
	}
	return 0;
}

/* Most grants name one service: no look at all the others. */
static int resolve_single(struct rules_build *build, const struct grant *grant, uint32_t index)
{
	const struct selector *selector = &grant->services.item[0];
	uint32_t service = WEIR_ANY;
	int r = find_service(build->c, selector, &service);

	if (r)
		return r;
	r = reserve(&build->services, &build->services_room, build->services_count, 1,
		    sizeof(*build->services));
	if (r)
		return r;
	build->services_of[index] = (struct weir_span){build->services_count, 1};
	build->services[build->services_count++] = (struct selected){service, SELECT_NAME};
	return 0;
}

static int resolve_many(struct rules_build *build, const struct grant *grant, uint32_t index,
			uint8_t *kinds)
{
	uint32_t services = build->c->image->head.services;
	struct weir_span *span = &build->services_of[index];
	int r = 0;

	memset(kinds, 0xff, services);
	for (size_t i = 0; i < grant->services.count && !r; i++)
		r = mark_services(build->c, &grant->services.item[i], kinds);
	if (!r)
		r = reserve(&build->services, &build->services_room, build->services_count,
			    services, sizeof(*build->services));
	if (r)
		return r;
	span->first = build->services_count;
	for (uint32_t i = 0; i < services; i++) {
		if (kinds[i] != 0xff)
			build->services[build->services_count++] = (struct selected){i, kinds[i]};
	}
	span->count = build->services_count - span->first;
	if (build->services_count > COMPILE_MAX_REACH)
		return compile_fault(build->c, grant->name.at,
				     "the grants select too many services in all");
	return 0;
}

int rules_begin(struct rules_build *build, struct compile *c)
{
	const struct policy *policy = c->policy;
	uint8_t *kinds = malloc(c->image->head.services);
	int r = 0;

	build->c = c;
	build->profile_count = 1;
	build->services_of = calloc(policy->grant_count + 1, sizeof(*build->services_of));
	if (!kinds || !build->services_of)
		r = -ENOMEM;
	for (size_t i = 0; i < policy->grant_count && !r; i++) {
		const struct grant *grant = &policy->grants[i];

		if (grant->services.count == 1 && grant->services.item[0].kind == SELECT_NAME)
			r = resolve_single(build, grant, i);
		else
			r = resolve_many(build, grant, i, kinds);
	}
	free(kinds);
	return r;
}

void rules_end(struct rules_build *build)
{
	arena_free(&build->arena);
	table_free(&build->profile_of);
	table_free(&build->span_of);
	free(build->services);
	free(build->services_of);
	free(build->spans);
	free(build->candidates);
}

/* ---- rules
 * -------------------------------------------------------------------------------------*/

static int candidate_order(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->width != y->width)
		return x->width < y->width ? -1 : 1;
	if (x->grant != y->grant)
		return x->grant < y->grant ? -1 : 1;
	return x->endpoint < y->endpoint ? -1 : x->endpoint > y->endpoint;
}

static uint32_t width_of(const struct endpoint *endpoint)
{
	return endpoint->is_icmp ? UINT16_MAX + 1 : endpoint->port_last - endpoint->port_first + 1;
}

/* Every (service, endpoint) of every grant in the list. */
static int gather_candidates(struct rules_build *build, const struct selected *grants, size_t count)
{
	build->candidate_count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct grant *grant = &build->c->policy->grants[grants[i].grant];
		struct weir_span span = build->services_of[grants[i].grant];
		int r = reserve(&build->candidates, &build->candidate_room, build->candidate_count,
				span.count * grant->endpoints.count, sizeof(*build->candidates));

		if (r)
			return r;
		for (uint32_t j = span.first; j < span.first + span.count; j++) {
			for (uint32_t k = 0; k < grant->endpoints.count; k++) {
				build->candidates[build->candidate_count++] = (struct candidate){
					.service = build->services[j].grant,
					.rank = 3 * grants[i].kind + build->services[j].kind,
					.width = width_of(&grant->endpoints.item[k]),
					.grant = grants[i].grant,
					.endpoint = k,
				};
			}
		}
	}
	if (build->candidate_count)
		qsort(build->candidates, build->candidate_count, sizeof(*build->candidates),
		      candidate_order);
	return 0;
}

/* The rules of one candidate: two for icmp. `rules` has room for two. */
static size_t make_rules(const struct compile *c, const struct candidate *candidate,
			 struct weir_rule *rules)
{
	const struct grant *grant = &c->policy->grants[candidate->grant];
	const struct endpoint *endpoint = &grant->endpoints.item[candidate->endpoint];

	rules[0] = (struct weir_rule){
		.grant = candidate->grant + 1,
		.direction = endpoint->direction,
		.protocol = endpoint->protocol,
		.port_first = endpoint->port_first,
		.port_last = endpoint->port_last,
	};
	if (!endpoint->is_icmp)
		return 1;
	rules[0].protocol = IPPROTO_ICMP;
	rules[0].port_first = 0;
	rules[0].port_last = UINT16_MAX;
	rules[1] = rules[0];
	rules[1].protocol = IPPROTO_ICMPV6;
	return 2;
}

/* Stores a list of rules, or finds it. */
static int find_span(struct rules_build *build, const struct weir_rule *rules, size_t count,
		     struct weir_span *span)
{
	struct image *image = build->c->image;
	size_t length = count * sizeof(*rules);
	void *key = arena_copy(&build->arena, rules, length);
	struct weir_span *room;
	uint32_t same;
	int r;

	if (!key)
		return -ENOMEM;
	r = table_put(&build->span_of, key, length, build->span_count, &same);
	if (r)
		return r;
	if (same != TABLE_NONE) {
		*span = build->spans[same];
		return 0;
	}
	r = reserve(&image->rules, &build->rules_room, image->head.rules, count, sizeof(*rules));
	room = ARRAY_ADD(build->spans, build->span_count);
	if (r || !room)
		return -ENOMEM;
	*span = *room = (struct weir_span){image->head.rules, count};
	build->span_count++;
	memcpy(image->rules + image->head.rules, rules, length);
	image->head.rules += count;
	return 0;
}

static int add_pair(struct rules_build *build, uint32_t service, uint32_t profile,
		    const struct weir_rule *rules, size_t count)
{
	struct image *image = build->c->image;
	struct image_pair *pair;
	int r;

	r = reserve(&image->pairs, &build->pairs_room, image->pair_count, 1, sizeof(*image->pairs));
	if (r)
		return r;
	pair = &image->pairs[image->pair_count];
	pair->key = (struct weir_pair){service, profile};
	r = find_span(build, rules, count, &pair->rules);
	if (!r)
		image->pair_count++;
	return r;
}

/* The candidates from `first` on that are about one service -> its pair; *last gets their end. */
static int make_pair(struct rules_build *build, size_t first, uint32_t profile, uint32_t partner,
		     size_t *last)
{
	struct weir_rule rules[WEIR_RULES_PER_PAIR + 2];
	uint32_t service = build->candidates[first].service;
	const struct image *image = build->c->image;
	size_t count = 0, i;

	for (i = first; i < build->candidate_count; i++) {
		const struct candidate *candidate = &build->candidates[i];
		const struct grant *grant = &build->c->policy->grants[candidate->grant];

		if (candidate->service != service)
			break;
		count += make_rules(build->c, candidate, &rules[count]);
		if (count > WEIR_RULES_PER_PAIR)
			return compile_fault(build->c, grant->name.at,
					     "more than %d rules for service \"%s\" and partner "
					     "\"%s\"",
					     WEIR_RULES_PER_PAIR, image->service_names[service],
					     image->partner_names[partner]);
		if (image->pair_count >= COMPILE_MAX_PAIRS ||
		    image->head.rules + count > COMPILE_MAX_RULES)
			return compile_fault(build->c, grant->name.at,
					     "the grants make too many rules in all");
	}
	*last = i;
	return add_pair(build, service, profile, rules, count);
}

int rules_profile(struct rules_build *build, const struct selected *grants, size_t count,
		  uint32_t partner, uint32_t *profile)
{
	size_t length = count * sizeof(*grants);
	uint32_t found = 0;
	void *key;
	int r;

	if (!count) {
		*profile = 0;
		return 0;
	}
	key = arena_copy(&build->arena, grants, length);
	if (!key)
		return -ENOMEM;
	r = table_put(&build->profile_of, key, length, build->profile_count, &found);
	if (r)
		return r;
	if (found != TABLE_NONE) {
		*profile = found;
		return 0;
	}
	r = gather_candidates(build, grants, count);
	for (size_t i = 0; i < build->candidate_count && !r;)
		r = make_pair(build, i, build->profile_count, partner, &i);
	if (!r)
		*profile = build->profile_count++;
	return r;
}

static int pair_order(const void *a, const void *b)
{
	const struct weir_pair *x = &((const struct image_pair *)a)->key;
	const struct weir_pair *y = &((const struct image_pair *)b)->key;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->profile < y->profile ? -1 : x->profile > y->profile;
}

void rules_finish(struct rules_build *build)
{
	struct image *image = build->c->image;

	if (image->pair_count)
		qsort(image->pairs, image->pair_count, sizeof(*image->pairs), pair_order);
}
