/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * about.c - what a kernel says of weir's programs, inside a guest of `make vm`, and to
 * tests/check/types:
 *
 *	about cost OBJECT...	what its verifier spent on each program
 *	about types OBJECT	which types of vmlinux/kernel.h (as BTF in OBJECT) it has otherwise
 *
 * Lines begin with "=", like all that the console listens to. Exit 1: a program does not load, or a
 * type differs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "cost.h"

static int quiet(enum libbpf_print_level level, const char *format, va_list list)
{
	(void)level;
	(void)format;
	(void)list;
	return 0;
}

/* ---- cost ------------------------------------------------------------------------------------ */

static void tell_cost(const struct cost *cost, void *data)
{
	(void)data;
	printf("=cost %s %lu %lu\n", cost->program, cost->instructions, cost->states);
}

static int cost(const char *path)
{
	char why[COST_WHY_BYTES];
	int r = cost_each(path, tell_cost, NULL, why);

	if (r)
		printf("=refused %s: %s: %s\n", path, strerror(-r), why);
	return r != 0;
}

/* ---- types ----------------------------------------------------------------------------------- */

static const struct btf_type *plain(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (type && (btf_is_mod(type) || btf_is_typedef(type)))
		type = btf__type_by_id(btf, type->type);
	return type;
}

/* A member by its name, also inside members without one. */
static const struct btf_member *find_member(const struct btf *btf, const struct btf_type *type,
					    const char *name)
{
	const struct btf_member *member = btf_members(type), *found = NULL;

	for (int i = 0; !found && i < btf_vlen(type); i++, member++) {
		const char *own = btf__name_by_offset(btf, member->name_off);
		const struct btf_type *inner = plain(btf, member->type);

		if (!strcmp(own, name))
			found = member;
		else if (!*own && inner && btf_is_composite(inner))
			found = find_member(btf, inner, name);
	}
	return found;
}

static int check_members(const struct btf *ours, const struct btf_type *mine,
			 const struct btf *kernel, const struct btf_type *theirs, const char *name)
{
	const struct btf_member *member = btf_members(mine);
	int differ = 0;

	for (int i = 0; i < btf_vlen(mine); i++, member++) {
		const char *field = btf__name_by_offset(ours, member->name_off);
		const struct btf_type *own = plain(ours, member->type);
		const struct btf_member *other;
		const struct btf_type *there;

		if (!*field) {
			if (own && btf_is_composite(own))
				differ += check_members(ours, own, kernel, theirs, name);
			continue;
		}
		other = find_member(kernel, theirs, field);
		there = other ? plain(kernel, other->type) : NULL;
		if (!there) {
			printf("=type %s.%s is not there\n", name, field);
			differ++;
		} else if (own && btf_kind(own) != btf_kind(there)) {
			printf("=type %s.%s is of another kind\n", name, field);
			differ++;
		} else if (own && (btf_is_int(own) || btf_is_enum(own)) &&
			   own->size != there->size) {
			printf("=type %s.%s has %u bytes, not %u\n", name, field, there->size,
			       own->size);
			differ++;
		}
	}
	return differ;
}

static int types(const char *path)
{
	struct btf *ours = btf__parse(path, NULL), *kernel = btf__load_vmlinux_btf();
	int differ = 0, count = 0;

	if (!ours || !kernel)
		return printf("=failed no BTF: %s\n", strerror(errno)), 1;
	for (uint32_t id = 1; id < btf__type_cnt(ours); id++) {
		const struct btf_type *mine = btf__type_by_id(ours, id);
		const char *name = btf__name_by_offset(ours, mine->name_off);
		int other;

		if (!btf_is_composite(mine) || !*name || !btf_vlen(mine))
			continue;
		/* libbpf's "___FLAVOUR" is another look at the same type, that not each kernel
		 * has: who uses it asks first */
		if (strstr(name, "___"))
			continue;
		other = btf__find_by_name_kind(kernel, name, btf_kind(mine));
		count++;
		if (other < 0) {
			printf("=type %s is not there\n", name);
			differ++;
			continue;
		}
		differ += check_members(ours, mine, kernel, btf__type_by_id(kernel, other), name);
	}
	printf("=types %d compared, %d differ\n", count, differ);
	btf__free(ours);
	btf__free(kernel);
	return differ != 0;
}

int main(int count, char **word)
{
	int failed = 0;

	libbpf_set_print(quiet);
	if (count == 3 && !strcmp(word[1], "types"))
		return types(word[2]);
	if (count < 3 || strcmp(word[1], "cost") != 0)
		return 2;
	for (int i = 2; i < count; i++)
		failed |= cost(word[i]);
	return failed;
}
