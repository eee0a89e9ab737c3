/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * image.c - look-ups in a compiled policy: names, addresses, cgroup paths. Each takes O(log n) or
 * less, and answers what the kernel's tries answer.
 */
#include "user/policy/image.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"

void image_free(struct image *image)
{
	free(image->services);
	free(image->partners);
	free(image->grants);
	free(image->reserves);
	free(image->rules);
	free(image->hours);
	free(image->lifeline_rules);
	free(image->prefixes);
	free(image->pairs);
	free(image->steps);
	free(image->lifeline_prefixes);
	free(image->service_names);
	free(image->partner_names);
	free(image->grant_names);
	free(image->class_names);
	free(image->partner_drills);
	free(image->partner_info_keys);
	free(image->partner_info_values);
	free(image->info_items);
	table_free(&image->service_table);
	table_free(&image->partner_table);
	table_free(&image->grant_table);
	table_free(&image->class_table);
	free(image->texts); /* holds the name and all names above */
	*image = (struct image){0};
}

_Static_assert(TABLE_NONE == WEIR_ANY, "an unknown name gives WEIR_ANY");

uint32_t image_service(const struct image *image, const char *name)
{
	return table_get(&image->service_table, name, strlen(name));
}

uint32_t image_partner(const struct image *image, const char *name)
{
	return table_get(&image->partner_table, name, strlen(name));
}

uint32_t image_grant(const struct image *image, const char *name)
{
	return table_get(&image->grant_table, name, strlen(name));
}

uint32_t image_class(const struct image *image, const char *name)
{
	return table_get(&image->class_table, name, strlen(name));
}

/* ---- addresses -------------------------------------------------------------------------------*/

_Static_assert(offsetof(struct image_prefix, address) == 0 &&
		       offsetof(struct image_lifeline_prefix, address) == 0,
	       "behind() finds the address at the beginning of an entry");

/*
 * The tables of prefixes are sorted by address, then bits. The last one that is not behind
 * (address, 128) starts inside every prefix that holds the address, so those are found by going
 * outwards from it.
 */
static size_t behind(const void *table, size_t count, size_t entry_size, const uint8_t address[16])
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp((const char *)table + middle * entry_size, address, 16) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t image_prefix_behind(const struct image *image, const uint8_t address[16])
{
	return behind(image->prefixes, image->prefix_count, sizeof(*image->prefixes), address);
}

const struct image_prefix *image_prefix_of(const struct image *image, const uint8_t address[16])
{
	size_t next = image_prefix_behind(image, address);

	for (uint32_t at = next ? next - 1 : WEIR_ANY; at != WEIR_ANY;
	     at = image->prefixes[at].around) {
		const struct image_prefix *prefix = &image->prefixes[at];

		if (prefix_covers(prefix->address, prefix->bits, address))
			return prefix;
	}
	return NULL;
}

uint32_t image_partner_of(const struct image *image, const uint8_t address[16])
{
	const struct image_prefix *prefix = image_prefix_of(image, address);

	return prefix ? prefix->partner : WEIR_NO_PARTNER;
}

struct weir_span image_lifeline_of(const struct image *image, const uint8_t address[16])
{
	size_t next = behind(image->lifeline_prefixes, image->lifeline_prefix_count,
			     sizeof(*image->lifeline_prefixes), address);

	for (uint32_t at = next ? next - 1 : WEIR_ANY; at != WEIR_ANY;
	     at = image->lifeline_prefixes[at].around) {
		const struct image_lifeline_prefix *prefix = &image->lifeline_prefixes[at];

		if (prefix_covers(prefix->address, prefix->bits, address))
			return prefix->rules;
	}
	return (struct weir_span){0};
}

struct weir_span image_rules_of(const struct image *image, uint32_t service, uint32_t profile)
{
	size_t low = 0, high = image->pair_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct image_pair *pair = &image->pairs[middle];

		if (pair->key.service == service && pair->key.profile == profile)
			return pair->rules;
		if (pair->key.service < service ||
		    (pair->key.service == service && pair->key.profile < profile))
			low = middle + 1;
		else
			high = middle;
	}
	return (struct weir_span){0};
}

/* ---- hours and orders ------------------------------------------------------------------------*/

bool image_grant_is_open(const struct image *image, const struct weir_grant *grant,
			 uint64_t wall_ns, uint64_t *edge)
{
	const struct weir_interval *hours = image->hours + grant->hours_first;
	uint32_t low = 0, high = grant->hours_count;

	*edge = UINT64_MAX;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (hours[middle].until_ns > wall_ns)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == grant->hours_count)
		return false;
	*edge = hours[low].from_ns > wall_ns ? hours[low].from_ns : hours[low].until_ns;
	return hours[low].from_ns <= wall_ns;
}

static bool has_class(const struct image *image, const struct weir_answer *answer, uint32_t bit)
{
	uint32_t word = bit / 64;

	if (word >= WEIR_CLASS_WORDS)
		return false;
	return (image->services[answer->service].classes[word] |
		image->partners[answer->partner].classes[word] |
		image->grants[answer->grant].classes[word]) >>
		       (bit % 64) &
	       1;
}

