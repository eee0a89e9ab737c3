/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * verdict.bpf.h - the decision: a question in, an answer out, from the tables of one generation.
 *
 * Pure: no context, no clock, no counter. Every hook asks it, so no two hooks can disagree;
 * user/policy/explain.c gives the same answers from the same tables, and a test holds them
 * together.
 *
 * lifeline > cut > grant > stranger. What a table does not hold is refused.
 */
#ifndef WEIR_VERDICT_BPF_H
#define WEIR_VERDICT_BPF_H

#include "orders.bpf.h"

/* ---- which grant
 * -------------------------------------------------------------------------------*/

struct grant_search {
	__u64 wall_ns;
	__u64 edge_ns; /* wall: the next opening or closing that may change the answer */
	__u32 slot;
	__u32 first;
	__u32 grant;
	__u32 shadow;
	__u16 port;
	__u8 protocol;
	__u8 direction;
	__u8 is_held;
	__u8 is_expired; /* the partner's from/until: nothing may match */
	__u8 hours_closed;
	__u8 reason;
};

/* Whether `wall` lies in one of the intervals; *edge gets the next change. */
static __always_inline bool hours_are_open(__u32 slot, const struct weir_grant *g, __u64 wall,
					   __u64 *edge)
{
	__u32 low = 0, high, first;

	if (!g || !edge)
		return false;
	first = g->hours_first;
	high = g->hours_count;
	*edge = FOREVER;
	/* 2^20 intervals at most: the first that ends after `wall` */
	for (int i = 0; i < 20 && low < high; i++) {
		__u32 middle = low + (high - low) / 2;
		const struct weir_interval *at = interval_get(slot, first + middle);

		if (!at)
			return false;
		if (at->until_ns > wall)
			high = middle;
		else
			low = middle + 1;
	}
	if (low < g->hours_count) {
		const struct weir_interval *at = interval_get(slot, first + low);

		if (!at)
			return false;
		*edge = at->from_ns > wall ? at->from_ns : at->until_ns;
		return at->from_ns <= wall;
	}
	return false;
}

static __always_inline bool rule_matches(const struct weir_rule *r, const struct grant_search *s)
{
	if (r->protocol != s->protocol || s->port < r->port_first || s->port > r->port_last)
		return false;
	if (r->direction == WEIR_CALLS_BACK)
		return s->direction == WEIR_CALLS && s->is_held;
	return r->direction == s->direction;
}

static long grant_step(__u32 index, struct grant_search *s)
{
	const struct weir_rule *r = rule_get(s->slot, s->first + index);
	const struct weir_grant *g;
	__u64 edge;

	if (!r)
		return 1;
	if (!rule_matches(r, s))
		return 0;
	if (s->is_expired) {
		s->reason = WEIR_REASON_EXPIRED;
		return 1;
	}
	g = grant_get(s->slot, r->grant);
	if (!g)
		return 1;
	if (g->hours_count) {
		bool is_open = hours_are_open(s->slot, g, s->wall_ns, &edge);

		if (edge < s->edge_ns)
			s->edge_ns = edge;
		if (!is_open || s->hours_closed) {
			s->reason = WEIR_REASON_HOURS;
			return 0;
		}
	}
	if (g->mode == WEIR_OBSERVE) {
		if (s->shadow == WEIR_NO_GRANT)
			s->shadow = r->grant;
		return 0;
	}
	s->grant = r->grant;
	s->direction = r->direction;
	s->reason = WEIR_REASON_GRANT;
	return 1;
}

/* Fills in the answer's grant, shadow, direction, reason. Returns the next change in wall time. */
WEIR_FUNCTION __u64 grant_find(const struct weir_question *q, struct weir_answer *a,
			       const struct weir_control *control)
{
	const struct weir_partner *partner;
	struct grant_search s = {};
	struct weir_span *span;
	struct weir_pair pair = {};
	void *table;

	if (!q || !a || !control)
		return FOREVER;
	a->reason = WEIR_REASON_STRANGER;
	if (a->partner == WEIR_NO_PARTNER)
		return FOREVER;
	a->reason = WEIR_REASON_NO_GRANT;
	s.slot = a->policy_slot; /* a key lies on this stack: older verifiers take no other */
	partner = partner_get(s.slot, a->partner);
	table = bpf_map_lookup_elem(&pairs, &s.slot);
	if (!partner || !table)
		return FOREVER;
	pair.service = q->service;
	pair.profile = partner->profile;
	span = bpf_map_lookup_elem(table, &pair);
	if (!span)
		return FOREVER;

	s.wall_ns = q->now_ns + control->wall_offset_ns;
	s.edge_ns = partner->until_ns;
	if (s.wall_ns < partner->from_ns) {
		s.is_expired = 1;
		s.edge_ns = partner->from_ns;
	} else if (s.wall_ns >= partner->until_ns) {
		s.is_expired = 1;
		s.edge_ns = FOREVER;
	}
	s.hours_closed = !!control->hours_closed;
	s.first = span->first;
	s.port = q->port;
	s.protocol = q->protocol;
	s.direction = q->direction;
	s.is_held = q->is_held;
	s.reason = WEIR_REASON_NO_GRANT;
	s.shadow = WEIR_NO_GRANT + hidden_zero(span->count);
	bpf_loop(span->count, grant_step, &s, 0);
	a->grant = s.grant;
	a->shadow = s.shadow;
	a->reason = s.reason;
	if (s.grant != WEIR_NO_GRANT)
		a->direction = s.direction;
	return s.edge_ns;
}

