/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_policy.c - every meter with a budget that a policy can lead to.
 */
#include "user/daemon/meters_policy.h"

#include <errno.h>
#include <stdlib.h>

#include "user/base/cleanup.h"

struct walk {
	const struct image *image;
	uint32_t *by_profile; /* partners, those of one profile side by side */
	int (*each)(const struct policy_meter *meter, void *data);
	void *data;
};

static bool are_set(const struct weir_limits *limits)
{
	return limits->window[0].window_ns != 0;
}

static int tell(const struct walk *walk, uint64_t grant_key, uint64_t service_key,
		uint64_t partner_key, const struct weir_limits *limits, uint8_t on_breach)
{
	const struct policy_meter meter = {grant_key, service_key, partner_key, limits,
					   on_breach == WEIR_SEVER};

	return are_set(limits) ? walk->each(&meter, walk->data) : 0;
}

static int compare_profiles(const void *left, const void *right, void *data)
{
	const struct image *image = data;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	uint32_t x = image->partners[a].profile, y = image->partners[b].profile;

	return x < y ? -1 : x > y ? 1 : a < b ? -1 : a > b;
}

static int sort_partners(struct walk *walk)
{
	uint32_t count = walk->image->head.partners;

	walk->by_profile = calloc(count + 1, sizeof(*walk->by_profile));
	if (!walk->by_profile)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		walk->by_profile[i] = i;
	if (count > 1) /* 0 is no partner */
		qsort_r(walk->by_profile + 1, count - 1, sizeof(*walk->by_profile),
			compare_profiles, (void *)walk->image);
	return 0;
}

/* Place of the first partner with the profile, or one behind the last. */
static uint32_t first_of(const struct walk *walk, uint32_t profile)
{
	uint32_t low = 1, high = walk->image->head.partners;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (walk->image->partners[walk->by_profile[middle]].profile < profile)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int each_partner(const struct walk *walk, const struct image_pair *pair, uint32_t grant)
{
	const struct image *image = walk->image;
	int r = 0;

	for (uint32_t i = first_of(walk, pair->key.profile); i < image->head.partners && r == 0;
	     i++) {
		const struct weir_partner *partner = &image->partners[walk->by_profile[i]];

		if (partner->profile != pair->key.profile)
			break;
		r = tell(walk, image->grants[grant].key, image->services[pair->key.service].key,
			 partner->key, &image->grants[grant].budget,
			 image->grants[grant].on_breach);
	}
	return r;
}

/* A grant may stand in several rules of a pair: ports, protocols, directions. */
static int each_grant(const struct walk *walk, const struct image_pair *pair)
{
	const struct weir_rule *rule = walk->image->rules + pair->rules.first;
	int r = 0;

	for (uint32_t i = 0; i < pair->rules.count && r == 0; i++) {
		bool is_known = false;

		for (uint32_t j = 0; j < i && !is_known; j++)
			is_known = rule[j].grant == rule[i].grant;
		if (!is_known)
			r = each_partner(walk, pair, rule[i].grant);
	}
	return r;
}

static int each_ceiling(const struct walk *walk)
{
	const struct image *image = walk->image;
	int r = 0;

	for (uint32_t i = 0; i < image->head.services && r == 0; i++) {
		const struct weir_service *service = &image->services[i];

		r = tell(walk, WEIR_KEY_CEILING, service->key, 0, &service->ceiling, WEIR_HOLD);
		if (r == 0)
			r = tell(walk, WEIR_KEY_TOTAL, service->key, 0, &service->strangers.total,
				 service->strangers.on_breach);
	}
	for (uint32_t i = 1; i < image->head.partners && r == 0; i++)
		r = tell(walk, WEIR_KEY_CEILING, 0, image->partners[i].key,
			 &image->partners[i].ceiling, WEIR_HOLD);
	return r;
}

int policy_meters_each(const struct image *image,
		       int (*each)(const struct policy_meter *meter, void *data), void *data)
{
	struct walk walk = {.image = image, .each = each, .data = data};
	int r = each_ceiling(&walk);

	if (r == 0)
		r = sort_partners(&walk);
	for (size_t i = 0; i < image->pair_count && r == 0; i++)
		r = each_grant(&walk, &image->pairs[i]);
	free(walk.by_profile);
	return r;
}

static void join(struct weir_limits *all, const struct weir_limits *one, unsigned *shared)
{
	unsigned count = 0;

	for (; count < WEIR_WINDOWS && one->window[count].window_ns; count++) {
		struct weir_limit *to = &all->window[count];

		if (one->window[count].window_ns > to->window_ns)
			to->window_ns = one->window[count].window_ns;
		if (one->window[count].bytes > to->bytes)
			to->bytes = one->window[count].bytes;
	}
	if (count && count < *shared)
		*shared = count;
}

bool policy_stranger_limits(const struct image *image, struct weir_limits *limits)
{
	unsigned shared = WEIR_WINDOWS;

	*limits = (struct weir_limits){0};
	for (uint32_t i = 0; i < image->head.services; i++) {
		const struct weir_strangers *strangers = &image->services[i].strangers;

		join(limits, &strangers->serves, &shared);
		join(limits, &strangers->calls, &shared);
	}
	/* what a service does not have does not bound what it can have sent */
	for (unsigned i = shared; i < WEIR_WINDOWS; i++)
		limits->window[i] = (struct weir_limit){0};
	return are_set(limits);
}

bool policy_severs_strangers(const struct image *image)
{
	for (uint32_t i = 0; i < image->head.services; i++) {
		if (image->services[i].strangers.on_breach == WEIR_SEVER)
			return true;
	}
	return false;
}
