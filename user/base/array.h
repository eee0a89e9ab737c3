/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* array.h - arrays that grow. */
#ifndef WEIR_ARRAY_H
#define WEIR_ARRAY_H

#include <stddef.h>

/*
 * Room for one more item in an array that holds `count` of `size` bytes: its capacity is the next
 * power of two, so it needs no field of its own. The new item is zeroed; the caller counts it.
 * NULL when memory is short; the array is then as it was.
 */
void *array_room(void *array_pointer, size_t count, size_t size);

#define ARRAY_ADD(array, count) ((__typeof__(array))array_room(&(array), count, sizeof(*(array))))

#endif
