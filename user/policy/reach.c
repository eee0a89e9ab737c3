/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reach.c - what a grant's selectors reach, without listing the pairs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/policy/reach.h"

void class_bits_set(struct class_bits *bits, uint32_t bit)
{
	bits->word[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static bool class_bits_test(const struct class_bits *bits, uint32_t bit)
{
	return bits->word[bit / 64] >> (bit % 64) & 1;
}

bool class_bits_meet(const struct class_bits *a, const struct class_bits *b)
{
	uint64_t both = 0;
	size_t i;

	for (i = 0; i < WEIR_CLASS_WORDS; i++)
		both |= a->word[i] & b->word[i];
	return both != 0;
}

/* ---- a side -----------------------------------------------------------------------------------*/

int side_init(struct side *side, uint32_t count, uint32_t grouped)
{
	*side = (struct side){.count = count, .grouped = grouped};
	side->classes = calloc(count + 1, sizeof(*side->classes));
	side->set_of = calloc(count + 1, sizeof(*side->set_of));
	side->member = calloc(count + 1, sizeof(*side->member));
	return side->classes && side->set_of && side->member ? 0 : -ENOMEM;
}

void side_free(struct side *side)
{
	table_free(&side->names);
	free(side->classes);
	free(side->set_of);
	free(side->member);
	free(side->sets);
	*side = (struct side){0};
}

static int find_sets(struct side *side)
{
	struct table known = {0};
	struct class_set *set;
	uint32_t i, found;
	int r = 0;

	for (i = 0; r == 0 && i < side->grouped; i++) {
		r = table_put(&known, &side->classes[i], sizeof(side->classes[i]), side->set_count,
			      &found);
		if (r == 0 && found == TABLE_NONE) {
			set = ARRAY_ADD(side->sets, side->set_count);
			if (!set) {
				r = -ENOMEM;
				break;
			}
			set->classes = side->classes[i];
			found = side->set_count++;
		}
		if (r == 0) {
			side->set_of[i] = found;
			side->sets[found].count++;
		}
	}
	table_free(&known);
	return r;
}

static void sort_members(struct side *side)
{
	uint32_t i, first = 0;

	for (i = 0; i < side->set_count; i++) {
		side->sets[i].first = first;
		first += side->sets[i].count;
		side->sets[i].count = 0;
	}
	for (i = 0; i < side->grouped; i++) {
		struct class_set *set = &side->sets[side->set_of[i]];

		side->member[set->first + set->count++] = i;
	}
}

/* Union of all classes that one set carries together. */
static void join_groups(struct side *side, const struct class_bits *classes)
{
	int first = -1;
	uint32_t bit, i;
	uint8_t old;

	for (bit = 0; bit < CLASSES_MAX; bit++) {
		if (!class_bits_test(classes, bit))
			continue;
		if (first < 0) {
			first = (int)bit;
			continue;
		}
		old = side->group[bit];
		for (i = 0; old != side->group[first] && i < CLASSES_MAX; i++)
			if (side->group[i] == old)
				side->group[i] = side->group[first];
	}
}

int side_group(struct side *side)
{
	uint32_t i, k;
	int r;

	r = find_sets(side);
	if (r < 0)
		return r;
	sort_members(side);
	for (i = 0; i < CLASSES_MAX; i++)
		side->group[i] = (uint8_t)i;
	for (i = 0; i < side->set_count; i++) {
		join_groups(side, &side->sets[i].classes);
		for (k = 0; k < WEIR_CLASS_WORDS; k++)
			side->carried.word[k] |= side->sets[i].classes.word[k];
	}
	return 0;
}

/* ---- a selection ------------------------------------------------------------------------------*/

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_names(struct reach *reach)
{
	uint32_t i, kept = 0;

	if (reach->name_count == 0)
		return;
	qsort(reach->names, reach->name_count, sizeof(*reach->names), compare);
	for (i = 0; i < reach->name_count; i++)
		if (i == 0 || reach->names[i] != reach->names[i - 1])
			reach->names[kept++] = reach->names[i];
	reach->name_count = kept;
}

int reach_init(struct reach *reach, const struct selectors *selectors, const struct side *side,
	       const struct table *classes)
{
	const struct selector *selector;
	uint32_t found;
	size_t i;

	*reach = (struct reach){.names = calloc(selectors->count + 1, sizeof(*reach->names))};
	if (!reach->names)
		return -ENOMEM;
	for (i = 0; i < selectors->count; i++) {
		selector = &selectors->item[i];
		if (selector->kind == SELECT_ANY) {
			reach->is_any = true;
			continue;
		}
		found = table_get(selector->kind == SELECT_CLASS ? classes : &side->names,
				  selector->name, strlen(selector->name));
		if (found == TABLE_NONE)
			continue;
		if (selector->kind == SELECT_CLASS)
			class_bits_set(&reach->classes, found);
		else
			reach->names[reach->name_count++] = found;
	}
	sort_names(reach);
	return 0;
}

void reach_free(struct reach *reach)
{
	free(reach->names);
	*reach = (struct reach){0};
}

static bool is_named(const struct reach *reach, uint32_t member)
{
	return reach->name_count > 0 && bsearch(&member, reach->names, reach->name_count,
						sizeof(*reach->names), compare) != NULL;
}

enum level reach_level(const struct reach *reach, const struct side *side, uint32_t member)
{
	if (is_named(reach, member))
		return LEVEL_NAME;
	if (member < side->grouped && class_bits_meet(&reach->classes, &side->classes[member]))
		return LEVEL_CLASS;
	return reach->is_any && member < side->grouped ? LEVEL_ANY : LEVEL_NONE;
}

static bool meet_by_name(const struct reach *a, const struct reach *b)
{
	const struct reach *few = a->name_count <= b->name_count ? a : b;
	const struct reach *many = few == a ? b : a;
	uint32_t i;

	for (i = 0; i < few->name_count; i++)
		if (is_named(many, few->names[i]))
			return true;
	return false;
}

/* Whether both name what carries exactly these classes at `level`, as long as no name does. */
static bool is_common(const struct reach *a, const struct reach *b,
		      const struct class_bits *classes, enum level level)
{
	bool a_has = class_bits_meet(&a->classes, classes);
	bool b_has = class_bits_meet(&b->classes, classes);

	if (level == LEVEL_CLASS)
		return a_has && b_has;
	return a->is_any && b->is_any && !a_has && !b_has;
}

static uint32_t count_named(const struct reach *a, const struct reach *b, const struct side *side,
			    enum level level, const struct reach *whose, const struct reach *not_in)
{
	uint32_t i, count = 0, member;

	for (i = 0; i < whose->name_count; i++) {
		member = whose->names[i];
		if (member < side->grouped && !(not_in && is_named(not_in, member)) &&
		    is_common(a, b, &side->classes[member], level))
			count++;
	}
	return count;
}

bool reach_meet(const struct reach *a, const struct reach *b, const struct side *side,
		enum level level)
{
	uint32_t i, members = 0, named;

	if (level == LEVEL_NAME)
		return meet_by_name(a, b);
	for (i = 0; i < side->set_count; i++)
		if (is_common(a, b, &side->sets[i].classes, level))
			members += side->sets[i].count;
	if (members == 0)
		return false;
	named = count_named(a, b, side, level, a, NULL) + count_named(a, b, side, level, b, a);
	return members > named;
}

bool reach_next(const struct reach *reach, const struct side *side, struct reach_walk *walk,
		uint32_t *member)
{
	const struct class_set *set;
	uint32_t candidate;

	if (walk->name < reach->name_count) {
		*member = reach->names[walk->name++];
		return true;
	}
	for (; walk->set < side->set_count; walk->set++, walk->at = 0) {
		set = &side->sets[walk->set];
		if (!reach->is_any && !class_bits_meet(&reach->classes, &set->classes))
			continue;
		while (walk->at < set->count) {
			candidate = side->member[set->first + walk->at++];
			if (is_named(reach, candidate))
				continue;
			*member = candidate;
			return true;
		}
	}
	return false;
}
