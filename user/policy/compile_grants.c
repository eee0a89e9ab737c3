/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_grants.c - who may do what: partners -> profiles, (service, profile) -> rules.
 *
 * A profile is a list of grants, each with the way by which it selects the partner (by name, class
 * or any). Partners of the same classes that no grant names have one list in common, so 100,000 of
 * them cost one look each; only those that are named get a list of their own. The rules of the
 * profiles are made in compile_rules.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/policy/compile_rules.h"

enum { NOT_SELECTED = 0xff };

/* Indices in the policy's order of grants. */
struct list {
	uint32_t *item;
	size_t count;
};

struct named {
	uint32_t partner; /* of the image */
	uint32_t grant;	  /* of the policy */
};

/* Partners with the same classes, as far as some grant selects by them. */
struct group {
	struct selected *selected;
	size_t count;
	uint32_t profile; /* WEIR_ANY: not made yet */
};

struct grants_build {
	struct compile *c;
	struct rules_build rules;

	struct list by_class[64 * WEIR_CLASS_WORDS]; /* grants that select partners by this class */
	struct list for_any;
	__u64 used_classes[WEIR_CLASS_WORDS];
	struct named *named;
	size_t named_count;
	struct named *by_partner; /* the same, by partner and then grant */
	uint32_t *first_of;	  /* by partner: index into by_partner; one more at the end */

	__u64 (*masks)[WEIR_CLASS_WORDS]; /* by partner: its classes & used_classes */
	struct table group_of;		  /* mask -> group */
	struct group *groups;
	size_t group_count;

	/* scratch: the list that is being made */
	uint8_t *kind_of; /* by grant; NOT_SELECTED */
	struct selected *selected;
	size_t selected_count;
};

static int add_to(struct list *list, uint32_t grant)
{
	uint32_t *room;

	if (list->count && list->item[list->count - 1] == grant)
		return 0;
	room = ARRAY_ADD(list->item, list->count);
	if (!room)
		return -ENOMEM;
	list->item[list->count++] = grant;
	return 0;
}

static int add_named(struct grants_build *build, const struct selector *selector, uint32_t grant)
{
	uint32_t partner = image_partner(build->c->image, selector->name);
	struct named *room;

	if (partner == WEIR_ANY)
		return compile_fault(build->c, selector->at, "no partner \"%s\"", selector->name);
	room = ARRAY_ADD(build->named, build->named_count);
	if (!room)
		return -ENOMEM;
	*room = (struct named){partner, grant};
	build->named_count++;
	return 0;
}

/* Sorts the partner selectors of all grants by what they select with. */
static int gather(struct grants_build *build)
{
	const struct policy *policy = build->c->policy;

	for (uint32_t grant = 0; grant < policy->grant_count; grant++) {
		const struct selectors *partners = &policy->grants[grant].partners;

		for (size_t i = 0; i < partners->count; i++) {
			const struct selector *s = &partners->item[i];
			uint32_t bit;
			int r;

			if (s->kind == SELECT_NAME) {
				r = add_named(build, s, grant);
			} else if (s->kind == SELECT_CLASS) {
				bit = image_class(build->c->image, s->name);
				build->used_classes[bit / 64] |= 1ull << (bit % 64);
				r = add_to(&build->by_class[bit], grant);
			} else {
				r = add_to(&build->for_any, grant);
			}
			if (r)
				return r;
		}
	}
	return 0;
}

/* A counting sort: by partner, and grants stay in their order. */
static int sort_named(struct grants_build *build)
{
	uint32_t partners = build->c->image->head.partners, sum = 0;
	uint32_t *first_of = calloc(partners + 1, sizeof(*first_of));

	build->first_of = first_of;
	build->by_partner = calloc(build->named_count + 1, sizeof(*build->by_partner));
	if (!first_of || !build->by_partner)
		return -ENOMEM;
	for (size_t i = 0; i < build->named_count; i++)
		first_of[build->named[i].partner]++;
	for (uint32_t i = 0; i <= partners; i++) {
		uint32_t here = first_of[i];

		first_of[i] = sum;
		sum += here;
	}
	for (size_t i = 0; i < build->named_count; i++)
		build->by_partner[first_of[build->named[i].partner]++] = build->named[i];
	/* Each has moved on to where the next one starts. */
	memmove(first_of + 1, first_of, partners * sizeof(*first_of));
	first_of[0] = 0;
	return 0;
}

/* ---- lists of grants
 * ---------------------------------------------------------------------------*/

/* The best way of selection counts: by name over class over any. */
static void select_grant(struct grants_build *build, uint32_t grant, uint8_t kind)
{
	if (build->kind_of[grant] == NOT_SELECTED)
		build->selected[build->selected_count++].grant = grant;
	if (kind < build->kind_of[grant])
		build->kind_of[grant] = kind;
}

