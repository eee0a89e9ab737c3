/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_hours.c - weekly hours as intervals: daylight saving both ways, over midnight, to a day's
 * end, joined, clipped; and a year against the definition, minute by minute.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/compiled.h"
#include "user/base/units.h"
#include "user/base/zone.h"
#include "user/policy/hours.h"

enum { MON = 1, FRI = 16, SAT = 32, SUN = 64, ALL = 127 };

static uint64_t moment(const char *text)
{
	uint64_t wall_ns;

	assert_int_equal(moment_parse(text, "UTC", &wall_ns), 0);
	return wall_ns;
}

static size_t compile(const struct hours *hours, size_t count, const char *zone, const char *from,
		      const char *until, struct weir_interval **intervals)
{
	struct hours_list list = {.item = (struct hours *)hours, .count = count};
	struct weir_interval within = {moment(from), moment(until)};
	size_t found;

	assert_int_equal(hours_compile(&list, zone, within, intervals, &found), 0);
	return found;
}

static void assert_interval(const struct weir_interval *interval, const char *from,
			    const char *until)
{
	assert_int_equal(interval->from_ns, moment(from));
	assert_int_equal(interval->until_ns, moment(until));
}

/* Berlin puts the clock forward on 2027-03-28 at 01:00Z and back on 2027-10-31 at 01:00Z. */
static void test_night_is_shorter(void **state)
{
	struct hours night = {.days = SAT, .from_minute = 20 * 60, .until_minute = 4 * 60};
	struct weir_interval *i;

	(void)state;
	assert_int_equal(
		compile(&night, 1, "Europe/Berlin", "2027-03-15T00:00Z", "2027-04-05T00:00Z", &i),
		3);
	assert_interval(&i[0], "2027-03-20T19:00Z", "2027-03-21T03:00Z");
	assert_interval(&i[1], "2027-03-27T19:00Z", "2027-03-28T02:00Z");
	assert_interval(&i[2], "2027-04-03T18:00Z", "2027-04-04T02:00Z");
	free(i);
}

static void test_night_is_longer(void **state)
{
	struct hours night = {.days = SAT, .from_minute = 20 * 60, .until_minute = 4 * 60};
	struct weir_interval *i;

	(void)state;
	assert_int_equal(
		compile(&night, 1, "Europe/Berlin", "2027-10-30T00:00Z", "2027-11-01T00:00Z", &i),
		1);
	assert_interval(&i[0], "2027-10-30T18:00Z", "2027-10-31T03:00Z");
	free(i);
}

/* 02:15-02:45 is skipped in spring and comes twice in autumn. */
static void test_hour_of_the_change(void **state)
{
	struct hours hour = {.days = SUN, .from_minute = 135, .until_minute = 165};
	struct weir_interval *i;

	(void)state;
	assert_int_equal(
		compile(&hour, 1, "Europe/Berlin", "2027-03-22T00:00Z", "2027-04-05T00:00Z", &i),
		1);
	assert_interval(&i[0], "2027-04-04T00:15Z", "2027-04-04T00:45Z");
	free(i);
	assert_int_equal(
		compile(&hour, 1, "Europe/Berlin", "2027-10-25T00:00Z", "2027-11-01T00:00Z", &i),
		2);
	assert_interval(&i[0], "2027-10-31T00:15Z", "2027-10-31T00:45Z");
	assert_interval(&i[1], "2027-10-31T01:15Z", "2027-10-31T01:45Z");
	free(i);
}

static void test_joined(void **state)
{
	const struct hours hours[] = {
		{.days = FRI, .from_minute = 18 * 60, .until_minute = 24 * 60},
		{.days = SAT, .from_minute = 0, .until_minute = 6 * 60},
		{.days = SAT, .from_minute = 5 * 60, .until_minute = 7 * 60},
		{.days = SAT, .from_minute = 8 * 60, .until_minute = 9 * 60},
	};
	struct weir_interval *i;

	(void)state;
	assert_int_equal(compile(hours, 4, "UTC", "2027-03-01T00:00Z", "2027-03-08T00:00Z", &i), 2);
	assert_interval(&i[0], "2027-03-05T18:00Z", "2027-03-06T07:00Z");
	assert_interval(&i[1], "2027-03-06T08:00Z", "2027-03-06T09:00Z");
	free(i);
}

static void test_whole_week(void **state)
{
	struct hours all = {.days = ALL, .from_minute = 0, .until_minute = 24 * 60};
	struct weir_interval *i;

	(void)state;
	assert_int_equal(
		compile(&all, 1, "America/New_York", "2027-03-01T00:00Z", "2028-03-01T00:00Z", &i),
		1);
	assert_interval(&i[0], "2027-03-01T00:00Z", "2028-03-01T00:00Z");
	free(i);
}

/* The night that is under way keeps its end, and what lies outside is cut off. */
static void test_clipped(void **state)
{
	struct hours night = {.days = ALL, .from_minute = 20 * 60, .until_minute = 4 * 60};
	struct weir_interval *i;

	(void)state;
	assert_int_equal(compile(&night, 1, "UTC", "2027-03-01T01:00Z", "2027-03-01T22:00Z", &i),
			 2);
	assert_interval(&i[0], "2027-03-01T01:00Z", "2027-03-01T04:00Z");
	assert_interval(&i[1], "2027-03-01T20:00Z", "2027-03-01T22:00Z");
	free(i);
}

