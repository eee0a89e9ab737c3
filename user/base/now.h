/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * now.h - what time it is, in nanoseconds.
 */
#ifndef WEIR_NOW_H
#define WEIR_NOW_H

#include <stdint.h>
#include <time.h>

#include "user/base/units.h"

static inline uint64_t clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* Since the boot, suspended time too: what the programs call bpf_ktime_get_boot_ns(). */
static inline uint64_t boot_now(void)
{
	return clock_now(CLOCK_BOOTTIME);
}

/* Since 1970, as the system has it; it may step. */
static inline uint64_t wall_now(void)
{
	return clock_now(CLOCK_REALTIME);
}

#endif
