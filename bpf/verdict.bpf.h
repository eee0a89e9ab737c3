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

#include "partner.bpf.h"

/*
 * A zero that the verifier takes for any number; `any` is one that it does not know. What a step of
 * bpf_loop() leaves behind and a later one asks begins with it: before Linux 6.7 (ab5cfac139ab) the
 * verifier walks a step once, with what the first one finds, and removes the branches that this
 * walk does not take.
 */
static __always_inline __u64 hidden_zero(__u64 any)
{
	asm volatile("%0 ^= %0" : "+r"(any));
	return any;
}

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

/* ---- cuts
 * ----------------------------------------------------------------------------------------*/

struct cut_search {
	__u64 high, low; /* the peer */
	__u64 classes[WEIR_CLASS_WORDS];
	__u64 order;
	__u32 base;
	__u32 service;
	__u32 partner;
	__u32 grant;
	__u8 by_address; /* the edge knows neither service nor grant */
	__u8 is_cut;
};

static __always_inline bool prefix_covers(const struct weir_cut_entry *e, __u64 high, __u64 low)
{
	__u64 entry_high = bpf_be64_to_cpu(*(__be64 *)e->address);
	__u64 entry_low = bpf_be64_to_cpu(*(__be64 *)(e->address + 8));
	__u32 bits = e->prefix_bits;

	if (bits > 128)
		return false;
	if (bits > 64)
		return high == entry_high &&
		       (bits == 128 ? low == entry_low
				    : !((low ^ entry_low) >> ((128 - bits) & 63)));
	if (bits == 64)
		return high == entry_high;
	return !bits || !((high ^ entry_high) >> ((64 - bits) & 63));
}

/* What can be told without the peer's address. */
static __always_inline bool names_cover(const struct weir_cut_entry *e, const __u64 *classes,
					__u32 service, __u32 partner, __u32 grant)
{
	__u32 word = e->index / 64;

	switch (e->target) {
	case WEIR_TARGET_ALL:
		return true;
	case WEIR_TARGET_PARTNER:
		return partner == e->index && partner != WEIR_NO_PARTNER;
	case WEIR_TARGET_SERVICE:
		return service == e->index;
	case WEIR_TARGET_GRANT:
		return grant == e->index && grant != WEIR_NO_GRANT;
	case WEIR_TARGET_CLASS:
		if (word >= WEIR_CLASS_WORDS)
			return false;
		return classes[word] >> (e->index % 64) & 1;
	}
	return false;
}

static __always_inline bool target_covers(const struct weir_cut_entry *e,
					  const struct cut_search *s)
{
	if (e->target == WEIR_TARGET_STRANGERS)
		return s->grant == WEIR_NO_GRANT;
	if (e->target == WEIR_TARGET_ADDRESS)
		return prefix_covers(e, s->high, s->low);
	return names_cover(e, s->classes, s->service, s->partner, s->grant);
}

/*
 * By address alone (XDP), a cut of something that only the cgroup hook can see does not count, and
 * an exception for something that it cannot see counts: the packet then goes on to that hook.
 */
static __always_inline bool entry_covers(const struct weir_cut_entry *e, const struct cut_search *s)
{
	bool is_hidden = e->service != WEIR_ANY || e->target == WEIR_TARGET_SERVICE ||
			 e->target == WEIR_TARGET_GRANT ||
			 (e->target == WEIR_TARGET_STRANGERS && s->partner != WEIR_NO_PARTNER) ||
			 (e->target == WEIR_TARGET_CLASS && e->is_exception);

	if (s->by_address)
		return is_hidden ? e->is_exception : target_covers(e, s);
	return (e->service == WEIR_ANY || e->service == s->service) && target_covers(e, s);
}

static long cut_step(__u32 index, struct cut_search *s)
{
	__u32 key = s->base + index;
	const struct weir_cut_entry *e = bpf_map_lookup_elem(&cuts, &key);

	if (!e)
		return 1;
	if (e->is_exception) {
		if (s->is_cut && entry_covers(e, s))
			s->is_cut = 0;
		return 0;
	}
	if (s->is_cut)
		return 1; /* the cut before this one stands */
	s->is_cut = entry_covers(e, s);
	s->order = e->order;
	return 0;
}

