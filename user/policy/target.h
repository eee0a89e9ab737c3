/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * target.h - what an order is about: the text "class:hospital@service:sftp" <-> struct
 * weir_cut_entry.
 *
 *	TARGET = WHAT | WHAT "@service:" NAME
 *	WHAT   = "all" | "strangers" | "partner:" NAME | "service:" NAME | "class:" NAME |
 *	         "grant:" NAME | "addr:" ADDRESS ["/" BITS]
 *
 * A service cannot be narrowed to a service.
 */
#ifndef WEIR_TARGET_H
#define WEIR_TARGET_H

#include "bpf/abi.h"
#include "user/policy/image.h"

/*
 * Reads `text` against the names of `image`. On success the whole entry is set, with order and
 * is_exception zero: they are the caller's to set after it. -EINVAL: not a target; -ENOENT: a name
 * that the policy does not have; -ENOMEM. On failure `*problem` is one line for people, with near
 * names where there are some (malloc'd, the caller frees; NULL without memory). `problem` may be
 * NULL: near names are looked for among all that the policy has, 100 ms of 100,000 partners.
 */
int target_resolve(const struct image *image, const char *text, struct weir_cut_entry *entry,
		   char **problem);

/* The entry's target as text, as target_resolve() reads it; "nothing" for WEIR_TARGET_NOTHING.
 * malloc'd; NULL without memory. */
char *target_format(const struct image *image, const struct weir_cut_entry *entry);

#endif
