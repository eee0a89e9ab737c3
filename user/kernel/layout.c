/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * layout.c - what a map's value looks like, and how it becomes that of another build.
 *
 * The machine is little-endian, like every one that weir runs on: a number that grew keeps its low
 * bytes where they were.
 */
#include "user/kernel/layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "conversions know little-endian numbers only"
#endif

enum { MOST_FIELDS = 4096, MOST_DEPTH = 8 };

struct walk {
	const struct btf *btf;
	struct layout *layout;
};

/* ---- reading BTF ---------------------------------------------------------------------------- */

/* Without typedefs and qualifiers. NULL: there is no such type. */
static const struct btf_type *type_of(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	for (int i = 0; type && i < MOST_DEPTH && (btf_is_mod(type) || btf_is_typedef(type)); i++)
		type = btf__type_by_id(btf, type->type);
	return type;
}

static bool is_signed(const struct btf_type *type)
{
	return btf_is_int(type) && btf_int_encoding(type) & BTF_INT_SIGNED;
}

static int add_leaf(struct walk *walk, const char *path, uint32_t offset, uint32_t size,
		    bool is_signed_number)
{
	struct layout *layout = walk->layout;
	struct layout_field *field;

	if (layout->count >= MOST_FIELDS)
		return -EPROTO;
	field = ARRAY_ADD(layout->item, layout->count);
	if (!field)
		return -ENOMEM;
	*field = (struct layout_field){strdup(path), offset, size, is_signed_number};
	layout->count++;
	return field->path ? 0 : -ENOMEM;
}

static int add(struct walk *walk, uint32_t id, const char *path, uint32_t offset, int depth);

static int add_struct(struct walk *walk, const struct btf_type *type, const char *path,
		      uint32_t offset, int depth)
{
	const struct btf_member *member = btf_members(type);
	const char *struct_name = btf__name_by_offset(walk->btf, type->name_off);
	int r = 0;

	if (struct_name && !strcmp(struct_name, "bpf_spin_lock"))
		return 0;
	for (uint16_t i = 0; r == 0 && i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(walk->btf, member[i].name_off);
		uint32_t bits = btf_member_bit_offset(type, i);
		_cleanup_free_ char *below = NULL;

		if (btf_member_bitfield_size(type, i) || bits % 8)
			return -EPROTO;
		if (asprintf(&below, "%s%s%s", path, *path && name && *name ? "." : "",
			     name ? name : "") < 0)
			return -ENOMEM;
		r = add(walk, member[i].type, below, offset + bits / 8, depth + 1);
	}
	return r;
}

static int add_array(struct walk *walk, const struct btf_type *type, const char *path,
		     uint32_t offset, int depth)
{
	const struct btf_array *array = btf_array(type);
	const struct btf_type *element = type_of(walk->btf, array->type);
	int64_t size = btf__resolve_size(walk->btf, array->type);
	int r = 0;

	if (!element || size <= 0)
		return -EINVAL;
	if (size == 1) /* text, digests, addresses */
		return add_leaf(walk, path, offset, array->nelems, false);
	for (uint32_t i = 0; r == 0 && i < array->nelems; i++) {
		_cleanup_free_ char *below = NULL;

		if (asprintf(&below, "%s[%u]", path, i) < 0)
			return -ENOMEM;
		r = add(walk, array->type, below, offset + i * size, depth + 1);
	}
	return r;
}

static int add(struct walk *walk, uint32_t id, const char *path, uint32_t offset, int depth)
{
	const struct btf_type *type = type_of(walk->btf, id);
	int64_t size = type ? btf__resolve_size(walk->btf, id) : -EINVAL;

	if (size < 0)
		return -EINVAL;
	if (depth > MOST_DEPTH)
		return -EPROTO;
	if (btf_is_struct(type))
		return add_struct(walk, type, path, offset, depth);
	if (btf_is_array(type))
		return add_array(walk, type, path, offset, depth);
	return add_leaf(walk, path, offset, size, is_signed(type));
}

int layout_of(const struct btf *btf, uint32_t type, struct layout *layout)
{
	struct walk walk = {btf, layout};
	int64_t size = type ? btf__resolve_size(btf, type) : -EINVAL;

	*layout = (struct layout){0};
	if (size < 0)
		return -EINVAL;
	layout->size = size;
	return add(&walk, type, "", 0, 0);
}

void layout_free(struct layout *layout)
{
	for (size_t i = 0; i < layout->count; i++)
		free(layout->item[i].path);
	free(layout->item);
	*layout = (struct layout){0};
}

bool layout_is_same(const struct layout *a, const struct layout *b)
{
	if (a->size != b->size || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->item[i].offset != b->item[i].offset || a->item[i].size != b->item[i].size ||
		    strcmp(a->item[i].path, b->item[i].path))
			return false;
	}
	return true;
}

const struct layout_field *layout_find(const struct layout *layout, const char *path)
{
	for (size_t i = 0; i < layout->count; i++) {
		if (!strcmp(layout->item[i].path, path))
			return &layout->item[i];
	}
	return NULL;
}

/* ---- conversion ----------------------------------------------------------------------------- */

static int add_rest(struct conversion *conversion, const char *path, uint32_t from, uint32_t size)
{
	struct conversion_rest *rest = ARRAY_ADD(conversion->rest, conversion->rests);

	if (!rest)
		return -ENOMEM;
	*rest = (struct conversion_rest){strdup(path), from, size};
	conversion->rests++;
	return rest->path ? 0 : -ENOMEM;
}

static int add_copy(struct conversion *conversion, const struct layout_field *from,
		    const struct layout_field *to)
{
	struct conversion_copy *copy;
	uint32_t size = from->size < to->size ? from->size : to->size;

	if (from->size != to->size && (from->is_signed || to->is_signed))
		return -EPROTO;
	copy = ARRAY_ADD(conversion->copy, conversion->copies);
	if (!copy)
		return -ENOMEM;
	*copy = (struct conversion_copy){from->offset, to->offset, size};
	conversion->copies++;
	return size == from->size
		       ? 0
		       : add_rest(conversion, from->path, from->offset + size, from->size - size);
}

int conversion_make(const struct layout *from, const struct layout *to,
		    struct conversion *conversion)
{
	int r = 0;

	*conversion = (struct conversion){.from_size = from->size, .to_size = to->size};
	for (size_t i = 0; r == 0 && i < from->count; i++) {
		const struct layout_field *field = &from->item[i];
		const struct layout_field *place = layout_find(to, field->path);

		r = place ? add_copy(conversion, field, place)
			  : add_rest(conversion, field->path, field->offset, field->size);
	}
	return r;
}

void conversion_free(struct conversion *conversion)
{
	for (size_t i = 0; i < conversion->rests; i++)
		free(conversion->rest[i].path);
	free(conversion->rest);
	free(conversion->copy);
	*conversion = (struct conversion){0};
}

static bool is_zero(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

int conversion_run(const struct conversion *conversion, const void *from, void *to,
		   const char **path)
{
	const char *source = from;
	char *target = to;

	for (size_t i = 0; i < conversion->rests; i++) {
		const struct conversion_rest *rest = &conversion->rest[i];

		if (!is_zero(source + rest->from, rest->size)) {
			*path = rest->path;
			return -EPROTO;
		}
	}
	memset(target, 0, conversion->to_size);
	for (size_t i = 0; i < conversion->copies; i++) {
		const struct conversion_copy *copy = &conversion->copy[i];

		memcpy(target + copy->to, source + copy->from, copy->size);
	}
	return 0;
}
