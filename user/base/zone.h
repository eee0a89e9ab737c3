/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * zone.h - days and minutes of a time zone as wall time.
 *
 * glibc knows zones only through the variable TZ: entering a zone sets it for the whole process,
 * leaving puts it back. So one thread at a time, and nothing that reads local time in between.
 */
#ifndef WEIR_ZONE_H
#define WEIR_ZONE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the host has this zone ("Europe/Berlin", "UTC"). */
bool zone_exists(const char *zone);

struct zone_guard {
	char *before; /* TZ as it was; NULL: unset */
	bool is_entered;
};

/* NULL: the host's zone, nothing changes. 0 or -ENOMEM. Each enter needs its leave. */
int zone_enter(struct zone_guard *guard, const char *zone);
void zone_leave(struct zone_guard *guard);

/*
 * The wall time, in ns since 1970, of a minute of a day in the zone entered. Minutes past 1440 fall
 * on the following days. `month` and `day` count from 1. A minute that a summer time leaves out
 * counts as the one an hour later. -EINVAL for a day that no calendar has, or before 1970.
 */
int zone_wall(int year, int month, int day, int minute, uint64_t *wall_ns);

/* YYYY-MM-DD, from 1970 to 2499. -EINVAL for another form, or a day that no calendar has. */
int date_parse(const char *text, int *year, int *month, int *day);

#endif
