/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_restore.h - what a meter that was saved is worth now. Pure arithmetic.
 *
 * Time without a guard counts as zero: each slice is as old as it was when it was saved.
 */
#ifndef WEIR_METERS_RESTORE_H
#define WEIR_METERS_RESTORE_H

#include "user/daemon/meters_file.h"

/* When the meters were saved, and now. */
struct meters_times {
	uint64_t saved_boot_ns, saved_wall_ns;
	uint64_t now_boot_ns, now_wall_ns;
};

/*
 * Brings a meter over. With `limits` its windows become those of the policy, as window_fit() in
 * bpf/meter.bpf.h makes them: what is known counts at its latest possible moment. NULL: they stay.
 */
void meter_carry(struct kept_meter *kept, const struct weir_limits *limits,
		 const struct meters_times *times);

/* A meter that is not in the file. */
void meter_make(struct kept_meter *kept, uint64_t grant_key, uint64_t service_key,
		uint64_t partner_key, const struct weir_limits *limits, uint64_t now_boot_ns);

/*
 * Charges the most that can have left unseen: the room that all windows of `limits` had, but no
 * more than `bound` bytes. `only_shortest`: the room of the shortest window, charged to it alone.
 * The windows must be those of `limits`. Returns the bytes.
 */
uint64_t meter_assume(struct kept_meter *kept, const struct weir_limits *limits, uint64_t bound,
		      bool only_shortest);

#endif
