/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders.bpf.h - what the orders in force say of an answer: which cut covers it, whose an address
 * is for a while, what extensions, pauses and probations change. Pure, as verdict.bpf.h is.
 */
#ifndef WEIR_ORDERS_BPF_H
#define WEIR_ORDERS_BPF_H

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

/* ---- prefixes that are added to a partner
 * ---------------------------------------------------------*/

struct addition_search {
	__u64 high, low; /* the peer */
	__u64 wall_ns;
	__u64 until_ns; /* wall: the end of the one that was found */
	__u32 base;
	__u32 partner;
};

static long addition_step(__u32 index, struct addition_search *s)
{
	__u32 key = s->base + index;
	const struct weir_override *o = bpf_map_lookup_elem(&overrides, &key);

	if (!o)
		return 1;
	if (o->at.target != WEIR_TARGET_ADDRESS || s->wall_ns >= o->until_ns ||
	    !prefix_covers(&o->at, s->high, s->low))
		return 0;
	s->partner = o->at.index;
	s->until_ns = o->until_ns;
	return 1;
}

/* Whose an address is that the policy gives to none. *until_ns: wall, untouched when it is
 * nobody's. While the clock is in doubt no order loosens. Two orders that overlap are of one
 * partner. */
static __always_inline __u32 partner_added(const struct weir_address *a, __u32 slot, __u64 now_ns,
					   __u64 *until_ns)
{
	const struct weir_control *control = control_get();
	const struct weir_cut_head *head;
	struct addition_search s = {};

	if (!control || slot >= WEIR_CUT_SLOTS || control->hours_closed)
		return WEIR_NO_PARTNER;
	s.base = slot; /* a key lies on this stack: older verifiers take no other */
	head = bpf_map_lookup_elem(&cut_heads, &s.base);
	if (!head || !head->additions)
		return WEIR_NO_PARTNER;
	s.base = slot * WEIR_OVERRIDES;
	s.wall_ns = now_ns + control->wall_offset_ns;
	s.high = bpf_be64_to_cpu(*(const __be64 *)a->byte);
	s.low = bpf_be64_to_cpu(*(const __be64 *)(a->byte + 8));
	s.partner = WEIR_NO_PARTNER + hidden_zero(now_ns);
	bpf_loop(head->additions, addition_step, &s, 0);
	if (s.partner != WEIR_NO_PARTNER)
		*until_ns = s.until_ns;
	return s.partner;
}

/* Fills in the answer's partner, and the end of that. */
WEIR_FUNCTION int partner_find(const struct weir_question *q, struct weir_answer *a, __u32 cut_slot)
{
	const struct weir_control *control = control_get();
	__u64 until_ns = FOREVER;

	if (!q || !a || !control)
		return 0;
	a->partner = partner_of(a->policy_slot, (const struct weir_address *)q->peer);
	if (a->partner == WEIR_NO_PARTNER)
		a->partner = partner_added((const struct weir_address *)q->peer, cut_slot,
					   q->now_ns, &until_ns);
	a->valid_until_ns = until_ns == FOREVER ? FOREVER : until_ns - control->wall_offset_ns;
	return 0;
}

/* The key of the address's partner, which a new policy leaves as it is; 0 for a stranger. */
WEIR_FUNCTION __u64 partner_key_of(const struct weir_address *a, __u64 active, __u64 now_ns)
{
	__u32 slot = weir_policy_slot(active), index;
	const struct weir_partner *partner;
	__u64 until_ns;

	if (!a)
		return 0;
	index = partner_of(slot, a);
	if (index == WEIR_NO_PARTNER)
		index = partner_added(a, weir_cut_slot(active), now_ns, &until_ns);
	partner = partner_get(slot, index);
	return partner ? partner->key : 0;
}

/* ---- extensions, pauses, probations
 * ---------------------------------------------------------------*/

struct override_search {
	__u64 classes[WEIR_CLASS_WORDS];
	__u64 wall_ns;
	__u64 edge_ns; /* wall: when the first of those that count ends */
	__u64 more_bytes;
	__u32 base;
	__u32 partner;
	__u32 grant;
	__u16 service; /* small, as WEIR_MAX_SERVICES is: this lies deep in the stack */
	__u16 is_paused : 1;
	__u16 parts : 15; /* that probations leave of WEIR_WHOLE */
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
	else if (o->kind == WEIR_ORDER_PROBATION && o->parts < s->parts)
		s->parts = o->parts;
	else
		return 0;
	if (o->until_ns < s->edge_ns)
		s->edge_ns = o->until_ns;
	return 0;
}

/* What the orders change for the answer's service, partner and grant. Returns the next end in wall
 * time. While the clock is in doubt no order loosens, as if each that has an end had ended. */
WEIR_FUNCTION __u64 override_find(struct weir_answer *a, __u32 slot, __u64 now_ns)
{
	const struct weir_control *control = control_get();
	struct override_search s = {};
	const struct weir_cut_head *head;

	if (!a || !control || slot >= WEIR_CUT_SLOTS)
		return FOREVER;
	s.base = slot;
	head = bpf_map_lookup_elem(&cut_heads, &s.base);
	if (!head || head->overrides <= head->additions)
		return FOREVER;
	s.base = slot * WEIR_OVERRIDES + head->additions;
	s.wall_ns = control->hours_closed ? FOREVER - 1 : now_ns + control->wall_offset_ns;
	s.edge_ns = FOREVER - hidden_zero(now_ns);
	s.more_bytes = hidden_zero(now_ns);
	s.is_paused = hidden_zero(now_ns);
	s.parts = WEIR_WHOLE + hidden_zero(now_ns);
	s.service = a->service;
	s.partner = a->partner;
	s.grant = a->grant;
	classes_of(s.classes, a);
	bpf_loop(head->overrides - head->additions, override_step, &s, 0);
	a->overrule =
		s.parts < WEIR_WHOLE ? WEIR_PROBATION | s.parts : s.more_bytes % WEIR_PROBATION;
	if (s.is_paused)
		a->observe = 1;
	return s.edge_ns;
}

#endif