/* No interval would stand for "always". */
static void test_never(void **state)
{
	struct hours monday = {.days = MON, .from_minute = 0, .until_minute = 60};
	struct weir_interval *i;

	(void)state;
	assert_int_equal(compile(&monday, 1, "UTC", "2027-03-02T00:00Z", "2027-03-05T00:00Z", &i),
			 1);
	assert_int_equal(i[0].until_ns, 0);
	free(i);
	assert_int_equal(compile(&monday, 1, "UTC", "2027-03-05T00:00Z", "2027-03-02T00:00Z", &i),
			 1);
	assert_int_equal(i[0].until_ns, 0);
	free(i);
}

/* ---- against the definition
 * --------------------------------------------------------------------*/

static bool shows_an_hour(const struct hours *hours, size_t count, int weekday, int minute)
{
	for (size_t i = 0; i < count; i++) {
		const struct hours *h = &hours[i];
		bool is_over_midnight = h->until_minute <= h->from_minute;
		bool is_day = h->days >> weekday & 1;
		bool was_day = h->days >> ((weekday + 6) % 7) & 1;

		if (is_day && minute >= h->from_minute &&
		    (is_over_midnight || minute < h->until_minute))
			return true;
		if (is_over_midnight && was_day && minute < h->until_minute)
			return true;
	}
	return false;
}

static bool is_open(const struct weir_interval *intervals, size_t count, uint64_t at)
{
	for (size_t i = 0; i < count; i++) {
		if (at >= intervals[i].from_ns && at < intervals[i].until_ns)
			return true;
	}
	return false;
}

/* Zones with a change of an hour, of half an hour, at midnight, and without one. */
static void test_definition(void **state)
{
	static const char *const zones[] = {"Europe/Berlin",	   "America/New_York",
					    "Australia/Lord_Howe", "Africa/Cairo",
					    "Asia/Kathmandu",	   "America/Santiago"};
	const struct hours hours[] = {
		{.days = 0x1f, .from_minute = 20 * 60, .until_minute = 4 * 60},
		{.days = SUN, .from_minute = 90, .until_minute = 150},
		{.days = SAT, .from_minute = 23 * 60, .until_minute = 24 * 60},
	};
	const uint64_t start = 1798761600; /* 2027-01-01 */

	(void)state;
	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		struct weir_interval *intervals;
		struct zone_guard guard;
		size_t count;

		if (!zone_exists(zones[z]))
			continue;
		count = compile(hours, 3, zones[z], "2026-12-31T00:00Z", "2028-01-02T00:00Z",
				&intervals);
		assert_int_equal(zone_enter(&guard, zones[z]), 0);
		for (uint64_t minute = 0; minute < 365 * 1440; minute += 15) {
			time_t at = start + minute * 60;
			struct tm tm;
			bool expected;

			localtime_r(&at, &tm);
			expected = shows_an_hour(hours, 3, (tm.tm_wday + 6) % 7,
						 tm.tm_hour * 60 + tm.tm_min);
			assert_int_equal(is_open(intervals, count, at * NS_PER_SECOND), expected);
		}
		zone_leave(&guard);
		free(intervals);
	}
}

/* ---- in a policy
 * -------------------------------------------------------------------------------*/

static const char grants[] =
	"weir: 1\nname: t\nmode: enforce\nzone: Europe/Berlin\n"
	"services: {s: {cgroup: s}}\n"
	"partners: {p: {addresses: [192.0.2.0/24]}, q: {addresses: [198.51.100.0/24]}}\n"
	"grants:\n"
	"- {name: a, service: s, partner: p, serves: tcp/1, budget: none, hours: Mon-Fri "
	"08:00-18:00}\n"
	"- {name: b, service: s, partner: q, serves: tcp/1, budget: none, hours: Mon-Fri "
	"08:00-18:00}\n"
	"- {name: c, service: s, partner: p, serves: tcp/2, budget: none, hours: Mon-Fri "
	"08:00-18:00,"
	" zone: UTC}\n"
	"- {name: d, service: s, partner: p, serves: tcp/3, budget: none}\n"
	"- {name: e, service: s, partner: p, serves: tcp/4, budget: none, until: 2027-03-31}\n";

static void test_shared_tables(void **state)
{
	struct image image = compile_good(grants);
	const struct weir_grant *a = &image.grants[1], *b = a + 1, *c = a + 2, *d = a + 3,
				*e = a + 4;

	(void)state;
	assert_int_equal(a->hours_first, b->hours_first);
	assert_int_equal(a->hours_count, b->hours_count);
	assert_int_not_equal(a->hours_first, c->hours_first);
	assert_int_equal(image.hours[a->hours_first].from_ns + NS_PER_HOUR,
			 image.hours[c->hours_first].from_ns);
	/* two years of weekdays */
	assert_in_range(a->hours_count, 520, 525);
	assert_int_equal(d->hours_count, 0);
	assert_int_equal(e->hours_count, 1);
	assert_int_equal(image.hours[e->hours_first].from_ns, 0);
	assert_int_equal(image.hours[e->hours_first].until_ns, moment("2027-03-31T22:00Z"));
	assert_int_equal(image.head.hours, a->hours_count + c->hours_count + 1);
	image_free(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_night_is_shorter),
		cmocka_unit_test(test_night_is_longer),
		cmocka_unit_test(test_hour_of_the_change),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_whole_week),
		cmocka_unit_test(test_clipped),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_shared_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
