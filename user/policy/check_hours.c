/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* check_hours.c - hours and validity of two grants, compared minute by minute over a week. */
#include <string.h>

#include "user/policy/check.h"

enum { DAY_MINUTES = 1440, WEEK_MINUTES = 7 * DAY_MINUTES, WEEK_WORDS = (WEEK_MINUTES + 63) / 64 };

struct week {
	uint64_t word[WEEK_WORDS];
};

static void fill(const struct hours_list *list, struct week *week)
{
	const struct hours *hours;
	unsigned int day, minute, length, i, at;

	memset(week, 0, sizeof(*week));
	for (hours = list->item; hours < list->item + list->count; hours++) {
		length = (hours->until_minute > hours->from_minute ? 0 : DAY_MINUTES) +
			 hours->until_minute - hours->from_minute;
		for (day = 0; day < 7; day++) {
			if (!(hours->days >> day & 1))
				continue;
			minute = day * DAY_MINUTES + hours->from_minute;
			for (i = 0; i < length; i++) {
				at = (minute + i) % WEEK_MINUTES;
				week->word[at / 64] |= UINT64_C(1) << (at % 64);
			}
		}
	}
}

/* Two names of one zone count as two: nobody needs them in one policy. */
static bool share_a_zone(const struct policy *policy, const struct grant *a, const struct grant *b)
{
	const char *x = a->zone.text ? a->zone.text : policy->zone;
	const char *y = b->zone.text ? b->zone.text : policy->zone;

	return x == y || (x && y && strcmp(x, y) == 0);
}

bool validities_meet(const struct validity *a, const struct validity *b)
{
	return a->from_ns < b->until_ns && b->from_ns < a->until_ns;
}

bool times_meet(const struct policy *policy, const struct grant *a, const struct grant *b)
{
	struct week x, y;
	size_t i;

	if (!validities_meet(&a->validity, &b->validity))
		return false;
	/* In two zones the hours shift against each other with summer time: taken as meeting. */
	if (a->hours.count == 0 || b->hours.count == 0 || !share_a_zone(policy, a, b))
		return true;
	fill(&a->hours, &x);
	fill(&b->hours, &y);
	for (i = 0; i < WEEK_WORDS; i++)
		if (x.word[i] & y.word[i])
			return true;
	return false;
}

bool times_cover(const struct policy *policy, const struct grant *a, const struct grant *b)
{
	struct week x, y;
	size_t i;

	if (a->validity.from_ns > b->validity.from_ns ||
	    a->validity.until_ns < b->validity.until_ns)
		return false;
	if (a->hours.count == 0)
		return true;
	if (b->hours.count == 0 || !share_a_zone(policy, a, b))
		return false;
	fill(&a->hours, &x);
	fill(&b->hours, &y);
	for (i = 0; i < WEEK_WORDS; i++)
		if (y.word[i] & ~x.word[i])
			return false;
	return true;
}
