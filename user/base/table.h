/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* table.h - a hash table from byte strings to numbers, for names and prefixes by the million. */
#ifndef WEIR_TABLE_H
#define WEIR_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table_slot {
	const void *key; /* NULL: free. Borrowed: it must outlive the table */
	uint32_t length;
	uint32_t value;
	uint32_t hash; /* spares most looks at keys, which lie far apart */
};

/* All zero is an empty table. */
struct table {
	struct table_slot *slot;
	size_t size; /* power of two */
	size_t count;
};

/* Makes room for `count` keys at once: spares moving them again and again. 0 or -ENOMEM. */
int table_reserve(struct table *table, size_t count);

/*
 * Puts `value` under a key that is not there yet. When the key is there, its value stands and goes
 * to `*found`; else `*found` is TABLE_NONE. 0 or -ENOMEM.
 */
int table_put(struct table *table, const void *key, size_t length, uint32_t value, uint32_t *found);

/* The value under the key, or TABLE_NONE. */
uint32_t table_get(const struct table *table, const void *key, size_t length);

/* Starts fetching the key's slot: among millions, a look waits for memory more than it works. */
void table_prefetch(const struct table *table, const void *key, size_t length);

void table_free(struct table *table);

#endif
