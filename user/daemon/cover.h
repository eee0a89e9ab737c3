/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cover.h - how the targets of two orders, or a target and an account, lie to each other.
 */
#ifndef WEIR_COVER_H
#define WEIR_COVER_H

#include "user/policy/image.h"

enum cover {
	COVER_NONE,  /* no packet is meant by both */
	COVER_PART,  /* some packets may be */
	COVER_WHOLE, /* whatever `target` means, `cut` means too */
	COVER_SAME,  /* they are the same target */
};

/* In doubt COVER_PART: a reopening then leaves the cut alone, and says so. */
enum cover cover_of(const struct image *image, const struct weir_cut_entry *cut,
		    const struct weir_cut_entry *target);

/* Whether a latched account lies within the target. The indices are those of the account's keys;
 * WEIR_ANY for a key that the policy does not know, 0 for none. */
bool target_holds_account(const struct image *image, const struct weir_cut_entry *target,
			  uint32_t service, uint32_t partner, uint32_t grant, bool is_stranger);

#endif
