/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * near.h - names that look like one that somebody mistyped.
 */
#ifndef WEIR_NEAR_H
#define WEIR_NEAR_H

#include <stddef.h>

enum { NEAR_MAX = 3 };

/*
 * Up to NEAR_MAX of `names` that are few edits away from `name`, or that it begins, nearest first;
 * NULL and "" among the names are passed over. Returns how many; `near` borrows from `names`.
 */
size_t near_names(const char *name, char *const *names, size_t count, const char *near[NEAR_MAX]);

#endif
