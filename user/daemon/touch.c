/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * touch.c - which partners an order means, and what of the lifeline.
 */
#include "user/daemon/touch.h"

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/daemon/cover.h"

/* By its own name or class, or as one of all. Of a service's part it needs a rule. */
static bool is_meant(const struct image *image, const struct weir_cut_entry *order,
		     uint32_t partner)
{
	return partner != WEIR_NO_PARTNER && order->target != WEIR_TARGET_SERVICE &&
	       (order->target != WEIR_TARGET_ALL || order->service == WEIR_ANY) &&
	       target_holds_account(image, order, order->service, partner, WEIR_ANY, false);
}

/* By what a rule of the pair grants. */
static bool pair_is_meant(const struct image *image, const struct weir_cut_entry *order,
			  uint32_t service, struct weir_span rules)
{
	for (uint32_t i = rules.first; i < rules.first + rules.count; i++) {
		if (target_holds_account(image, order, service, WEIR_NO_PARTNER,
					 image->rules[i].grant, false))
			return true;
	}
	return false;
}

static bool prefix_is_meant(const struct weir_cut_entry *order, const struct image_prefix *prefix)
{
	return prefix_holds(order->address, order->prefix_bits, prefix->address) ||
	       prefix_holds(prefix->address, prefix->bits, order->address);
}

bool partner_is_touched(const struct image *image, const struct weir_cut_entry *order,
			uint32_t partner)
{
	uint32_t profile = image->partners[partner].profile;

	if (is_meant(image, order, partner))
		return true;
	for (uint32_t i = 0; i < image->head.services; i++) {
		if (pair_is_meant(image, order, i, image_rules_of(image, i, profile)))
			return true;
	}
	for (size_t i = 0; i < image->prefix_count && order->target == WEIR_TARGET_ADDRESS; i++) {
		if (image->prefixes[i].partner == partner &&
		    prefix_is_meant(order, &image->prefixes[i]))
			return true;
	}
	return false;
}

int partners_touched(const struct image *image, const struct weir_cut_entry *order, bool *touched)
{
	/* Partners with the same rules share a profile, of which there are no more than partners.
	 */
	_cleanup_free_ bool *profiles = calloc(image->head.partners + 1, sizeof(*profiles));

	if (!profiles)
		return -ENOMEM;
	for (size_t i = 0; i < image->pair_count; i++) {
		const struct image_pair *pair = &image->pairs[i];

		if (pair->key.profile < image->head.partners &&
		    pair_is_meant(image, order, pair->key.service, pair->rules))
			profiles[pair->key.profile] = true;
	}
	for (uint32_t i = 1; i < image->head.partners; i++)
		touched[i] |= is_meant(image, order, i) || profiles[image->partners[i].profile];
	for (size_t i = 0; i < image->prefix_count && order->target == WEIR_TARGET_ADDRESS; i++)
		touched[image->prefixes[i].partner] |= prefix_is_meant(order, &image->prefixes[i]);
	return 0;
}

/* Whether the targets mean a rule of the lifeline for one of its prefixes. */
static bool rule_is_meant(const struct image *image, const struct weir_cut_entry *target,
			  size_t target_count, const struct image_lifeline_prefix *prefix,
			  const struct weir_lifeline_rule *rule)
{
	const struct weir_answer answer = {.service = rule->service,
					   .partner = image_partner_of(image, prefix->address)};

	for (size_t i = 0; i < target_count; i++) {
		bool is_inside = target[i].target == WEIR_TARGET_ADDRESS &&
				 prefix_covers(prefix->address, prefix->bits, target[i].address);

		if (image_entry_covers(image, &target[i],
				       is_inside ? target[i].address : prefix->address, &answer))
			return true;
	}
	return false;
}

void services_spared(const struct image *image, const struct weir_cut_entry *target,
		     size_t target_count, bool *spared)
{
	for (size_t i = 0; i < image->lifeline_prefix_count; i++) {
		const struct image_lifeline_prefix *prefix = &image->lifeline_prefixes[i];

		for (uint32_t j = 0; j < prefix->rules.count; j++) {
			const struct weir_lifeline_rule *rule =
				&image->lifeline_rules[prefix->rules.first + j];

			spared[rule->service] |=
				rule_is_meant(image, target, target_count, prefix, rule);
		}
	}
}

static bool rules_have(const struct image *image, struct weir_span rules, uint32_t grant)
{
	for (uint32_t i = rules.first; i < rules.first + rules.count; i++) {
		if (image->rules[i].grant == grant)
			return true;
	}
	return false;
}

/* The services where the target means the partner, and it has the grant; no more than `most`. */
static uint64_t partner_accounts(const struct image *image, uint32_t partner, uint32_t grant,
				 const struct weir_cut_entry *target, uint64_t most)
{
	static const uint8_t no_peer[16];
	struct weir_answer answer = {.partner = partner, .grant = grant};
	uint64_t count = 0;

	for (uint32_t i = 0; i < image->head.services && count < most; i++) {
		struct weir_span rules = image_rules_of(image, i, image->partners[partner].profile);

		answer.service = i;
		count += image_entry_covers(image, target, no_peer, &answer) &&
			 rules_have(image, rules, grant);
	}
	return count;
}

static uint64_t accounts(const struct image *image, uint32_t grant,
			 const struct weir_cut_entry *target, uint64_t most)
{
	uint64_t count = 0;

	if (target->target == WEIR_TARGET_PARTNER)
		return partner_accounts(image, target->index, grant, target, most);
	for (uint32_t i = 1; i < image->head.partners && count < most; i++)
		count += partner_accounts(image, i, grant, target, most - count);
	return count;
}

uint64_t grant_accounts(const struct image *image, uint32_t grant,
			const struct weir_cut_entry *target)
{
	return accounts(image, grant, target, UINT64_MAX);
}

bool grant_meets(const struct image *image, uint32_t grant, const struct weir_cut_entry *target)
{
	return accounts(image, grant, target, 1) > 0;
}
