/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_names.c - all names of a policy, in one block of text, with tables to find them by.
 *
 * A class gets a bit in the order in which the classes come up. One set of bits serves services,
 * partners and grants, since one order means all of a class.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/policy/compile.h"

static const char *const builtin[WEIR_SERVICE_NAMED] = {
	[WEIR_SERVICE_OTHER] = "other",
	[WEIR_SERVICE_STACK] = "stack",
	[WEIR_SERVICE_FORWARDED] = "forwarded",
};

enum { MOST_CLASSES = 64 * WEIR_CLASS_WORDS };

/* ---- classes
 * -----------------------------------------------------------------------------------*/

/* The names are the policy's own until copy_all() has run. */
static int add_class(struct compile *c, const char *name, struct position at)
{
	struct image *image = c->image;
	uint32_t found;
	char **item;
	int r;

	r = table_put(&image->class_table, name, strlen(name), image->class_count, &found);
	if (r || found != TABLE_NONE)
		return r;
	if (image->class_count == MOST_CLASSES)
		return compile_fault(c, at, "more than %u classes", MOST_CLASSES);
	item = ARRAY_ADD(image->class_names, image->class_count);
	if (!item)
		return -ENOMEM;
	*item = (char *)name;
	image->class_count++;
	return 0;
}

static int add_classes(struct compile *c, const struct names *classes)
{
	for (size_t i = 0; i < classes->count; i++) {
		int r = add_class(c, classes->item[i].text, classes->item[i].at);

		if (r)
			return r;
	}
	return 0;
}

static int add_selected(struct compile *c, const struct selectors *selectors)
{
	for (size_t i = 0; i < selectors->count; i++) {
		const struct selector *s = &selectors->item[i];
		int r = s->kind == SELECT_CLASS ? add_class(c, s->name, s->at) : 0;

		if (r)
			return r;
	}
	return 0;
}

static int gather_classes(struct compile *c)
{
	const struct policy *policy = c->policy;
	int r = 0;

	for (size_t i = 0; i < policy->service_count && !r; i++)
		r = add_classes(c, &policy->services[i].classes);
	for (size_t i = 0; i < policy->partner_count && !r; i++)
		r = add_classes(c, &policy->partners[i].classes);
	for (size_t i = 0; i < policy->grant_count && !r; i++) {
		r = add_classes(c, &policy->grants[i].classes);
		if (!r)
			r = add_selected(c, &policy->grants[i].services);
		if (!r)
			r = add_selected(c, &policy->grants[i].partners);
	}
	return r;
}

/* ---- the block of text
 * -------------------------------------------------------------------------*/

static size_t room_of(const char *text)
{
	return text ? strlen(text) + 1 : 1;
}

static size_t room_of_all(const struct names *names)
{
	size_t room = 0;

	for (size_t i = 0; i < names->count; i++)
		room += room_of(names->item[i].text);
	return room;
}

/* Bytes of all texts; *infos gets the number of info keys and values. */
static size_t measure(const struct compile *c, size_t *infos)
{
	const struct policy *policy = c->policy;
	size_t room = room_of(policy->name) + 1 /* "" for entry 0 */;

	*infos = 0;
	for (size_t i = 0; i < WEIR_SERVICE_NAMED; i++)
		room += room_of(builtin[i]);
	for (size_t i = 0; i < policy->service_count; i++)
		room += room_of(policy->services[i].name.text);
	for (size_t i = 0; i < policy->grant_count; i++)
		room += room_of(policy->grants[i].name.text);
	for (size_t i = 0; i < c->image->class_count; i++)
		room += room_of(c->image->class_names[i]);
	for (size_t i = 0; i < policy->partner_count; i++) {
		const struct partner *p = &policy->partners[i];

		room += room_of(p->name.text) + room_of_all(&p->info_keys) +
			room_of_all(&p->info_values);
		*infos += p->info_keys.count + p->info_values.count;
	}
	return room;
}

static char *copy_text(char **at, const char *text)
{
	char *copy = *at;
	size_t room = room_of(text);

	memcpy(copy, text ? text : "", room);
	*at += room;
	return copy;
}

static void copy_names(char **at, struct name **item, const struct names *from, struct names *to)
{
	to->item = *item;
	to->count = from->count;
	for (size_t i = 0; i < from->count; i++) {
		to->item[i].text = copy_text(at, from->item[i].text);
		to->item[i].at = from->item[i].at;
	}
	*item += from->count;
}

static void copy_infos(struct compile *c, char **at)
{
	struct image *image = c->image;
	struct name *item = image->info_items;

	for (size_t i = 0; i < c->policy->partner_count; i++) {
		const struct partner *p = &c->policy->partners[i];

		copy_names(at, &item, &p->info_keys, &image->partner_info_keys[i + 1]);
		copy_names(at, &item, &p->info_values, &image->partner_info_values[i + 1]);
	}
}

