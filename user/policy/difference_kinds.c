/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference_kinds.c - what services, partners and grants are compared by, and when one of them
 * that comes or goes is sure to let more or less leave.
 */
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/policy/difference_parts.h"
#include "user/policy/words.h"

/* Looks at other grants and prefixes, to be sure of a direction; beyond them it is not sure. */
enum { MOST_LOOKS = 50000000 };

/* ---- who else is meant --------------------------------------------------------------------- */

/* Whether both may mean one and the same; only two names are sure not to. */
static bool selectors_may_meet(const struct selectors *a, const struct selectors *b)
{
	for (size_t i = 0; i < a->count; i++) {
		for (size_t j = 0; j < b->count; j++) {
			if (a->item[i].kind != SELECT_NAME || b->item[j].kind != SELECT_NAME ||
			    strcmp(a->item[i].name, b->item[j].name) == 0)
				return true;
		}
	}
	return false;
}

/* Another grant that may decide where this one does not. */
static bool has_rival(struct walk *walk, const struct policy *in, const struct grant *grant)
{
	for (size_t i = 0; i < in->grant_count; i++) {
		const struct grant *other = &in->grants[i];

		if (++walk->looks > MOST_LOOKS)
			return true;
		if (strcmp(other->name.text, grant->name.text) != 0 &&
		    selectors_may_meet(&other->services, &grant->services) &&
		    selectors_may_meet(&other->partners, &grant->partners))
			return true;
	}
	return false;
}

/* Whether a grant lets more leave than strangers get, who are what one without a grant is. */
static bool is_above(const struct grant *grant, const struct strangers *strangers)
{
	static const struct budget deny = {.is_deny = true};

	for (size_t i = 0; i < grant->endpoints.count; i++) {
		bool serves = grant->endpoints.item[i].direction == WEIR_SERVES;
		const struct budget *theirs = serves ? &strangers->serves : &strangers->calls;

		if (!strangers->is_given)
			theirs = &deny;
		if (compare_budgets(theirs, &grant->budget) != MORE)
			return false;
	}
	return true;
}

/* Of a grant that comes to `policy`, or goes from it. */
static bool grant_only_adds(struct walk *walk, const struct policy *policy,
			    const struct grant *grant)
{
	if (grant->mode == WEIR_OBSERVE || !is_above(grant, &policy->strangers) ||
	    has_rival(walk, policy, grant))
		return false;
	for (size_t i = 0; i < policy->service_count; i++) {
		if (policy->services[i].strangers.is_given &&
		    !is_above(grant, &policy->services[i].strangers))
			return false;
	}
	return true;
}

/* Whether a prefix of the partner touches another partner's. */
static bool touches_others(struct walk *walk, const struct policy *policy, const char *name,
			   const struct prefixes *prefixes)
{
	for (size_t i = 0; i < policy->partner_count; i++) {
		const struct partner *other = &policy->partners[i];

		if (strcmp(other->name.text, name) == 0)
			continue;
		for (size_t j = 0; j < other->addresses.count * prefixes->count; j++) {
			const struct prefix *a = &other->addresses.item[j / prefixes->count];
			const struct prefix *b = &prefixes->item[j % prefixes->count];

			if (++walk->looks > MOST_LOOKS ||
			    prefix_covers(a->address, a->bits, b->address) ||
			    prefix_covers(b->address, b->bits, a->address))
				return true;
		}
	}
	return false;
}

/* An address of no partner is a stranger's; where those may take what they like, a partner's is
 * not looser. */
static bool strangers_are_limited(const struct policy *policy)
{
	const struct strangers *strangers = &policy->strangers;

	return !strangers->is_given || ((strangers->serves.is_deny || strangers->serves.count) &&
					(strangers->calls.is_deny || strangers->calls.count));
}

static bool addresses_only_add(struct walk *walk, const char *name, const struct prefixes *prefixes)
{
	return strangers_are_limited(walk->before) && strangers_are_limited(walk->after) &&
	       !touches_others(walk, walk->before, name, prefixes) &&
	       !touches_others(walk, walk->after, name, prefixes);
}

/* ---- kinds of things that have names ------------------------------------------------------- */

static size_t grant_count(const struct policy *policy)
{
	return policy->grant_count;
}

static const char *grant_name(const struct policy *policy, size_t i)
{
	return policy->grants[i].name.text;
}

static char *words_of_grant(const struct policy *policy, size_t i)
{
	return grant_words(&policy->grants[i]);
}

