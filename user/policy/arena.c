/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * arena.c - a chain of blocks; what is larger than a block gets one of its own.
 */
#include "user/policy/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 << 10 };

struct arena_block {
	struct arena_block *before;
	size_t size;
	alignas(max_align_t) unsigned char data[];
};

static int add_block(struct arena *arena, size_t size)
{
	struct arena_block *block;

	if (size < BLOCK_BYTES)
		size = BLOCK_BYTES;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return -1;
	block->before = arena->last;
	block->size = size;
	arena->last = block;
	arena->used = 0;
	return 0;
}

void *arena_take(struct arena *arena, size_t size)
{
	void *taken;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!arena->last || arena->last->size - arena->used < size) {
		if (add_block(arena, size))
			return NULL;
	}
	taken = arena->last->data + arena->used;
	arena->used += size;
	return taken;
}

void *arena_copy(struct arena *arena, const void *data, size_t size)
{
	void *copy = arena_take(arena, size);

	if (copy && size)
		memcpy(copy, data, size);
	return copy;
}

void arena_free(struct arena *arena)
{
	while (arena->last) {
		struct arena_block *block = arena->last;

		arena->last = block->before;
		free(block);
	}
	*arena = (struct arena){0};
}
