/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cover.c - how the targets of two orders lie to each other.
 */
#include "user/daemon/cover.h"

#include <string.h>

#include "user/base/address.h"

static bool has_class(const __u64 classes[WEIR_CLASS_WORDS], uint32_t bit)
{
	return bit < WEIR_CLASS_WORDS * 64 && classes[bit / 64] >> (bit % 64) & 1;
}

/* The service that all packets of the target belong to, or WEIR_ANY. */
static uint32_t service_of(const struct weir_cut_entry *target)
{
	return target->target == WEIR_TARGET_SERVICE ? target->index : target->service;
}

/* The partner of all of the prefix that no longer one inside it is about: by the longest of those
 * that hold the whole of it. */
static uint32_t owner_around(const struct image *image, const struct weir_cut_entry *target,
			     size_t behind)
{
	for (uint32_t at = behind ? behind - 1 : WEIR_ANY; at != WEIR_ANY;
	     at = image->prefixes[at].around) {
		const struct image_prefix *prefix = &image->prefixes[at];

		if (prefix->bits <= target->prefix_bits &&
		    prefix_covers(prefix->address, prefix->bits, target->address))
			return prefix->partner;
	}
	return WEIR_NO_PARTNER;
}

static bool is_inside(const struct weir_cut_entry *target, const struct image_prefix *prefix)
{
	return prefix->bits > target->prefix_bits &&
	       prefix_holds(target->address, target->prefix_bits, prefix->address);
}

/* Whether the whole prefix belongs to one partner (WEIR_NO_PARTNER: to none). A short IPv6 prefix
 * that holds IPv4 too does not: of a partner the two are listed apart. */
static bool prefix_owner(const struct image *image, const struct weir_cut_entry *target,
			 uint32_t *partner)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
	size_t behind = image_prefix_behind(image, target->address);
	uint32_t owner = owner_around(image, target, behind);

	if (owner != WEIR_NO_PARTNER && target->prefix_bits < 96 &&
	    prefix_holds(target->address, target->prefix_bits, mapped))
		return false;
	/* Those that begin where it does stand before the ones that begin behind. */
	for (size_t i = behind; i > 0 && memcmp(image->prefixes[i - 1].address, target->address,
						sizeof(target->address)) == 0;
	     i--) {
		if (is_inside(target, &image->prefixes[i - 1]) &&
		    image->prefixes[i - 1].partner != owner)
			return false;
	}
	for (size_t i = behind; i < image->prefix_count && is_inside(target, &image->prefixes[i]);
	     i++) {
		if (image->prefixes[i].partner != owner)
			return false;
	}
	*partner = owner;
	return true;
}

static bool same_prefix_part(const struct weir_cut_entry *wide, const struct weir_cut_entry *narrow)
{
	return wide->prefix_bits <= narrow->prefix_bits &&
	       prefix_covers(wide->address, wide->prefix_bits, narrow->address);
}

/* Whether the class may meet packets by something else than their partner. */
static bool class_is_elsewhere(const struct image *image, uint32_t bit)
{
	for (uint32_t i = 0; i < image->head.services; i++) {
		if (has_class(image->services[i].classes, bit))
			return true;
	}
	for (uint32_t i = 1; i < image->head.grants; i++) {
		if (has_class(image->grants[i].classes, bit))
			return true;
	}
	return false;
}

/* A class over all that goes to one partner (or to none). */
static enum cover cover_partner(const struct image *image, uint32_t bit, uint32_t partner)
{
	if (partner != WEIR_NO_PARTNER && has_class(image->partners[partner].classes, bit))
		return COVER_WHOLE;
	return class_is_elsewhere(image, bit) ? COVER_PART : COVER_NONE;
}

/* What an address lies in, seen from a cut by name. */
static enum cover cover_address(const struct image *image, const struct weir_cut_entry *cut,
				const struct weir_cut_entry *target)
{
	uint32_t partner;

	if (cut->target == WEIR_TARGET_ADDRESS) {
		if (same_prefix_part(cut, target))
			return COVER_WHOLE;
		return same_prefix_part(target, cut) ? COVER_PART : COVER_NONE;
	}
	if (!prefix_owner(image, target, &partner))
		return COVER_PART;
	if (cut->target == WEIR_TARGET_PARTNER)
		return cut->index == partner ? COVER_WHOLE : COVER_NONE;
	if (cut->target == WEIR_TARGET_STRANGERS)
		return partner == WEIR_NO_PARTNER ? COVER_WHOLE : COVER_PART;
	if (cut->target == WEIR_TARGET_CLASS)
		return cover_partner(image, cut->index, partner);
	return COVER_PART;
}