bool image_entry_covers(const struct image *image, const struct weir_cut_entry *entry,
			const uint8_t peer[16], const struct weir_answer *answer)
{
	if (entry->service != WEIR_ANY && entry->service != answer->service)
		return false;
	switch (entry->target) {
	case WEIR_TARGET_ALL:
		return true;
	case WEIR_TARGET_STRANGERS:
		return answer->grant == WEIR_NO_GRANT;
	case WEIR_TARGET_PARTNER:
		return answer->partner == entry->index && answer->partner != WEIR_NO_PARTNER;
	case WEIR_TARGET_SERVICE:
		return answer->service == entry->index;
	case WEIR_TARGET_GRANT:
		return answer->grant == entry->index && answer->grant != WEIR_NO_GRANT;
	case WEIR_TARGET_CLASS:
		return has_class(image, answer, entry->index);
	case WEIR_TARGET_ADDRESS:
		return prefix_holds(entry->address, entry->prefix_bits, peer);
	default:
		return false;
	}
}

uint32_t image_partner_added(const struct order_table *table, const uint8_t address[16],
			     uint64_t wall_ns, uint64_t *until_ns)
{
	for (size_t i = 0; i < table->override_count; i++) {
		const struct weir_override *override = &table->override[i];

		if (override->kind != WEIR_ORDER_PARTNER_ADD || wall_ns >= override->until_ns ||
		    override->at.target != WEIR_TARGET_ADDRESS ||
		    !prefix_holds(override->at.address, override->at.prefix_bits, address))
			continue;
		*until_ns = override->until_ns;
		return override->at.index;
	}
	return WEIR_NO_PARTNER;
}

uint64_t image_overrides(const struct image *image, const struct order_table *table,
			 const uint8_t peer[16], uint64_t wall_ns, struct weir_answer *answer)
{
	uint64_t end = UINT64_MAX, more_bytes = 0, parts = WEIR_WHOLE;

	for (size_t i = 0; i < table->override_count; i++) {
		const struct weir_override *override = &table->override[i];

		if (override->kind == WEIR_ORDER_PARTNER_ADD || wall_ns >= override->until_ns ||
		    !image_entry_covers(image, &override->at, peer, answer))
			continue;
		if (override->kind == WEIR_ORDER_PAUSE)
			answer->observe = 1;
		else if (override->kind == WEIR_ORDER_EXTEND && override->grant == answer->grant)
			more_bytes += override->more_bytes;
		else if (override->kind == WEIR_ORDER_PROBATION && override->parts < parts)
			parts = override->parts;
		else
			continue;
		if (override->until_ns < end)
			end = override->until_ns;
	}
	answer->overrule =
		parts < WEIR_WHOLE ? WEIR_PROBATION | parts : more_bytes % WEIR_PROBATION;
	return end;
}

void order_table_free(struct order_table *table)
{
	free(table->entry);
	free(table->override);
	*table = (struct order_table){0};
}

/* ---- cgroup paths ----------------------------------------------------------------------------*/

/* Order of the steps: by state, then the bytes that must match, then the number of them. */
int image_step_order(const struct weir_path_key *a, const struct weir_path_key *b)
{
	int order;

	if (a->state != b->state)
		return a->state < b->state ? -1 : 1;
	order = memcmp(a->name, b->name, sizeof(a->name));
	if (order)
		return order;
	return a->prefixlen < b->prefixlen ? -1 : a->prefixlen > b->prefixlen;
}

static const struct weir_path_step *find_step(const struct image *image,
					      const struct weir_path_key *key)
{
	size_t low = 0, high = image->step_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = image_step_order(&image->steps[middle].key, key);

		if (!order)
			return &image->steps[middle].step;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * The trie's answer for one component: with its terminator first, then ever shorter prefixes. As in
 * bpf/service.bpf.h, a name too long for the key keeps no terminator, so a `*` alone can match it.
 */
const struct weir_path_step *image_take_step(const struct image *image, uint32_t state,
					     const char *name, size_t length)
{
	struct weir_path_key key = {.state = state};
	const struct weir_path_step *step;

	if (length < WEIR_PATH_NAME - 1) {
		memcpy(key.name, name, length);
		key.prefixlen = 32 + 8 * (length + 1);
		step = find_step(image, &key);
		if (step)
			return step;
	} else {
		length = WEIR_PATH_NAME - 1;
		memcpy(key.name, name, length);
	}
	for (;; length--) {
		key.name[length] = 0;
		key.prefixlen = 32 + 8 * length;
		step = find_step(image, &key);
		if (step || !length)
			return step;
	}
}

enum { DEEPEST = 64 }; /* levels that the kernel walks up; below it is `other` */

uint32_t image_service_of(const struct image *image, const char *path)
{
	uint32_t service = WEIR_SERVICE_OTHER, state = 0;
	bool is_running = true;
	size_t depth = 0;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		const struct weir_path_step *step = NULL;
		size_t length = strcspn(path, "/");

		if (++depth >= DEEPEST)
			return WEIR_SERVICE_OTHER;
		if (is_running && depth <= WEIR_PATH_DEPTH)
			step = image_take_step(image, state, path, length);
		is_running = step != NULL;
		if (step) {
			state = step->next;
			if (step->service != WEIR_ANY)
				service = step->service;
		}
		path += length;
	}
	return service;
}
