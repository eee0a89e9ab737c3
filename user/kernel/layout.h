/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * layout.h - what a map's value looks like, from the BTF that the kernel keeps with the map; and
 * how a value of one build becomes the same value of another: field by field, by name. Pure.
 */
#ifndef WEIR_LAYOUT_H
#define WEIR_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/btf.h>

/* One number, or one run of bytes; `path` like "window[2].slice[0]". */
struct layout_field {
	char *path;
	uint32_t offset, size; /* bytes */
	bool is_signed;
};

struct layout {
	struct layout_field *item; /* in the order of their places */
	size_t count;
	uint32_t size;
};

/*
 * The fields of a type, those of nested structs and arrays too. A spin lock is none. `layout` is to
 * be freed, also on failure. -EPROTO: bit fields, or more than a value of weir has; -EINVAL: no
 * such type; -ENOMEM.
 */
int layout_of(const struct btf *btf, uint32_t type, struct layout *layout);
void layout_free(struct layout *layout);
/* The same names at the same places. */
bool layout_is_same(const struct layout *a, const struct layout *b);
/* NULL: there is none of that name. */
const struct layout_field *layout_find(const struct layout *layout, const char *path);

struct conversion {
	struct conversion_copy {
		uint32_t from, to, size;
	} * copy;
	size_t copies;
	struct conversion_rest { /* what has no place, or not enough: must be zero */
		char *path;
		uint32_t from, size;
	} * rest;
	size_t rests;
	uint32_t from_size, to_size;
};

/* To be freed, also on failure. -EPROTO: a signed number changed its size; -ENOMEM. */
int conversion_make(const struct layout *from, const struct layout *to,
		    struct conversion *conversion);
void conversion_free(struct conversion *conversion);
/*
 * `to` is written whole: what `from` does not have is zero. -EPROTO when a field that has no place
 * in `to` is in use, i.e. not zero; *path then names it (the conversion's own).
 */
int conversion_run(const struct conversion *conversion, const void *from, void *to,
		   const char **path);

#endif
