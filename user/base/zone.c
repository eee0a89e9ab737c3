/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* zone.c - days and minutes of a time zone as wall time. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/base/zone.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo"

/* The name becomes part of a path: nothing that could leave the directory. */
static bool is_plain_name(const char *zone)
{
	if (zone[0] == '\0' || zone[0] == '/' || strlen(zone) > 64 || strstr(zone, ".."))
		return false;
	return strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
	       strlen(zone);
}

bool zone_exists(const char *zone)
{
	char path[sizeof(ZONE_DIRECTORY) + 80], magic[4];
	_cleanup_fclose_ FILE *file = NULL;

	if (!is_plain_name(zone))
		return false;
	if (strcmp(zone, "UTC") == 0)
		return true;
	snprintf(path, sizeof(path), "%s/%s", ZONE_DIRECTORY, zone);
	file = fopen(path, "re");
	return file && fread(magic, 1, sizeof(magic), file) == sizeof(magic) &&
	       memcmp(magic, "TZif", sizeof(magic)) == 0;
}

int zone_enter(struct zone_guard *guard, const char *zone)
{
	const char *before = getenv("TZ");
	_cleanup_free_ char *copy = NULL;

	if (!zone) {
		*guard = (struct zone_guard){0};
		return 0;
	}
	if (before) {
		copy = strdup(before);
		if (!copy)
			return -ENOMEM;
	}
	if (setenv("TZ", zone, 1) < 0)
		return -ENOMEM;
	tzset();
	*guard = (struct zone_guard){.before = TAKE_PTR(copy), .is_entered = true};
	return 0;
}

void zone_leave(struct zone_guard *guard)
{
	if (!guard->is_entered)
		return;
	if (guard->before)
		setenv("TZ", guard->before, 1);
	else
		unsetenv("TZ");
	tzset();
	free(guard->before);
	*guard = (struct zone_guard){0};
}

static bool is_a_day(int year, int month, int day)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year < 1970 || year > 2499 || month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && is_leap);
}

int zone_wall(int year, int month, int day, int minute, uint64_t *wall_ns)
{
	struct tm tm = {
		.tm_year = year - 1900,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = minute / 60,
		.tm_min = minute % 60,
		.tm_isdst = -1,
	};
	time_t seconds;

	if (!is_a_day(year, month, day) || minute < 0)
		return -EINVAL;
	seconds = mktime(&tm);
	if (seconds < 0)
		return -EINVAL;
	*wall_ns = (uint64_t)seconds * NS_PER_SECOND;
	return 0;
}

/* Digits alone; -1 for anything else. */
static int digits(const char *text, int count)
{
	int value = 0;

	for (; count > 0; count--, text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
	}
	return value;
}

int date_parse(const char *text, int *year, int *month, int *day)
{
	int y, m, d;

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
		return -EINVAL;
	y = digits(text, 4);
	m = digits(text + 5, 2);
	d = digits(text + 8, 2);
	if (!is_a_day(y, m, d))
		return -EINVAL;
	*year = y;
	*month = m;
	*day = d;
	return 0;
}