/* Whether everything that the target means carries the class. */
static bool class_holds(const struct image *image, uint32_t bit,
			const struct weir_cut_entry *target)
{
	uint32_t service = service_of(target);

	if (service != WEIR_ANY && has_class(image->services[service].classes, bit))
		return true;
	if (target->target == WEIR_TARGET_PARTNER)
		return has_class(image->partners[target->index].classes, bit);
	if (target->target == WEIR_TARGET_GRANT)
		return has_class(image->grants[target->index].classes, bit);
	return target->target == WEIR_TARGET_CLASS && target->index == bit;
}

/* Without regard to @service, and for a target that is no address. */
static enum cover cover_name(const struct image *image, const struct weir_cut_entry *cut,
			     const struct weir_cut_entry *target)
{
	switch (cut->target) {
	case WEIR_TARGET_ALL:
		return COVER_WHOLE;
	case WEIR_TARGET_CLASS:
		if (class_holds(image, cut->index, target))
			return COVER_WHOLE;
		return target->target == WEIR_TARGET_PARTNER
			       ? cover_partner(image, cut->index, target->index)
			       : COVER_PART;
	case WEIR_TARGET_SERVICE:
		if (service_of(target) == WEIR_ANY)
			return COVER_PART;
		return service_of(target) == cut->index ? COVER_WHOLE : COVER_NONE;
	case WEIR_TARGET_ADDRESS: /* of a partner or more, an address is a part */
		return COVER_PART;
	case WEIR_TARGET_NOTHING:
		return COVER_NONE;
	default:
		if (cut->target != target->target) {
			bool both = (cut->target == WEIR_TARGET_STRANGERS &&
				     target->target == WEIR_TARGET_GRANT) ||
				    (cut->target == WEIR_TARGET_GRANT &&
				     target->target == WEIR_TARGET_STRANGERS);

			return both ? COVER_NONE : COVER_PART;
		}
		return cut->index == target->index ? COVER_WHOLE : COVER_NONE;
	}
}

static bool is_same(const struct weir_cut_entry *a, const struct weir_cut_entry *b)
{
	return a->target == b->target && a->service == b->service && a->index == b->index &&
	       a->prefix_bits == b->prefix_bits && memcmp(a->address, b->address, 16) == 0;
}

enum cover cover_of(const struct image *image, const struct weir_cut_entry *cut,
		    const struct weir_cut_entry *target)
{
	uint32_t service = service_of(target);
	enum cover cover;

	if (cut->target == WEIR_TARGET_NOTHING || target->target == WEIR_TARGET_NOTHING)
		return COVER_NONE;
	if (is_same(cut, target))
		return COVER_SAME;
	if (cut->service != WEIR_ANY && service != WEIR_ANY && cut->service != service)
		return COVER_NONE;
	if (target->target == WEIR_TARGET_ADDRESS && cut->target != WEIR_TARGET_ALL &&
	    cut->target != WEIR_TARGET_SERVICE)
		cover = cover_address(image, cut, target);
	else
		cover = cover_name(image, cut, target);
	if (cover == COVER_PART && cut->target == WEIR_TARGET_CLASS &&
	    class_holds(image, cut->index, target))
		cover = COVER_WHOLE; /* an address @service:NAME of that class */
	if (cover == COVER_WHOLE && cut->service != WEIR_ANY && service == WEIR_ANY)
		cover = COVER_PART;
	return cover;
}

bool target_holds_account(const struct image *image, const struct weir_cut_entry *target,
			  uint32_t service, uint32_t partner, uint32_t grant, bool is_stranger)
{
	if (target->service != WEIR_ANY && target->service != service)
		return false;
	switch (target->target) {
	case WEIR_TARGET_ALL:
		return true;
	case WEIR_TARGET_STRANGERS:
		return is_stranger;
	case WEIR_TARGET_PARTNER:
		return target->index == partner;
	case WEIR_TARGET_SERVICE:
		return target->index == service;
	case WEIR_TARGET_GRANT:
		return target->index == grant;
	case WEIR_TARGET_CLASS:
		return (service != WEIR_ANY &&
			has_class(image->services[service].classes, target->index)) ||
		       (partner != WEIR_ANY &&
			has_class(image->partners[partner].classes, target->index)) ||
		       (grant != WEIR_ANY &&
			has_class(image->grants[grant].classes, target->index));
	default:
		return false; /* a latch is about names, not about one address */
	}
}
