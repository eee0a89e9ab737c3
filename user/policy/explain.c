/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * explain.c - the decision in user space: the twin of bpf/verdict.bpf.h.
 *
 * The same steps in the same order over the same tables, so that what people are told is what the
 * kernel does. A test asks both. Whoever changes one changes the other.
 */
#include <string.h>

#include "user/base/address.h"
#include "user/policy/image.h"

#define FOREVER UINT64_MAX

/* ---- which grant
 * -------------------------------------------------------------------------------*/

struct grant_search {
	const struct image *image;
	const struct weir_question *question;
	uint64_t wall_ns;
	uint64_t edge_ns; /* the next opening or closing that may change the answer */
	bool is_expired;  /* the partner's from/until: nothing may match */
	bool hours_closed;
};

static bool rule_matches(const struct weir_rule *rule, const struct weir_question *question)
{
	if (rule->protocol != question->protocol || question->port < rule->port_first ||
	    question->port > rule->port_last)
		return false;
	if (rule->direction == WEIR_CALLS_BACK)
		return question->direction == WEIR_CALLS && question->is_held;
	return rule->direction == question->direction;
}

/* One rule. True when it ends the search. */
static bool try_rule(struct grant_search *s, const struct weir_rule *rule,
		     struct weir_answer *answer)
{
	const struct weir_grant *grant = &s->image->grants[rule->grant];
	uint64_t edge;

	if (!rule_matches(rule, s->question))
		return false;
	if (s->is_expired) {
		answer->reason = WEIR_REASON_EXPIRED;
		return true;
	}
	if (grant->hours_count) {
		bool is_open = image_grant_is_open(s->image, grant, s->wall_ns, &edge);

		if (edge < s->edge_ns)
			s->edge_ns = edge;
		if (!is_open || s->hours_closed) {
			answer->reason = WEIR_REASON_HOURS;
			return false;
		}
	}
	if (grant->mode == WEIR_OBSERVE) {
		if (answer->shadow == WEIR_NO_GRANT)
			answer->shadow = rule->grant;
		return false;
	}
	answer->grant = rule->grant;
	answer->direction = rule->direction;
	answer->reason = WEIR_REASON_GRANT;
	return true;
}

/* Fills in grant, shadow, direction, reason. Returns the next change. */
static uint64_t find_grant(struct grant_search *s, struct weir_answer *answer)
{
	const struct weir_partner *partner = &s->image->partners[answer->partner];
	struct weir_span span;

	answer->reason = WEIR_REASON_STRANGER;
	if (answer->partner == WEIR_NO_PARTNER)
		return FOREVER;
	answer->reason = WEIR_REASON_NO_GRANT;
	span = image_rules_of(s->image, answer->service, partner->profile);
	if (!span.count)
		return FOREVER;
	s->edge_ns = partner->until_ns;
	if (s->wall_ns < partner->from_ns) {
		s->is_expired = true;
		s->edge_ns = partner->from_ns;
	} else if (s->wall_ns >= partner->until_ns) {
		s->is_expired = true;
		s->edge_ns = FOREVER;
	}
	for (uint32_t i = 0; i < span.count; i++) {
		if (try_rule(s, &s->image->rules[span.first + i], answer))
			break;
	}
	return s->edge_ns;
}

/* ---- cuts
 * --------------------------------------------------------------------------------------*/

/* The first cut that none of its exceptions lets back, or 0. */
static uint64_t find_cut(const struct image *image, const struct order_table *cuts,
			 const uint8_t peer[16], const struct weir_answer *answer)
{
	uint64_t order = 0;
	bool is_cut = false;

	for (size_t i = 0; cuts && i < cuts->count; i++) {
		const struct weir_cut_entry *entry = &cuts->entry[i];

		if (entry->is_exception) {
			if (is_cut && image_entry_covers(image, entry, peer, answer))
				is_cut = false;
			continue;
		}
		if (is_cut)
			break;
		is_cut = image_entry_covers(image, entry, peer, answer);
		order = entry->order;
	}
	return is_cut ? order : 0;
}

/* ---- the lifeline
 * ------------------------------------------------------------------------------*/

static bool find_lifeline(const struct image *image, const struct weir_question *question,
			  struct weir_answer *answer)
{
	struct weir_span span = image_lifeline_of(image, question->peer);