/* ---- the lifeline
 * -------------------------------------------------------------------------------*/

struct lifeline_search {
	__u32 slot;
	__u32 first;
	__u32 service; /* WEIR_ANY: the edge does not know it */
	__u32 found;   /* index of the rule + 1 */
	__u16 port;    /* of a serves rule: ours */
	__u16 port2;   /* of a calls rule: theirs */
	__u8 protocol;
	__u8 directions; /* bit per enum weir_direction */
};

static long lifeline_step(__u32 index, struct lifeline_search *s)
{
	const struct weir_lifeline_rule *r = lifeline_get(s->slot, s->first + index);
	__u16 port;

	if (!r)
		return 1;
	port = r->direction == WEIR_SERVES ? s->port : s->port2;
	if (r->protocol != s->protocol || !(s->directions >> (r->direction & 7) & 1) ||
	    port < r->port_first || port > r->port_last ||
	    (s->service != WEIR_ANY && s->service != r->service))
		return 0;
	s->found = s->first + index + 1;
	return 1;
}

WEIR_FUNCTION bool lifeline_find(const struct weir_question *q, struct weir_answer *a)
{
	struct lifeline_search s = {};
	struct weir_span span;

	if (!q || !a)
		return false;
	span = lifeline_of(a->policy_slot, (const struct weir_address *)q->peer);
	if (!span.count)
		return false;
	s.slot = a->policy_slot;
	s.first = span.first;
	s.service = q->service;
	s.port = q->port;
	s.port2 = q->port;
	s.protocol = q->protocol;
	s.directions = 1 << (q->direction & 1);
	bpf_loop(span.count, lifeline_step, &s, 0);
	if (!s.found)
		return false;
	a->lifeline = s.found - 1;
	return true;
}

/* ---- the decision
 * ---------------------------------------------------------------------------------*/

static __always_inline void answer_stranger(const struct weir_question *q, struct weir_answer *a,
					    const struct weir_service *service)
{
	__u8 rule = q->direction == WEIR_SERVES ? service->strangers.serves_rule
						: service->strangers.calls_rule;

	/* A grant that is closed at this hour is no stranger's: out of hours means nothing at all.
	 */
	if (a->reason == WEIR_REASON_HOURS)
		rule = WEIR_DENY;
	a->verdict = rule == WEIR_DENY ? WEIR_REFUSE : WEIR_PASS;
}

static __always_inline __u64 account_group(const struct weir_answer *a)
{
	const struct weir_grant *grant;

	switch (a->reason) {
	case WEIR_REASON_LIFELINE:
		return WEIR_KEY_LIFELINE;
	case WEIR_REASON_CUT:
		return WEIR_KEY_REFUSED;
	case WEIR_REASON_STACK:
		return WEIR_KEY_STACK;
	case WEIR_REASON_GRANT:
		grant = grant_get(a->policy_slot, a->grant);
		return grant ? grant->key : WEIR_KEY_REFUSED;
	}
	return WEIR_KEY_STRANGERS;
}

/* Decides. q and a lie on the caller's stack; `active` is the commit word as the caller read it. */
WEIR_FUNCTION int verdict_decide(const struct weir_question *q, struct weir_answer *a, __u64 active)
{
	const struct weir_control *control = control_get();
	const struct weir_policy_head *head;
	const struct weir_service *service;
	const struct weir_partner *partner;
	__u64 edge, end, order;
	__u32 slot = weir_policy_slot(active), cut_slot;

	if (!q || !a)
		return 0;
	cut_slot = q->cut_slot == WEIR_ANY ? weir_cut_slot(active) : q->cut_slot;
	__builtin_memset(a, 0, sizeof(*a));
	a->generation = weir_generation(active);
	a->policy_slot = slot;
	a->service = q->service;
	a->direction = q->direction;
	a->valid_until_ns = FOREVER;
	a->verdict = WEIR_REFUSE;
	a->reason = WEIR_REASON_UNCLASSIFIED;
	head = bpf_map_lookup_elem(&policy_heads, &slot);
	service = service_get(slot, q->service);
	if (!control || !head || !service)
		return 0;
	partner_find(q, a, cut_slot);
	partner = partner_get(slot, a->partner);
	if (!partner)
		return 0;
	a->observe =
		control->observe || head->mode == WEIR_OBSERVE || service->mode == WEIR_OBSERVE;

	if (lifeline_find(q, a)) {
		a->verdict = WEIR_PASS;
		a->reason = WEIR_REASON_LIFELINE;
		goto out;
	}
	edge = grant_find(q, a, control);
	end = override_find(a, cut_slot, q->now_ns);
	if (end < edge)
		edge = end;
	if (edge != FOREVER && edge - control->wall_offset_ns < a->valid_until_ns)
		a->valid_until_ns = edge - control->wall_offset_ns;
	order = cut_find(q, a, cut_slot);
	if (order) {
		a->order = order;
		a->reason = WEIR_REASON_CUT;
		a->observe = 0;
	} else if (q->service == WEIR_SERVICE_STACK) {
		a->verdict = WEIR_PASS;
		a->reason = WEIR_REASON_STACK;
	} else if (a->grant != WEIR_NO_GRANT) {
		a->verdict = WEIR_PASS;
	} else {
		answer_stranger(q, a, service);
	}
out:
	a->account = weir_meter_key(account_group(a), service->key, partner->key);
	return 0;
}

#endif
