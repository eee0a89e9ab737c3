/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_lifeline.c - the lifeline: prefix -> all rules that cover it, those of the prefixes
 * around it included, so that the kernel needs one look-up.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/policy/arena.h"
#include "user/policy/compile.h"

/* One `to` of one lifeline. */
struct reach {
	uint8_t address[16];
	uint8_t bits;
	uint32_t lifeline;
};

struct lifeline_build {
	struct compile *c;
	struct reach *reach; /* sorted by address, bits, lifeline */
	size_t reach_count;
	struct arena arena;
	struct table seen; /* set of lifelines -> index into `spans` */
	struct weir_span *spans;
	size_t span_count;
	bool *is_member; /* scratch: by lifeline */
	uint32_t *members;
};

static int reach_order(const void *a, const void *b)
{
	const struct reach *x = a, *y = b;
	int order = memcmp(x->address, y->address, sizeof(x->address));

	if (order)
		return order;
	if (x->bits != y->bits)
		return x->bits < y->bits ? -1 : 1;
	return x->lifeline < y->lifeline ? -1 : x->lifeline > y->lifeline;
}

static int gather(struct lifeline_build *build)
{
	const struct policy *policy = build->c->policy;
	size_t count = 0;

	for (size_t i = 0; i < policy->lifeline_count; i++)
		count += policy->lifelines[i].to.count;
	build->reach = calloc(count + 1, sizeof(*build->reach));
	build->is_member = calloc(policy->lifeline_count + 1, sizeof(*build->is_member));
	build->members = calloc(policy->lifeline_count + 1, sizeof(*build->members));
	if (!build->reach || !build->is_member || !build->members)
		return -ENOMEM;
	for (size_t i = 0; i < policy->lifeline_count; i++) {
		const struct prefixes *to = &policy->lifelines[i].to;

		for (size_t j = 0; j < to->count; j++) {
			struct reach *reach = &build->reach[build->reach_count++];

			reach->bits = to->item[j].bits;
			reach->lifeline = i;
			memcpy(reach->address, to->item[j].address, sizeof(reach->address));
			prefix_mask(reach->address, reach->bits);
		}
	}
	qsort(build->reach, build->reach_count, sizeof(*build->reach), reach_order);
	return 0;
}

static int add_rule(struct compile *c, const struct lifeline *lifeline, uint32_t service,
		    const struct endpoint *endpoint, uint8_t protocol)
{
	struct image *image = c->image;
	struct weir_lifeline_rule *rule =
		ARRAY_ADD(image->lifeline_rules, image->head.lifeline_rules);

	if (!rule)
		return -ENOMEM;
	rule->service = service;
	rule->direction = endpoint->direction;
	rule->protocol = protocol;
	rule->port_first = endpoint->is_icmp ? 0 : endpoint->port_first;
	rule->port_last = endpoint->is_icmp ? UINT16_MAX : endpoint->port_last;
	compile_limits(&lifeline->warn, &rule->warn);
	image->head.lifeline_rules++;
	return 0;
}

static int add_rules(struct compile *c, const struct lifeline *lifeline)
{
	uint32_t service = image_service(c->image, lifeline->service.text);
	int r = 0;

	if (service == WEIR_ANY)
		return compile_fault(c, lifeline->service.at, "no service \"%s\"",
				     lifeline->service.text);
	for (size_t i = 0; i < lifeline->endpoints.count && !r; i++) {
		const struct endpoint *e = &lifeline->endpoints.item[i];

		r = add_rule(c, lifeline, service, e, e->is_icmp ? IPPROTO_ICMP : e->protocol);
		if (!r && e->is_icmp)
			r = add_rule(c, lifeline, service, e, IPPROTO_ICMPV6);
	}
	return r;
}

/* The rules of a set of lifelines; sets that came up before are shared. */
static int make_span(struct lifeline_build *build, size_t count, struct weir_span *span)
{
	struct compile *c = build->c;
	size_t length = count * sizeof(*build->members);
	void *key = arena_copy(&build->arena, build->members, length);
	struct weir_span made = {.first = c->image->head.lifeline_rules};
	struct weir_span *room;
	uint32_t same;
	int r;

	if (!key)
		return -ENOMEM;
	r = table_put(&build->seen, key, length, build->span_count, &same);
	if (r)
		return r;
	if (same != TABLE_NONE) {
		*span = build->spans[same];
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		const struct lifeline *lifeline = &c->policy->lifelines[build->members[i]];

		r = add_rules(c, lifeline);
		if (r)
			return r;
		made.count = c->image->head.lifeline_rules - made.first;
		if (made.count > WEIR_LIFELINE_RULES)
			return compile_fault(c, lifeline->at,
					     "more than %d lifeline rules cover one address",
					     WEIR_LIFELINE_RULES);
	}
	room = ARRAY_ADD(build->spans, build->span_count);
	if (!room)
		return -ENOMEM;
	build->spans[build->span_count++] = *span = made;
	return 0;
}

/* Every lifeline that covers all of the prefix; IPv4 and IPv6 keep apart. Number of members. */
static size_t find_members(struct lifeline_build *build, const struct image_lifeline_prefix *prefix)
{
	size_t lifelines = build->c->policy->lifeline_count, count = 0;

	memset(build->is_member, 0, lifelines * sizeof(*build->is_member));
	for (size_t i = 0; i < build->reach_count; i++) {
		const struct reach *reach = &build->reach[i];

		if (memcmp(reach->address, prefix->address, sizeof(reach->address)) > 0)
			break;
		if (reach->bits <= prefix->bits &&
		    prefix_covers(reach->address, reach->bits, prefix->address))
			build->is_member[reach->lifeline] = true;
	}
	for (size_t i = 0; i < lifelines; i++) {
		if (build->is_member[i])
			build->members[count++] = i;
	}
	return count;
}

/* The next different prefix, linked to the one around it. */
static int add_prefix(struct lifeline_build *build, const struct reach *reach, uint32_t *around)
{
	struct image *image = build->c->image;
	struct image_lifeline_prefix *item = image->lifeline_prefixes, *made;
	uint32_t at = *around;

	while (at != WEIR_ANY && !compile_holds(item[at].address, item[at].bits, reach->address))
		at = item[at].around;
	if (at != WEIR_ANY && item[at].bits == reach->bits) {
		*around = at;
		return 0;
	}
	made = ARRAY_ADD(image->lifeline_prefixes, image->lifeline_prefix_count);
	if (!made)
		return -ENOMEM;
	memcpy(made->address, reach->address, sizeof(made->address));
	made->bits = reach->bits;
	made->around = at;
	*around = image->lifeline_prefix_count++;
	return make_span(build, find_members(build, made), &made->rules);
}

int compile_lifeline(struct compile *c)
{
	struct lifeline_build build = {.c = c};
	uint32_t around = WEIR_ANY;
	int r = gather(&build);

	for (size_t i = 0; i < build.reach_count && !r; i++)
		r = add_prefix(&build, &build.reach[i], &around);
	table_free(&build.seen);
	arena_free(&build.arena);
	free(build.spans);
	free(build.reach);
	free(build.is_member);
	free(build.members);
	return r;
}