	for (uint32_t i = 0; i < span.count; i++) {
		const struct weir_lifeline_rule *rule = &image->lifeline_rules[span.first + i];

		if (rule->service == question->service && rule->direction == question->direction &&
		    rule->protocol == question->protocol && question->port >= rule->port_first &&
		    question->port <= rule->port_last) {
			answer->lifeline = span.first + i;
			return true;
		}
	}
	return false;
}

/* ---- the decision
 * ------------------------------------------------------------------------------*/

static uint64_t account_group(const struct image *image, const struct weir_answer *answer)
{
	switch (answer->reason) {
	case WEIR_REASON_LIFELINE:
		return WEIR_KEY_LIFELINE;
	case WEIR_REASON_CUT:
		return WEIR_KEY_REFUSED;
	case WEIR_REASON_STACK:
		return WEIR_KEY_STACK;
	case WEIR_REASON_GRANT:
		return image->grants[answer->grant].key;
	default:
		return WEIR_KEY_STRANGERS;
	}
}

/* A grant that is closed at this hour is no stranger's: out of hours means nothing at all. */
static uint8_t stranger_verdict(const struct weir_service *service, uint8_t direction,
				uint8_t reason)
{
	uint8_t rule = direction == WEIR_SERVES ? service->strangers.serves_rule
						: service->strangers.calls_rule;

	return rule == WEIR_DENY || reason == WEIR_REASON_HOURS ? WEIR_REFUSE : WEIR_PASS;
}

static void ends_at(struct weir_answer *answer, uint64_t wall_ns)
{
	if (wall_ns < answer->valid_until_ns)
		answer->valid_until_ns = wall_ns;
}

static void find_partner(const struct image *image, const struct order_table *orders,
			 const struct grant_search *search, struct weir_answer *answer)
{
	uint64_t end = UINT64_MAX;

	answer->partner = image_partner_of(image, search->question->peer);
	if (orders && !search->hours_closed && answer->partner == WEIR_NO_PARTNER)
		answer->partner =
			image_partner_added(orders, search->question->peer, search->wall_ns, &end);
	ends_at(answer, end);
}

/* All below the lifeline. */
static void decide_the_rest(const struct image *image, const struct order_table *orders,
			    struct grant_search *search, struct weir_answer *answer)
{
	uint64_t order;

	ends_at(answer, find_grant(search, answer));
	if (orders)
		ends_at(answer,
			image_overrides(image, orders, search->question->peer,
					search->hours_closed ? IMAGE_NO_WALL : search->wall_ns,
					answer));
	order = find_cut(image, orders, search->question->peer, answer);
	if (order) {
		answer->order = order;
		answer->reason = WEIR_REASON_CUT;
		answer->observe = 0;
	} else if (answer->service == WEIR_SERVICE_STACK) {
		answer->verdict = WEIR_PASS;
		answer->reason = WEIR_REASON_STACK;
	} else if (answer->grant != WEIR_NO_GRANT) {
		answer->verdict = WEIR_PASS;
	} else {
		answer->verdict = stranger_verdict(&image->services[answer->service],
						   search->question->direction, answer->reason);
	}
}

void explain_decide(const struct image *image, const struct order_table *orders,
		    const struct weir_question *question, uint64_t wall_ns, bool hours_closed,
		    struct weir_answer *answer)
{
	struct grant_search search = {
		.image = image,
		.question = question,
		.wall_ns = wall_ns,
		.hours_closed = hours_closed,
	};
	const struct weir_service *service;

	*answer = (struct weir_answer){
		.service = question->service,
		.direction = question->direction,
		.valid_until_ns = FOREVER,
		.verdict = WEIR_REFUSE,
		.reason = WEIR_REASON_UNCLASSIFIED,
	};
	if (question->service >= image->head.services)
		return;
	service = &image->services[question->service];
	find_partner(image, orders, &search, answer);
	answer->observe = image->head.mode == WEIR_OBSERVE || service->mode == WEIR_OBSERVE;
	if (find_lifeline(image, question, answer)) {
		answer->verdict = WEIR_PASS;
		answer->reason = WEIR_REASON_LIFELINE;
	} else {
		decide_the_rest(image, orders, &search, answer);
	}
	answer->account = weir_meter_key(account_group(image, answer), service->key,
					 image->partners[answer->partner].key);
}
