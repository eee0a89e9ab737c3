/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * check_dead.c - grants that can never match: for each pair of service and partner that they reach,
 * a more specific grant takes all of it, or the partner is not valid while they are.
 *
 * The first pair that is left ends the search, so the common case costs one look.
 */
#include <errno.h>
#include <stdlib.h>

#include "user/base/array.h"
#include "user/policy/check.h"

struct numbers {
	uint32_t *item;
	size_t count;
};

struct dead {
	struct check *check;
	struct numbers *by_partner; /* grants that name it */
	struct numbers wide;	    /* grants with classes or `any` among their partners */
};

static int add(struct numbers *numbers, uint32_t number)
{
	uint32_t *item = ARRAY_ADD(numbers->item, numbers->count);

	if (!item)
		return -ENOMEM;
	*item = number;
	numbers->count++;
	return 0;
}

static bool can_take(const struct grant *grant)
{
	return is_sound(grant) && grant->mode == WEIR_ENFORCE;
}

static int index_grants(struct dead *dead)
{
	const struct policy *policy = dead->check->policy;
	const struct reach *reach;
	uint32_t i, k;
	int r = 0;

	for (i = 0; i < policy->grant_count; i++) {
		reach = &dead->check->partner_reach[i];
		if (!can_take(&policy->grants[i]))
			continue;
		for (k = 0; r == 0 && k < reach->name_count; k++)
			r = add(&dead->by_partner[reach->names[k]], i);
		if (r == 0 && (reach->is_any ||
			       class_bits_meet(&reach->classes, &dead->check->partners.carried)))
			r = add(&dead->wide, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool covers_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return a->direction == b->direction && a->is_icmp == b->is_icmp &&
	       a->protocol == b->protocol && a->port_first <= b->port_first &&
	       a->port_last >= b->port_last;
}

static bool covers_endpoints(const struct grant *a, const struct grant *b)
{
	size_t i, k;

	for (i = 0; i < b->endpoints.count; i++) {
		for (k = 0; k < a->endpoints.count; k++)
			if (covers_endpoint(&a->endpoints.item[k], &b->endpoints.item[i]))
				break;
		if (k == a->endpoints.count)
			return false;
	}
	return true;
}

/* Whether grant `a` is asked before grant `b` about this pair, and answers all that `b` would. */
static bool takes(const struct check *check, uint32_t a, uint32_t b, uint32_t service,
		  uint32_t partner)
{
	const struct grant *grants = check->policy->grants;
	enum level a_level = reach_level(&check->partner_reach[a], &check->partners, partner);
	enum level b_level = reach_level(&check->partner_reach[b], &check->partners, partner);
	enum level a_service, b_service;

	if (a == b || a_level < b_level)
		return false;
	a_service = reach_level(&check->service_reach[a], &check->services, service);
	b_service = reach_level(&check->service_reach[b], &check->services, service);
	if (a_service == LEVEL_NONE || (a_level == b_level && a_service <= b_service))
		return false;
	return covers_endpoints(&grants[a], &grants[b]) &&
	       times_cover(check->policy, &grants[a], &grants[b]);
}

static bool is_taken(const struct check *check, const struct numbers *candidates, uint32_t grant,
		     uint32_t service, uint32_t partner, uint32_t *taker)
{
	size_t i;

	for (i = 0; i < candidates->count; i++)
		if (takes(check, candidates->item[i], grant, service, partner)) {
			*taker = candidates->item[i];
			return true;
		}
	return false;
}

/* Nothing goes before a grant that names both. */
static bool is_most_specific(const struct check *check, uint32_t grant, uint32_t service,
			     uint32_t partner)
{
	return reach_level(&check->partner_reach[grant], &check->partners, partner) == LEVEL_NAME &&
	       reach_level(&check->service_reach[grant], &check->services, service) == LEVEL_NAME;
}

/* What was found on the way through a grant's pairs. */
struct finding {
	bool has_pairs;
	bool is_expired; /* of some pair: the partner is not valid while the grant is */
	bool is_taken;
	uint32_t taker; /* one of them */
};

static bool is_alive(const struct dead *dead, uint32_t grant, struct finding *finding)
{
	const struct check *check = dead->check;
	const struct policy *policy = check->policy;
	const struct reach *partners = &check->partner_reach[grant];
	const struct reach *services = &check->service_reach[grant];
	struct reach_walk partner_walk = {0}, service_walk;
	uint32_t partner, service;

	while (reach_next(partners, &check->partners, &partner_walk, &partner)) {
		service_walk = (struct reach_walk){0};
		while (reach_next(services, &check->services, &service_walk, &service)) {
			finding->has_pairs = true;
			if (!validities_meet(&policy->partners[partner].validity,
					     &policy->grants[grant].validity)) {
				finding->is_expired = true;
				continue;
			}
			if (policy->grants[grant].mode != WEIR_ENFORCE ||
			    is_most_specific(check, grant, service, partner))
				return true;
			if (!is_taken(check, &dead->by_partner[partner], grant, service, partner,
				      &finding->taker) &&
			    !is_taken(check, &dead->wide, grant, service, partner, &finding->taker))
				return true;
			finding->is_taken = true;
		}
	}
	return false;
}

static void judge(struct dead *dead, uint32_t number)
{
	const struct grant *grants = dead->check->policy->grants;
	const struct grant *grant = &grants[number];
	struct finding finding = {0};

	if (!is_sound(grant) || grant->validity.from_ns >= grant->validity.until_ns ||
	    is_alive(dead, number, &finding) || !finding.has_pairs)
		return;
	if (finding.is_taken)
		faults_add_pair(dead->check->faults, SEVERITY_ERROR, grant->name.at,
				grants[finding.taker].name.at,
				"grant \"%s\" can never match: what it grants is taken by more "
				"specific ones, such as \"%s\"",
				grant->name.text, grants[finding.taker].name.text);
	else
		faults_add(dead->check->faults, SEVERITY_ERROR, grant->name.at,
			   "grant \"%s\" can never match: its partners are not valid while it is",
			   grant->name.text);
}

int check_dead(struct check *check)
{
	const struct policy *policy = check->policy;
	struct dead dead = {.check = check};
	uint32_t i;
	int r = -ENOMEM;

	dead.by_partner = calloc(policy->partner_count + 1, sizeof(*dead.by_partner));
	if (dead.by_partner)
		r = index_grants(&dead);
	for (i = 0; r == 0 && i < policy->grant_count; i++)
		judge(&dead, i);
	for (i = 0; dead.by_partner && i < policy->partner_count; i++)
		free(dead.by_partner[i].item);
	free(dead.by_partner);
	free(dead.wide.item);
	return r;
}
