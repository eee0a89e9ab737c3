/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * arena.h - memory that stays where it is and is freed as a whole: keys for struct table, lists.
 */
#ifndef WEIR_ARENA_H
#define WEIR_ARENA_H

#include <stddef.h>

/* All zero is an empty arena. */
struct arena {
	struct arena_block *last;
	size_t used;
};

/* `size` bytes, aligned for any type, not cleared; NULL without memory. */
void *arena_take(struct arena *arena, size_t size);
void *arena_copy(struct arena *arena, const void *data, size_t size);
void arena_free(struct arena *arena);

#endif
