/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_hours.c - the table of hours: weekly hours and from/until of the grants as intervals.
 *
 * Grants that say the same share their intervals: there are hundreds for a grant, and often one
 * working week for all of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/units.h"
#include "user/base/zone.h"
#include "user/policy/arena.h"
#include "user/policy/compile.h"
#include "user/policy/hours.h"

#define BEFORE_NS NS_PER_DAY		 /* so that the hour in progress keeps its start */
#define AHEAD_NS  (2 * 366 * NS_PER_DAY) /* two years */

struct hours_build {
	struct compile *c;
	struct arena arena;
	struct table seen; /* what a grant says -> index of the first grant that says so */
	size_t capacity;
};

static bool is_limited(const struct grant *grant)
{
	return grant->hours.count || grant->validity.from_ns ||
	       grant->validity.until_ns != UINT64_MAX;
}

static const char *zone_of(const struct compile *c, const struct grant *grant)
{
	return grant->zone.text ? grant->zone.text : c->policy->zone;
}

/* All that the intervals depend on, as bytes. NULL without memory. */
static void *key_of(struct hours_build *build, const struct grant *grant, size_t *length)
{
	const char *zone = grant->hours.count ? zone_of(build->c, grant) : NULL;
	size_t zone_length = zone ? strlen(zone) + 1 : 0;
	size_t words = 2 + grant->hours.count;
	uint64_t *key;

	*length = words * sizeof(*key) + zone_length;
	key = arena_take(&build->arena, *length);
	if (!key)
		return NULL;
	key[0] = grant->validity.from_ns;
	key[1] = grant->validity.until_ns;
	for (size_t i = 0; i < grant->hours.count; i++) {
		const struct hours *h = &grant->hours.item[i];

		key[2 + i] =
			(uint64_t)h->days << 32 | (uint32_t)h->from_minute << 16 | h->until_minute;
	}
	if (zone)
		memcpy(key + words, zone, zone_length);
	return key;
}

static int append(struct hours_build *build, const struct weir_interval *intervals, size_t count)
{
	struct image *image = build->c->image;
	size_t needed = image->head.hours + count;

	if (needed > build->capacity) {
		size_t capacity = needed < 2 * build->capacity ? 2 * build->capacity : needed;
		struct weir_interval *larger =
			realloc(image->hours, capacity * sizeof(*image->hours));

		if (!larger)
			return -ENOMEM;
		image->hours = larger;
		build->capacity = capacity;
	}
	memcpy(image->hours + image->head.hours, intervals, count * sizeof(*intervals));
	image->head.hours = needed;
	return 0;
}

/* The intervals of one grant, malloc'd. */
static int make_intervals(const struct compile *c, const struct grant *grant,
			  struct weir_interval **ret, size_t *count)
{
	struct weir_interval within = {grant->validity.from_ns, grant->validity.until_ns};
	uint64_t from_ns = c->now_ns > BEFORE_NS ? c->now_ns - BEFORE_NS : 0;
	uint64_t until_ns = c->now_ns + AHEAD_NS;

	if (!grant->hours.count) {
		*ret = malloc(sizeof(**ret));
		if (!*ret)
			return -ENOMEM;
		**ret = within;
		*count = 1;
		return 0;
	}
	if (within.from_ns < from_ns)
		within.from_ns = from_ns;
	if (within.until_ns > until_ns)
		within.until_ns = until_ns;
	return hours_compile(&grant->hours, zone_of(c, grant), within, ret, count);
}

static int add_grant(struct hours_build *build, uint32_t index)
{
	struct compile *c = build->c;
	const struct grant *grant = &c->policy->grants[index];
	struct weir_grant *to = &c->image->grants[index + 1];
	struct weir_interval *intervals;
	size_t length, count;
	uint32_t same;
	void *key = key_of(build, grant, &length);
	int r;

	if (!key)
		return -ENOMEM;
	r = table_put(&build->seen, key, length, index, &same);
	if (r)
		return r;
	if (same != TABLE_NONE) {
		to->hours_first = c->image->grants[same + 1].hours_first;
		to->hours_count = c->image->grants[same + 1].hours_count;
		return 0;
	}
	r = make_intervals(c, grant, &intervals, &count);
	if (r)
		return r;
	if (count > COMPILE_MAX_GRANT_HOURS || c->image->head.hours + count > COMPILE_MAX_HOURS)
		r = compile_fault(c, grant->name.at,
				  "the hours of all grants are too many intervals");
	else
		r = append(build, intervals, count);
	free(intervals);
	if (r)
		return r;
	to->hours_first = c->image->head.hours - count;
	to->hours_count = count;
	return 0;
}

int compile_hours(struct compile *c)
{
	struct hours_build build = {.c = c};
	int r = 0;

	for (size_t i = 0; i < c->policy->grant_count && !r; i++) {
		const struct grant *grant = &c->policy->grants[i];

		if (!is_limited(grant))
			continue;
		if (grant->validity.until_ns <= c->now_ns)
			faults_add(c->faults, SEVERITY_WARNING, grant->validity.at,
				   "grant \"%s\" is over: it never matches again",
				   grant->name.text);
		if (grant->zone.text && !zone_exists(grant->zone.text))
			r = compile_fault(c, grant->zone.at, "this host knows no time zone \"%s\"",
					  grant->zone.text);
		else
			r = add_grant(&build, i);
	}
	table_free(&build.seen);
	arena_free(&build.arena);
	return r;
}