static __always_inline bool cut_scan(__u32 slot, struct cut_search *s)
{
	const struct weir_cut_head *head;

	if (slot >= WEIR_CUT_SLOTS)
		return false;
	head = bpf_map_lookup_elem(&cut_heads, &slot);
	if (!head || !head->entries)
		return false;
	s->base = slot * WEIR_CUT_ENTRIES;
	s->is_cut = hidden_zero(head->entries);
	bpf_loop(head->entries, cut_step, s, 0);
	return s->is_cut;
}

static __always_inline void classes_add(__u64 *to, const __u64 *from)
{
#pragma unroll
	for (int i = 0; i < WEIR_CLASS_WORDS; i++)
		to[i] |= from[i];
}

/* The classes of all that an answer names. */
static __always_inline void classes_of(__u64 *classes, const struct weir_answer *a)
{
	const struct weir_service *service = service_get(a->policy_slot, a->service);
	const struct weir_partner *partner = partner_get(a->policy_slot, a->partner);
	const struct weir_grant *grant = grant_get(a->policy_slot, a->grant);

	if (service)
		classes_add(classes, service->classes);
	if (partner)
		classes_add(classes, partner->classes);
	if (grant)
		classes_add(classes, grant->classes);
}

/* The order that cuts this, or 0. */
WEIR_FUNCTION __u64 cut_find(const struct weir_question *q, const struct weir_answer *a, __u32 slot)
{
	struct cut_search s = {};

	if (!q || !a)
		return 0;
	s.high = bpf_be64_to_cpu(*(const __be64 *)q->peer);
	s.low = bpf_be64_to_cpu(*(const __be64 *)(q->peer + 8));
	s.service = a->service;
	s.partner = a->partner;
	s.grant = a->grant;
	classes_of(s.classes, a);
	return cut_scan(slot, &s) ? s.order : 0;
}

/* ---- extensions and pauses
 * ------------------------------------------------------------------------*/

struct override_search {
	__u64 classes[WEIR_CLASS_WORDS];
	__u64 wall_ns;
	__u64 edge_ns; /* wall: when the first of those that count ends */
	__u64 more_bytes;
	__u32 base;
	__u32 partner;
	__u32 grant;
	__u16 service; /* small, as WEIR_MAX_SERVICES is: this lies deep in the stack */
	__u16 is_paused;
};

static long override_step(__u32 index, struct override_search *s)
{
	__u32 key = s->base + index;
	const struct weir_override *o = bpf_map_lookup_elem(&overrides, &key);

	if (!o)
		return 1;
	if (s->wall_ns >= o->until_ns ||
	    (o->at.service != WEIR_ANY && o->at.service != s->service) ||
	    !names_cover(&o->at, s->classes, s->service, s->partner, s->grant))
		return 0;
	if (o->kind == WEIR_ORDER_PAUSE)
		s->is_paused = 1;
	else if (o->kind == WEIR_ORDER_EXTEND && o->grant == s->grant)
		s->more_bytes += o->more_bytes;
	else
		return 0;
	if (o->until_ns < s->edge_ns)
		s->edge_ns = o->until_ns;
	return 0;
}

/* What the answer's service, partner and grant may pass more for now. Returns the next end in wall
 * time. While the clock is in doubt no order loosens: who knows when it would end. */
WEIR_FUNCTION __u64 override_find(struct weir_answer *a, __u32 slot, __u64 now_ns)
{
	const struct weir_control *control = control_get();
	struct override_search s = {};
	const struct weir_cut_head *head;

	if (!a || !control || slot >= WEIR_CUT_SLOTS || control->hours_closed)
		return FOREVER;
	s.base = slot;
	head = bpf_map_lookup_elem(&cut_heads, &s.base);
	if (!head || !head->overrides)
		return FOREVER;
	s.base = slot * WEIR_OVERRIDES;
	s.wall_ns = now_ns + control->wall_offset_ns;
	s.edge_ns = FOREVER - hidden_zero(now_ns);
	s.more_bytes = hidden_zero(now_ns);
	s.is_paused = hidden_zero(now_ns);
	s.service = a->service;
	s.partner = a->partner;
	s.grant = a->grant;
	classes_of(s.classes, a);
	bpf_loop(head->overrides, override_step, &s, 0);
	a->more_bytes = s.more_bytes;
	if (s.is_paused)
		a->observe = 1;
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
	a->partner = partner_of(slot, (const struct weir_address *)q->peer);
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
	if (edge != FOREVER)
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
