/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * same.c - whether two policies decide the same by a grant.
 */
#include "user/policy/same.h"

#include <string.h>

/* What is left of a grant's hours. */
struct hours_left {
	const struct weir_interval *next, *end;
};

static struct hours_left hours_left(const struct image *image, const struct weir_grant *grant,
				    uint64_t wall_ns)
{
	struct hours_left hours = {.next = image->hours + grant->hours_first};

	hours.end = hours.next + grant->hours_count;
	while (hours.next < hours.end && hours.next->until_ns <= wall_ns)
		hours.next++;
	return hours;
}

/* The later one is known for longer. One that is open now may have been cut at the time of either
 * compilation. */
static bool hours_are_same(struct hours_left a, struct hours_left b, uint64_t wall_ns)
{
	for (; a.next < a.end && b.next < b.end; a.next++, b.next++) {
		bool is_open = a.next->from_ns <= wall_ns && b.next->from_ns <= wall_ns;

		if (!is_open && a.next->from_ns != b.next->from_ns)
			return false;
		if (a.next->until_ns != b.next->until_ns && a.next + 1 < a.end &&
		    b.next + 1 < b.end)
			return false;
	}
	return true;
}

static bool grants_are_same(const struct image *a, uint32_t a_index, const struct image *b,
			    uint32_t b_index, uint64_t wall_ns)
{
	const struct weir_grant *x = &a->grants[a_index], *y = &b->grants[b_index];

	return strcmp(a->grant_names[a_index], b->grant_names[b_index]) == 0 &&
	       x->mode == y->mode && !x->hours_count == !y->hours_count &&
	       hours_are_same(hours_left(a, x, wall_ns), hours_left(b, y, wall_ns), wall_ns);
}

static struct weir_span rules_of(const struct image_relation *relation)
{
	const struct image *image = relation->image;

	return image_rules_of(image, relation->service, image->partners[relation->partner].profile);
}

/* So many, up to the last one of the grant: what no rule before it takes goes by that. */
static uint32_t count_until(const struct image_relation *relation, struct weir_span rules,
			    uint32_t grant)
{
	while (rules.count > 0 &&
	       relation->image->rules[rules.first + rules.count - 1].grant != grant)
		rules.count--;
	return rules.count;
}

bool relations_are_same(const struct image_relation *a, const struct image_relation *b,
			uint32_t grant, uint64_t wall_ns)
{
	struct weir_span x = rules_of(a), y = rules_of(b);

	x.count = count_until(a, x, grant);
	if (x.count > y.count)
		return false;
	for (uint32_t i = 0; i < x.count; i++) {
		const struct weir_rule *p = &a->image->rules[x.first + i];
		const struct weir_rule *q = &b->image->rules[y.first + i];

		if (p->direction != q->direction || p->protocol != q->protocol ||
		    p->port_first != q->port_first || p->port_last != q->port_last ||
		    !grants_are_same(a->image, p->grant, b->image, q->grant, wall_ns))
			return false;
	}
	return true;
}
