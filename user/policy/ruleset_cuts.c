/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ruleset_cuts.c - what a cut covers, as far as nftables can tell. Without services, a cut covers
 * what it may cover, and an exception lets back what it surely lets back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/policy/ruleset_parts.h"

static const uint8_t v4_prefix[16] = {[10] = 0xff, [11] = 0xff};

void ruleset_cuts_init(struct ruleset_cuts *cuts, const struct ruleset *ruleset)
{
	*cuts = (struct ruleset_cuts){.image = ruleset->image, .cuts = ruleset->cuts};
	for (uint32_t i = 0; ruleset->image && i < ruleset->image->head.services; i++) {
		for (int word = 0; word < WEIR_CLASS_WORDS; word++)
			cuts->service_classes[word] |= ruleset->image->services[i].classes[word];
	}
}

static bool has_class(const __u64 classes[WEIR_CLASS_WORDS], uint32_t bit)
{
	return bit / 64 < WEIR_CLASS_WORDS && (classes[bit / 64] >> bit % 64 & 1);
}

static bool covers_by_class(const struct ruleset_cuts *cuts, const struct weir_cut_entry *entry,
			    uint32_t partner, uint32_t grant)
{
	return has_class(cuts->image->partners[partner].classes, entry->index) ||
	       has_class(cuts->image->grants[grant].classes, entry->index);
}

static bool may_cover(const struct ruleset_cuts *cuts, const struct weir_cut_entry *entry,
		      uint32_t partner, uint32_t grant)
{
	switch (entry->target) {
	case WEIR_TARGET_ALL:
	case WEIR_TARGET_SERVICE:
		return true;
	case WEIR_TARGET_STRANGERS:
		return grant == WEIR_NO_GRANT;
	case WEIR_TARGET_PARTNER:
		return partner == entry->index && partner != WEIR_NO_PARTNER;
	case WEIR_TARGET_GRANT:
		return grant == entry->index && grant != WEIR_NO_GRANT;
	case WEIR_TARGET_CLASS:
		return covers_by_class(cuts, entry, partner, grant) ||
		       has_class(cuts->service_classes, entry->index);
	default: /* addr: is looked up by itself */
		return false;
	}
}

static bool surely_covers(const struct ruleset_cuts *cuts, const struct weir_cut_entry *entry,
			  uint32_t partner, uint32_t grant)
{
	if (entry->service != WEIR_ANY || entry->target == WEIR_TARGET_SERVICE)
		return false;
	if (entry->target == WEIR_TARGET_CLASS)
		return covers_by_class(cuts, entry, partner, grant);
	return may_cover(cuts, entry, partner, grant);
}

/* As find_cut() of explain.c: a cut, followed by its exceptions. */
bool ruleset_is_cut(const struct ruleset_cuts *cuts, uint32_t partner, uint32_t grant)
{
	bool is_cut = false;

	for (size_t i = 0; cuts->cuts && i < cuts->cuts->count; i++) {
		const struct weir_cut_entry *entry = &cuts->cuts->entry[i];

		if (entry->is_exception) {
			if (is_cut && surely_covers(cuts, entry, partner, grant))
				is_cut = false;
			continue;
		}
		if (is_cut)
			break;
		is_cut = may_cover(cuts, entry, partner, grant);
	}
	return is_cut;
}

size_t ruleset_cuts_of(const struct ruleset_cuts *cuts, uint32_t partner, uint16_t *list)
{
	size_t found = 0;

	for (size_t i = 0; cuts->cuts && i < cuts->cuts->count; i++) {
		const struct weir_cut_entry *entry = &cuts->cuts->entry[i];

		if ((entry->target == WEIR_TARGET_PARTNER && entry->index == partner) ||
		    (entry->target == WEIR_TARGET_CLASS &&
		     has_class(cuts->image->partners[partner].classes, entry->index)))
			list[found++] = i;
	}
	return found;
}

int ruleset_cut_prefixes(const struct ruleset_cuts *cuts, struct ruleset_prefix **ret,
			 size_t *count)
{
	size_t entries = cuts->cuts ? cuts->cuts->count : 0;
	struct ruleset_prefix *prefix = calloc(2 * entries + 1, sizeof(*prefix));

	*count = 0;
	*ret = prefix;
	if (!prefix)
		return -ENOMEM;
	for (size_t i = 0; i < entries; i++) {
		const struct weir_cut_entry *entry = &cuts->cuts->entry[i];
		struct ruleset_prefix *to = &prefix[*count];

		if (entry->target != WEIR_TARGET_ADDRESS || entry->is_exception)
			continue;
		*to = (struct ruleset_prefix){.bits = entry->prefix_bits, .verdict = VERDICT_DROP};
		memcpy(to->address, entry->address, sizeof(to->address));
		prefix_mask(to->address, to->bits);
		++*count;
		/* By its bits a short one holds the IPv4 addresses too. */
		if (to->bits < 96 && prefix_holds(to->address, to->bits, v4_prefix)) {
			prefix[*count] =
				(struct ruleset_prefix){.bits = 96, .verdict = VERDICT_DROP};
			memcpy(prefix[*count].address, v4_prefix, sizeof(v4_prefix));
			++*count;
		}
	}
	ruleset_sort(prefix, *count);
	return 0;
}