static void copy_all(struct compile *c, char *at, bool has_infos)
{
	const struct policy *policy = c->policy;
	struct image *image = c->image;

	image->name = copy_text(&at, policy->name);
	image->partner_names[0] = image->grant_names[0] = copy_text(&at, "");
	for (size_t i = 0; i < WEIR_SERVICE_NAMED; i++)
		image->service_names[i] = copy_text(&at, builtin[i]);
	for (size_t i = 0; i < policy->service_count; i++)
		image->service_names[WEIR_SERVICE_NAMED + i] =
			copy_text(&at, policy->services[i].name.text);
	for (size_t i = 0; i < policy->partner_count; i++)
		image->partner_names[i + 1] = copy_text(&at, policy->partners[i].name.text);
	for (size_t i = 0; i < policy->grant_count; i++)
		image->grant_names[i + 1] = copy_text(&at, policy->grants[i].name.text);
	for (size_t i = 0; i < image->class_count; i++)
		image->class_names[i] = copy_text(&at, image->class_names[i]);
	if (has_infos)
		copy_infos(c, &at);
}

static int copy_drills(struct compile *c)
{
	const struct policy *policy = c->policy;

	for (size_t i = 0; i < policy->partner_count; i++) {
		if (!policy->partners[i].drill.is_allowed)
			continue;
		if (!c->image->partner_drills)
			c->image->partner_drills =
				calloc(c->image->head.partners, sizeof(struct drill));
		if (!c->image->partner_drills)
			return -ENOMEM;
		c->image->partner_drills[i + 1] = policy->partners[i].drill;
	}
	return 0;
}

static int make_texts(struct compile *c)
{
	struct image *image = c->image;
	const struct policy_head_counts {
		size_t partners, grants, services;
	} n = {
		image->head.partners,
		image->head.grants,
		image->head.services,
	};
	size_t infos;

	image->texts = malloc(measure(c, &infos));
	image->service_names = calloc(n.services, sizeof(char *));
	image->partner_names = calloc(n.partners, sizeof(char *));
	image->grant_names = calloc(n.grants, sizeof(char *));
	if (!image->texts || !image->service_names || !image->partner_names || !image->grant_names)
		return -ENOMEM;
	if (infos) {
		image->info_items = calloc(infos, sizeof(struct name));
		image->partner_info_keys = calloc(n.partners, sizeof(struct names));
		image->partner_info_values = calloc(n.partners, sizeof(struct names));
		if (!image->info_items || !image->partner_info_keys || !image->partner_info_values)
			return -ENOMEM;
	}
	copy_all(c, image->texts, infos > 0);
	return copy_drills(c);
}

/* ---- tables
 * ------------------------------------------------------------------------------------*/

/* Puts names[first..count) into `table`; *twice gets the index of a name that is there already. */
static int put_all(struct table *table, char **names, uint32_t first, uint32_t count,
		   uint32_t *twice)
{
	for (uint32_t i = first; i < count; i++) {
		uint32_t found;
		int r = table_put(table, names[i], strlen(names[i]), i, &found);

		if (r)
			return r;
		if (found != TABLE_NONE) {
			*twice = i;
			return -EEXIST;
		}
	}
	return 0;
}

static int make_tables(struct compile *c)
{
	const struct policy *policy = c->policy;
	struct image *image = c->image;
	uint32_t i = 0;
	int r;

	r = put_all(&image->service_table, image->service_names, 0, image->head.services, &i);
	if (r == -EEXIST)
		return compile_fault(c, policy->services[i - WEIR_SERVICE_NAMED].name.at,
				     "the name \"%s\" is in use", image->service_names[i]);
	if (!r)
		r = put_all(&image->partner_table, image->partner_names, 1, image->head.partners,
			    &i);
	if (r == -EEXIST)
		return compile_fault(c, policy->partners[i - 1].name.at,
				     "the name \"%s\" is in use", image->partner_names[i]);
	if (!r)
		r = put_all(&image->grant_table, image->grant_names, 1, image->head.grants, &i);
	if (r == -EEXIST)
		return compile_fault(c, policy->grants[i - 1].name.at, "the name \"%s\" is in use",
				     image->grant_names[i]);
	if (r)
		return r;
	/* The keys that gather_classes() put there belong to the policy. */
	table_free(&image->class_table);
	return put_all(&image->class_table, image->class_names, 0, image->class_count, &i);
}

int compile_names(struct compile *c)
{
	enum { MOST = WEIR_MAX_SERVICES - WEIR_SERVICE_NAMED };
	const struct policy *policy = c->policy;
	struct weir_policy_head *head = &c->image->head;
	int r;

	if (policy->service_count > MOST)
		return compile_fault(c, policy->services[MOST].name.at, "more than %d services",
				     MOST);
	head->services = WEIR_SERVICE_NAMED + policy->service_count;
	head->partners = 1 + policy->partner_count;
	head->grants = 1 + policy->grant_count;
	r = gather_classes(c);
	if (!r)
		r = make_texts(c);
	return r ? r : make_tables(c);
}
