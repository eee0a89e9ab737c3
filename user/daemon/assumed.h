/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * assumed.h - what meters hold that was not measured, and where it lies in their windows. Pure.
 */
#ifndef WEIR_ASSUMED_H
#define WEIR_ASSUMED_H

#include "user/daemon/meters_file.h"

/* A part lies `age` slices behind `head` of a window whose running slice began at start_ns. */
struct assumed_part {
	uint64_t start_ns; /* boot */
	uint64_t slice_ns;
	uint64_t bytes;
	uint32_t head, age;
};

struct assumed_meter {
	uint64_t key;
	uint32_t slot;
	struct assumed_part part[WEIR_WINDOWS];
};

struct assumed {
	struct assumed_meter *item; /* in order of slot and key, once sorted */
	size_t count;
	uint64_t since_ns; /* wall */
	uint32_t why;	   /* enum meters_why */
};

void assumed_free(struct assumed *assumed);
/* Notes the parts of a meter, if it has any. -ENOMEM. */
int assumed_add(struct assumed *assumed, const struct kept_meter *kept);
/* After the last one was added, and before the first is looked for. */
void assumed_sort(struct assumed *assumed);
struct assumed_meter *assumed_find(const struct assumed *assumed, uint64_t key, uint32_t slot);

/* Fills kept->part with what of it still lies in kept->meter's windows. */
void assumed_place(const struct assumed *assumed, struct kept_meter *kept);

/* Bytes that still count: of the window that holds most. */
uint64_t assumed_bytes(const struct assumed_meter *meter, uint64_t now_boot_ns);
/* Boot time at which the last of it has left its window. */
uint64_t assumed_end(const struct assumed_meter *meter);

#endif
