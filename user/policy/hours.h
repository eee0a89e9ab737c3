/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * hours.h - weekly hours in a time zone -> intervals of wall time.
 */
#ifndef WEIR_HOURS_H
#define WEIR_HOURS_H

#include <stddef.h>

#include "user/policy/policy.h"

/*
 * The intervals of wall time inside `within` at which a clock on the wall of `zone` (NULL: the
 * host's) shows one of the hours: rising, apart from each other, malloc'd. By this rule a night is
 * an hour shorter or longer when the clock is put forward or back, hours that the clock skips are
 * not open on that day, and hours that it shows twice are open twice.
 *
 * None at all gives one interval that is never open, since no interval stands for "always".
 * 0, -ENOMEM, or -EINVAL when `within` is longer than HOURS_LONGEST_NS.
 */
int hours_compile(const struct hours_list *hours, const char *zone, struct weir_interval within,
		  struct weir_interval **ret, size_t *count);

#define HOURS_LONGEST_NS (4 * 366 * 86400ull * 1000000000ull)

#endif
