/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * hours.c - weekly hours in a time zone -> intervals of wall time.
 *
 * The time is cut into stretches in which the zone keeps one distance to UTC. In such a stretch,
 * local time is plain arithmetic.
 */
#include "user/policy/hours.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/base/zone.h"

enum {
	MINUTE = 60,
	DAY = 86400,
	EPOCH_WEEKDAY = 3, /* 1970-01-01 was a Thursday; Monday is 0 */
};

struct intervals {
	struct weir_interval *item;
	size_t count;
};

/* Seconds that the entered zone is ahead of UTC. */
static int64_t offset_at(int64_t second)
{
	time_t time = second;
	struct tm tm;

	return localtime_r(&time, &tm) ? tm.tm_gmtoff : 0;
}

/* The first second after `from` with another distance to UTC, or `limit`. No zone changes twice
 * within a day. */
static int64_t stretch_end(int64_t from, int64_t limit, int64_t offset)
{
	int64_t same = from, other = from + DAY;

	while (other < limit && offset_at(other) == offset) {
		same = other;
		other += DAY;
	}
	if (other >= limit) {
		if (offset_at(limit) == offset)
			return limit;
		other = limit;
	}
	while (other - same > 1) {
		int64_t middle = same + (other - same) / 2;

		if (offset_at(middle) == offset)
			same = middle;
		else
			other = middle;
	}
	return other;
}

/* Adds [from, until) in seconds as far as it lies in `within`. */
static int add_clipped(struct intervals *intervals, int64_t from, int64_t until,
		       const struct weir_interval *within)
{
	uint64_t from_ns = from < 0 ? 0 : from * NS_PER_SECOND;
	uint64_t until_ns = until < 0 ? 0 : until * NS_PER_SECOND;
	struct weir_interval *item;

	if (from_ns < within->from_ns)
		from_ns = within->from_ns;
	if (until_ns > within->until_ns)
		until_ns = within->until_ns;
	if (from_ns >= until_ns)
		return 0;
	item = ARRAY_ADD(intervals->item, intervals->count);
	if (!item)
		return -ENOMEM;
	*item = (struct weir_interval){from_ns, until_ns};
	intervals->count++;
	return 0;
}

/* The hours that start on local day `day` (since 1970), as far as they lie in [from, until). */
static int add_day(const struct hours_list *hours, int64_t day, int64_t offset, int64_t from,
		   int64_t until, const struct weir_interval *within, struct intervals *intervals)
{
	unsigned weekday = (day + EPOCH_WEEKDAY) % 7;

	for (size_t i = 0; i < hours->count; i++) {
		const struct hours *h = &hours->item[i];
		int64_t start = day * DAY + h->from_minute * MINUTE - offset;
		int64_t end = day * DAY + h->until_minute * MINUTE - offset;
		int r;

		if (!(h->days >> weekday & 1))
			continue;
		if (h->until_minute <= h->from_minute)
			end += DAY;
		r = add_clipped(intervals, start > from ? start : from, end < until ? end : until,
				within);
		if (r)
			return r;
	}
	return 0;
}

static int add_all(const struct hours_list *hours, const struct weir_interval *within,
		   struct intervals *intervals)
{
	int64_t from = within->from_ns / NS_PER_SECOND;
	int64_t limit = within->until_ns / NS_PER_SECOND + 1;

	while (from < limit) {
		int64_t offset = offset_at(from);
		int64_t until = stretch_end(from, limit, offset);
		int64_t day = (from + offset) / DAY - 1; /* its night may reach into this one */

		for (day = day < 0 ? 0 : day; day * DAY - offset < until; day++) {
			int r = add_day(hours, day, offset, from, until, within, intervals);

			if (r)
				return r;
		}
		from = until;
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct weir_interval *x = a, *y = b;

	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

/* Sorts, and joins what touches. */
static void merge(struct intervals *intervals)
{
	struct weir_interval *item = intervals->item;
	size_t last = 0;

	if (!intervals->count)
		return;
	qsort(item, intervals->count, sizeof(*item), by_start);
	for (size_t i = 1; i < intervals->count; i++) {
		if (item[i].from_ns > item[last].until_ns)
			item[++last] = item[i];
		else if (item[i].until_ns > item[last].until_ns)
			item[last].until_ns = item[i].until_ns;
	}
	intervals->count = last + 1;
}

int hours_compile(const struct hours_list *hours, const char *zone, struct weir_interval within,
		  struct weir_interval **ret, size_t *count)
{
	struct intervals found = {0};
	struct zone_guard guard;
	int r = 0;

	if (within.from_ns < within.until_ns) {
		if (within.until_ns - within.from_ns > HOURS_LONGEST_NS)
			return -EINVAL;
		r = zone_enter(&guard, zone);
		if (r)
			return r;
		r = add_all(hours, &within, &found);
		zone_leave(&guard);
	}
	merge(&found);
	if (!r && !found.count) {
		if (ARRAY_ADD(found.item, found.count)) /* zeroed: from 0 until 0 */
			found.count = 1;
		else
			r = -ENOMEM;
	}
	if (r) {
		free(found.item);
		return r;
	}
	*ret = found.item;
	*count = found.count;
	return 0;
}
