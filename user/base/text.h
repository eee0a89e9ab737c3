/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* text.h - names that are nearly right, and arrays that grow. */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The candidate nearest to a word, collected one after the other. */
struct near {
	const char *word;
	const char *best; /* NULL: none is near */
	unsigned int distance;
};

void near_start(struct near *near, const char *word);
void near_try(struct near *near, const char *candidate);

/* The name nearest to `word` (edit distance at most a third of its length), or NULL. */
const char *near_name(const char *word, char *const *names, size_t count);

/*
 * Room for one more item in an array that holds `count` of `size` bytes: its capacity is the next
 * power of two, so it needs no field of its own. The new item is zeroed; the caller counts it.
 * NULL when memory is short; the array is then as it was.
 */
void *array_room(void *array_pointer, size_t count, size_t size);

#define ARRAY_ADD(array, count) ((__typeof__(array))array_room(&(array), count, sizeof(*(array))))

#endif
