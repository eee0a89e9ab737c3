/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* table.c - a hash table from byte strings to numbers: open addressing, at most half full. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/table.h"

/* Eight bytes at a time, each time mixed: the low bits alone choose the slot. */
static uint32_t hash_of(const void *key, size_t length)
{
	const unsigned char *from = key;
	uint64_t h = length, part;

	for (;;) {
		part = 0;
		memcpy(&part, from, length < 8 ? length : 8);
		h = (h ^ part) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
		if (length <= 8)
			return (uint32_t)(h ^ h >> 16);
		from += 8;
		length -= 8;
	}
}

static struct table_slot *find(const struct table *table, uint32_t hash, const void *key,
			       size_t length)
{
	size_t at = hash & (table->size - 1);
	struct table_slot *slot;

	for (;; at = (at + 1) & (table->size - 1)) {
		slot = &table->slot[at];
		if (!slot->key || (slot->hash == hash && slot->length == length &&
				   memcmp(slot->key, key, length) == 0))
			return slot;
	}
}

static int resize(struct table *table, size_t size)
{
	struct table larger = {.size = size, .count = table->count};
	const struct table_slot *old;
	size_t i;

	larger.slot = calloc(larger.size, sizeof(*larger.slot));
	if (!larger.slot)
		return -ENOMEM;
	for (i = 0; i < table->size; i++) {
		old = &table->slot[i];
		if (old->key)
			*find(&larger, old->hash, old->key, old->length) = *old;
	}
	free(table->slot);
	*table = larger;
	return 0;
}

int table_reserve(struct table *table, size_t count)
{
	size_t size = table->size ? table->size : 64;

	while (size / 2 < count && size < SIZE_MAX / 4)
		size *= 2;
	return size > table->size ? resize(table, size) : 0;
}

int table_put(struct table *table, const void *key, size_t length, uint32_t value, uint32_t *found)
{
	uint32_t hash = hash_of(key, length);
	struct table_slot *slot;
	int r;

	if (table->count >= table->size / 2) {
		r = resize(table, table->size ? table->size * 2 : 64);
		if (r < 0)
			return r;
	}
	slot = find(table, hash, key, length);
	*found = slot->key ? slot->value : TABLE_NONE;
	if (!slot->key) {
		*slot = (struct table_slot){key, (uint32_t)length, value, hash};
		table->count++;
	}
	return 0;
}

uint32_t table_get(const struct table *table, const void *key, size_t length)
{
	const struct table_slot *slot;

	if (table->size == 0)
		return TABLE_NONE;
	slot = find(table, hash_of(key, length), key, length);
	return slot->key ? slot->value : TABLE_NONE;
}

void table_prefetch(const struct table *table, const void *key, size_t length)
{
	if (table->size > 0)
		__builtin_prefetch(&table->slot[hash_of(key, length) & (table->size - 1)]);
}

void table_free(struct table *table)
{
	free(table->slot);
	*table = (struct table){0};
}
