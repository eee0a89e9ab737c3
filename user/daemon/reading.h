/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * reading.h - the texts of a policy, read and checked, and on to its image. Of many partners that
 * is most of the work of an apply, and `weir apply` has the difference told first: what was read
 * for that is kept a moment for the apply that follows.
 */
#ifndef WEIR_READING_H
#define WEIR_READING_H

#include "user/policy/image.h"
#include "user/policy/policy.h"

/* All zero is none. */
struct reading {
	struct policy policy;
	struct faults faults; /* also warnings */
};

/* One that waits for who asks for the same texts again. */
struct kept_reading {
	struct reading reading;
	uint8_t digest[32];
	uint64_t until_ns; /* boot; 0: none is kept */
};

/* Reads and checks. 0; -EBADMSG with `reading->faults`; -ENOMEM. To be freed in each case. */
int reading_make(const struct sources *sources, struct reading *reading);
void reading_free(struct reading *reading);

/* Takes the reading of these sources over, in the place of the one before. Without memory for it
 * none is kept. */
void reading_keep(struct kept_reading *kept, const struct sources *sources,
		  struct reading *reading);
/* As reading_make(); what is kept of the same texts spares it, and is not kept any more. */
int reading_take(struct kept_reading *kept, const struct sources *sources, struct reading *reading);
/* Frees what nobody came for. The boot time at which that is due; 0: none is kept. */
uint64_t reading_drop_due(struct kept_reading *kept, uint64_t now_ns);
void reading_drop(struct kept_reading *kept);

/* Read, check, compile. -EBADMSG with `faults`; warnings are there on success too. */
int policy_to_image(const struct sources *sources, uint64_t wall_ns, struct image *image,
		    struct faults *faults);

#endif
