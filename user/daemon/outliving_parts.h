/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* outliving_parts.h - shared by the files of outliving.h. */
#ifndef WEIR_OUTLIVING_PARTS_H
#define WEIR_OUTLIVING_PARTS_H

#include "user/daemon/outliving.h"

/* For one cut: so many prefixes, and as many exceptions; then, without room, as few as may be, and
 * these from the room of signed orders too. */
enum { OUTLIVING_MOST = 256, OUTLIVING_LEAST = 2 };

struct range {
	uint8_t address[16];
	uint8_t bits;
	uint32_t index; /* in before->prefixes; WEIR_ANY: of an addition, or shortened */
};

struct outliving {
	const struct image *before, *after;
	struct orders *orders;
	uint64_t wall_ns;
	bool *is_moved; /* parallel to before->partners: not all its addresses are its own after */
	size_t most;
	/* of the cut at hand */
	struct weir_order cut;
	struct weir_cut_entry entry;	   /* under `before` */
	struct weir_cut_entry entry_after; /* WEIR_TARGET_NOTHING: it has no object there */
	bool *partner;			   /* whose prefixes are cut */
	bool *service;			   /* of `after`: in which */
	struct range *prefix;
	size_t prefix_count;
};

/* Fills work->is_moved; `orders` have what is added to partners. */
void outliving_find_moved(struct outliving *work, const struct orders *orders);

/* The service under `after`, WEIR_ANY unless all its cgroups are that one's there. 0 or -ENOMEM. */
int outliving_service_after(const struct outliving *work, uint32_t service, uint32_t *after);

/* A prefix in a service, WEIR_ANY: in each. */
struct weir_cut_entry outliving_piece(const struct range *prefix, uint32_t service);

/* Whether all that `piece` means (under `before`) was let back from the cut. */
bool outliving_is_let_back(const struct outliving *work, const struct weir_cut_entry *piece);

/* Adds `piece` (under `after`); *id 0: it is cut already. 0, -ENOSPC or -ENOMEM. */
int outliving_add(struct outliving *work, const struct weir_cut_entry *piece, uint64_t *id);

/* Cuts what goes to work->partner in work->service; without one there, in each. As
 * outliving_add(). */
int outliving_cut_partners(struct outliving *work);

#endif