static bool grant_adds(struct walk *walk, const struct policy *in, const struct policy *of,
		       size_t i)
{
	return grant_only_adds(walk, in, &of->grants[i]);
}

static void compare_reach(struct comparison *comparison, const char *what,
			  const struct selectors *old, const struct selectors *new)
{
	enum relation relation = compare_selectors(old, new);

	if (relation == SAME)
		return;
	comparison->moves = true;
	comparison_say(comparison, relation, "%s ", what);
	say_selectors(old, comparison->out);
	fputs(" -> ", comparison->out);
	say_selectors(new, comparison->out);
}

/* One window as a budget has it; without one nothing fits. */
static struct budget as_budget(const struct reserve *reserve)
{
	return reserve->limit.bytes ? (struct budget){.window = {reserve->limit}, .count = 1}
				    : (struct budget){.is_deny = true};
}

static void compare_reserves(struct comparison *comparison, const struct reserve *old,
			     const struct reserve *new)
{
	const struct budget before = as_budget(old), after = as_budget(new);
	enum relation relation = compare_budgets(&before, &after);

	if (relation == SAME)
		return;
	comparison_say(comparison, relation, "reserve ");
	say_reserve(old, comparison->out);
	fputs(" -> ", comparison->out);
	say_reserve(new, comparison->out);
}

static void compare_times(struct comparison *comparison, const struct grant *old,
			  const struct grant *new)
{
	enum relation hours =
		compare_hours(&old->hours, old->zone.text, &new->hours, new->zone.text);

	if (hours == SAME)
		return;
	comparison_say(comparison, hours, "hours ");
	say_hours(&old->hours, old->zone.text, comparison->out);
	fputs(" -> ", comparison->out);
	say_hours(&new->hours, new->zone.text, comparison->out);
}

static void compare_days(struct comparison *comparison, const struct validity *old,
			 const struct validity *new)
{
	enum relation relation = compare_validity(old, new);

	if (relation == SAME)
		return;
	comparison->moves = true;
	comparison_say(comparison, relation, "valid ");
	say_validity(old, comparison->out);
	fputs(" -> ", comparison->out);
	say_validity(new, comparison->out);
}

static void compare_classes(struct comparison *comparison, const struct names *old,
			    const struct names *new)
{
	if (names_are_equal(old, new))
		return;
	comparison->moves = true;
	comparison_say(comparison, UNLIKE, "class ");
	say_names(old, comparison->out);
	fputs(" -> ", comparison->out);
	say_names(new, comparison->out);
}

static int compare_grants(struct walk *walk, struct comparison *comparison, size_t before,
			  size_t after)
{
	const struct grant *old = &walk->before->grants[before], *new = &walk->after->grants[after];
	enum relation relation = compare_endpoints(&old->endpoints, &new->endpoints);

	compare_reach(comparison, "service", &old->services, &new->services);
	compare_reach(comparison, "partner", &old->partners, &new->partners);
	if (relation != SAME) {
		comparison->moves = true;
		comparison_say(comparison, relation, "ports ");
		say_endpoints(&old->endpoints, comparison->out);
		fputs(" -> ", comparison->out);
		say_endpoints(&new->endpoints, comparison->out);
	}
	compare_budget_of(comparison, "budget", &old->budget, &new->budget);
	compare_reserves(comparison, &old->reserve, &new->reserve);
	compare_times(comparison, old, new);
	compare_days(comparison, &old->validity, &new->validity);
	relation = compare_breach(old->on_breach, new->on_breach);
	if (relation != SAME)
		comparison_say(comparison, relation, "on_breach %s -> %s",
			       breach_name(old->on_breach), breach_name(new->on_breach));
	comparison->moves |= old->mode != new->mode;
	if (old->mode != new->mode)
		comparison_say(comparison, UNLIKE, "mode %s -> %s%s", mode_name(old->mode),
			       mode_name(new->mode),
			       new->mode == WEIR_OBSERVE ? ": it decides nothing any more" : "");
	compare_classes(comparison, &old->classes, &new->classes);
	/* wider or narrower by its reach alone, it may give room to another grant or take it */
	if (comparison->relation != SAME && comparison->relation != UNLIKE &&
	    (compare_selectors(&old->services, &new->services) != SAME ||
	     compare_selectors(&old->partners, &new->partners) != SAME ||
	     compare_endpoints(&old->endpoints, &new->endpoints) != SAME) &&
	    (!grant_only_adds(walk, walk->before, old) || !grant_only_adds(walk, walk->after, new)))
		comparison->relation = UNLIKE;
	return 0;
}