static int selected_order(const void *a, const void *b)
{
	const struct selected *x = a, *y = b;

	return x->grant < y->grant ? -1 : x->grant > y->grant;
}

/* Puts the list in order, fills in the kinds and clears the scratch for the next one. */
static void finish_list(struct grants_build *build)
{
	qsort(build->selected, build->selected_count, sizeof(*build->selected), selected_order);
	for (size_t i = 0; i < build->selected_count; i++) {
		uint32_t grant = build->selected[i].grant;

		build->selected[i].kind = build->kind_of[grant];
		build->kind_of[grant] = NOT_SELECTED;
	}
}

/* The grants that select partners with these classes, by class or any. */
static int make_group(struct grants_build *build, const __u64 mask[WEIR_CLASS_WORDS])
{
	struct group *group = ARRAY_ADD(build->groups, build->group_count);

	if (!group)
		return -ENOMEM;
	build->selected_count = 0;
	for (uint32_t bit = 0; bit < build->c->image->class_count; bit++) {
		if (!class_has(mask, bit))
			continue;
		for (size_t i = 0; i < build->by_class[bit].count; i++)
			select_grant(build, build->by_class[bit].item[i], SELECT_CLASS);
	}
	for (size_t i = 0; i < build->for_any.count; i++)
		select_grant(build, build->for_any.item[i], SELECT_ANY);
	finish_list(build);
	group->profile = WEIR_ANY;
	group->count = build->selected_count;
	group->selected = arena_copy(&build->rules.arena, build->selected,
				     build->selected_count * sizeof(*build->selected));
	if (!group->selected)
		return -ENOMEM;
	build->group_count++;
	return 0;
}

static int find_group(struct grants_build *build, uint32_t partner, struct group **group)
{
	__u64 *mask = build->masks[partner];
	uint32_t found;
	int r;

	for (int i = 0; i < WEIR_CLASS_WORDS; i++)
		mask[i] = build->c->image->partners[partner].classes[i] & build->used_classes[i];
	r = table_put(&build->group_of, mask, sizeof(build->masks[0]), build->group_count, &found);
	if (!r && found == TABLE_NONE) {
		found = build->group_count;
		r = make_group(build, mask);
	}
	if (r)
		return r;
	*group = &build->groups[found];
	return 0;
}

static int make_profile(struct grants_build *build, uint32_t partner)
{
	const struct named *named = &build->by_partner[build->first_of[partner]];
	size_t count = build->first_of[partner + 1] - build->first_of[partner];
	uint32_t *profile = &build->c->image->partners[partner].profile;
	struct group *group;
	int r;

	r = find_group(build, partner, &group);
	if (r)
		return r;
	if (!count) {
		if (group->profile == WEIR_ANY)
			r = rules_profile(&build->rules, group->selected, group->count, partner,
					  &group->profile);
		*profile = group->profile;
		return r;
	}
	build->selected_count = 0;
	for (size_t i = 0; i < group->count; i++)
		select_grant(build, group->selected[i].grant, group->selected[i].kind);
	for (size_t i = 0; i < count; i++)
		select_grant(build, named[i].grant, SELECT_NAME);
	finish_list(build);
	return rules_profile(&build->rules, build->selected, build->selected_count, partner,
			     profile);
}

static int make_profiles(struct grants_build *build)
{
	uint32_t partners = build->c->image->head.partners;
	size_t grants = build->c->policy->grant_count;
	int r = 0;

	build->masks = calloc(partners, sizeof(*build->masks));
	build->kind_of = malloc(grants + 1);
	build->selected = calloc(grants + 1, sizeof(*build->selected));
	if (!build->masks || !build->kind_of || !build->selected)
		return -ENOMEM;
	memset(build->kind_of, NOT_SELECTED, grants + 1);
	for (uint32_t partner = 1; partner < partners && !r; partner++)
		r = make_profile(build, partner);
	return r;
}

static void free_build(struct grants_build *build)
{
	for (size_t i = 0; i < 64 * WEIR_CLASS_WORDS; i++)
		free(build->by_class[i].item);
	free(build->for_any.item);
	free(build->named);
	free(build->by_partner);
	free(build->first_of);
	free(build->masks);
	table_free(&build->group_of);
	free(build->groups);
	free(build->kind_of);
	free(build->selected);
	rules_end(&build->rules);
}

int compile_grants(struct compile *c)
{
	struct grants_build build = {.c = c};
	int r;

	r = rules_begin(&build.rules, c);
	if (!r)
		r = gather(&build);
	if (!r)
		r = sort_named(&build);
	if (!r)
		r = make_profiles(&build);
	if (!r)
		rules_finish(&build.rules);
	free_build(&build);
	return r;
}