static size_t service_count(const struct policy *policy)
{
	return policy->service_count;
}

static const char *service_name(const struct policy *policy, size_t i)
{
	return policy->services[i].name.text;
}

static char *words_of_service(const struct policy *policy, size_t i)
{
	return service_words(&policy->services[i]);
}

static bool never_sure(struct walk *walk, const struct policy *in, const struct policy *of,
		       size_t i)
{
	(void)walk, (void)in, (void)of, (void)i;
	return false;
}

static int compare_services(struct walk *walk, struct comparison *comparison, size_t before,
			    size_t after)
{
	const struct service *old = &walk->before->services[before],
			     *new = &walk->after->services[after];

	if (!names_are_equal(&old->cgroups, &new->cgroups)) {
		comparison->moves = true;
		comparison_say(comparison, UNLIKE, "cgroup ");
		say_names(&old->cgroups, comparison->out);
		fputs(" -> ", comparison->out);
		say_names(&new->cgroups, comparison->out);
	}
	compare_budget_of(comparison, "budget", &old->budget, &new->budget);
	if (old->mode != new->mode)
		comparison_say(comparison, new->mode == WEIR_OBSERVE ? MORE : LESS, "mode %s -> %s",
			       mode_name(old->mode), mode_name(new->mode));
	if (old->strangers.is_given || new->strangers.is_given)
		compare_strangers_of(
			comparison, "strangers: ",
			old->strangers.is_given ? &old->strangers : &walk->before->strangers,
			new->strangers.is_given ? &new->strangers : &walk->after->strangers);
	compare_classes(comparison, &old->classes, &new->classes);
	return 0;
}

static size_t partner_count(const struct policy *policy)
{
	return policy->partner_count;
}

static const char *partner_name(const struct policy *policy, size_t i)
{
	return policy->partners[i].name.text;
}

static char *words_of_partner(const struct policy *policy, size_t i)
{
	return partner_words(&policy->partners[i]);
}

static bool partner_adds(struct walk *walk, const struct policy *in, const struct policy *of,
			 size_t i)
{
	(void)in;
	return addresses_only_add(walk, of->partners[i].name.text, &of->partners[i].addresses);
}

static void say_moved(struct walk *walk, struct comparison *comparison, const char *name,
		      const struct prefixes *moved, enum relation relation, const char *what)
{
	if (!moved->count)
		return;
	comparison->moves = true;
	if (!addresses_only_add(walk, name, moved))
		relation = UNLIKE;
	comparison_say(comparison, relation, "%zu prefix%s %s (", moved->count,
		       moved->count == 1 ? "" : "es", what);
	say_prefixes(moved, comparison->out);
	fputs(")", comparison->out);
}

/* It lets nothing leave and holds nothing back, but who may be cut for a drill is worth a line. */
static void compare_drills(struct comparison *comparison, const struct drill *old,
			   const struct drill *new)
{
	if (old->is_allowed == new->is_allowed &&
	    old->port == new->port &&memcmp(old->address, new->address, sizeof(old->address)) == 0)
		return;
	comparison_say(comparison, UNLIKE, "drill ");
	say_drill(old, comparison->out);
	fputs(" -> ", comparison->out);
	say_drill(new, comparison->out);
}

static int compare_partners(struct walk *walk, struct comparison *comparison, size_t before,
			    size_t after)
{
	const struct partner *old = &walk->before->partners[before],
			     *new = &walk->after->partners[after];
	struct prefixes added = {0}, removed = {0};
	int r = compare_prefixes(&old->addresses, &new->addresses, &added, &removed);

	if (r == 0) {
		say_moved(walk, comparison, new->name.text, &added, MORE, "more");
		say_moved(walk, comparison, old->name.text, &removed, LESS, "less");
		compare_budget_of(comparison, "budget", &old->budget, &new->budget);
		compare_days(comparison, &old->validity, &new->validity);
		compare_classes(comparison, &old->classes, &new->classes);
		compare_drills(comparison, &old->drill, &new->drill);
	}
	free(added.item);
	free(removed.item);
	return r;
}

const struct kind difference_kinds[DIFFERENCE_KINDS] = {
	{"service", "all meters of its grants and its own", service_count, service_name,
	 words_of_service, never_sure, compare_services},
	{"partner", "all meters of its grants and its own", partner_count, partner_name,
	 words_of_partner, partner_adds, compare_partners},
	{"grant", "its meters", grant_count, grant_name, words_of_grant, grant_adds,
	 compare_grants},
};
