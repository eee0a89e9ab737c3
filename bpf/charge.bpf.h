/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * charge.bpf.h - an answer and a packet's bytes -> the meters they meet, charged all or none.
 */
#ifndef WEIR_CHARGE_BPF_H
#define WEIR_CHARGE_BPF_H

#include "hash.bpf.h"
#include "meter.bpf.h"
#include "emit.bpf.h"
#include "verdict.bpf.h"

/* Segments without payload: on an established connection per socket, before that per account. */
#define BARE_BYTES   (64 * 1024)
#define BARE_SHARE   32
#define BARE_SEGMENT 100
/* What passes without a budget has a rate: handshakes, the kernel's own packets, DHCP. */
#define RATE_BYTES     (1024 * 1024)
#define RATE_WINDOW_NS (10 * NS_PER_SECOND)
#define DHCP_BYTES     (64 * 1024)
#define DHCP_WINDOW_NS (600 * NS_PER_SECOND)

/* The number of a stranger's slot. */
static __always_inline __u32 peer_place(const struct weir_answer *a, __u64 service_key,
					const struct weir_address *peer)
{
	__u64 high, low;

	weir_stranger(peer->byte, &high, &low);
	return (__u32)keyed_hash(service_key, high, low, a->direction != WEIR_SERVES) &
	       (WEIR_STRANGER_SLOTS - 1);
}

/* A stranger's slot, which a packet meets now. */
static __always_inline struct weir_meter *peer_meet(__u32 place, __u64 now_ns)
{
	__u64 *met_ns = bpf_map_lookup_elem(&strangers_met, &place);

	if (!met_ns)
		return NULL;
	*met_ns = now_ns;
	return bpf_map_lookup_elem(&strangers, &place);
}

/* Index of an account's counters: 0 for WEIR_SERVES, 1 for both ways of calling. Without a branch,
 * or the verifier would follow all that comes after it twice. */
static __always_inline __u8 counters_of(const struct weir_answer *a)
{
	return (a->direction | a->direction >> 1) & 1;
}

static __always_inline bool limits_are_set(const struct weir_limits *l)
{
	return l->window[0].window_ns != 0;
}

static __always_inline void claim_set(struct claim *k, struct weir_meter *meter,
				      const struct weir_limits *limits, __u8 on_breach, __u8 reason)
{
	k->meter = meter;
	k->limits = limits;
	k->refuses = on_breach != WEIR_ALERT;
	k->on_breach = on_breach;
	k->reason = reason;
}

/*
 * A claim of a meter that several answers share. Without limits the account stands for it, with the
 * unset limits and not without: both ways look the same to the verifier, which then goes on once.
 */
static __always_inline bool claim_joint(struct charge *c, int claim, __u64 grant_key,
					__u64 service_key, __u64 partner_key,
					const struct weir_limits *limits, __u8 on_breach,
					__u8 reason)
{
	struct weir_meter *meter = c->account;

	if (limits_are_set(limits))
		meter = meter_of(grant_key, service_key, partner_key);
	if (!meter)
		return false;
	claim_set(&c->claim[claim], meter, limits, on_breach, reason);
	return true;
}

/* False: a meter that a limit needs could not be had. */
static __always_inline bool claim_own(struct charge *c, const struct weir_answer *a,
				      const struct weir_service *service,
				      const struct weir_address *peer)
{
	const struct weir_strangers *s = &service->strangers;
	const struct weir_limits *l;
	struct weir_meter *meter;
	const struct weir_grant *grant;

	if (a->reason == WEIR_REASON_LIFELINE) {
		const struct weir_lifeline_rule *rule = lifeline_get(a->policy_slot, a->lifeline);

		if (rule && limits_are_set(&rule->warn))
			claim_set(&c->claim[CLAIM_OWN], c->account, &rule->warn, WEIR_ALERT,
				  WEIR_REASON_LIFELINE);
		return true;
	}
	if (a->reason == WEIR_REASON_GRANT) {
		grant = grant_get(a->policy_slot, a->grant);
		if (!grant)
			return false;
		/* Without a budget it still has a latch. */
		claim_set(&c->claim[CLAIM_OWN], c->account, &grant->budget, grant->on_breach,
			  WEIR_REASON_BUDGET);
		c->overrule = a->overrule;
		return true;
	}
	meter = peer_meet(peer_place(a, service->key, peer), c->now_ns);
	if (!meter)
		return false;
	c->telling = meter;
	meter->service_key = service->key;
	meter->grant_key = WEIR_KEY_PEER;
	l = a->direction == WEIR_SERVES ? &s->serves : &s->calls;
	if (limits_are_set(l)) {
		claim_set(&c->claim[CLAIM_OWN], meter, l, s->on_breach, WEIR_REASON_PEER_BUDGET);
		c->claim[CLAIM_OWN].is_shared = 1;
	}
	return claim_joint(c, CLAIM_TOTAL, WEIR_KEY_TOTAL, service->key, 0, &s->total, s->on_breach,
			   WEIR_REASON_TOTAL_BUDGET);
}

static __always_inline bool claim_ceilings(struct charge *c, const struct weir_service *service,
					   const struct weir_partner *partner)
{
	return claim_joint(c, CLAIM_SERVICE, WEIR_KEY_CEILING, service->key, 0, &service->ceiling,
			   WEIR_HOLD, WEIR_REASON_SERVICE_BUDGET) &&
	       claim_joint(c, CLAIM_PARTNER, WEIR_KEY_CEILING, 0, partner->key, &partner->ceiling,
			   WEIR_HOLD, WEIR_REASON_PARTNER_BUDGET);
}

/* Whether a lease lies in a window that would be remade, and could not be given back to it then. */
WEIR_FUNCTION bool meter_is_lent(const struct weir_meter *m, const struct weir_limits *l)
{
	__u64 differ = 0;

	if (!m || !l || !m->leases)
		return false;
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++)
		differ |= m->window[i].window_ns ^ l->window[i].window_ns;
	return differ != 0;
}

static __always_inline bool claims_are_lent(const struct charge *c)
{
#pragma unroll
	for (int i = 0; i < WEIR_CLAIMS; i++)
		if (limits_are_set(c->claim[i].limits) &&
		    meter_is_lent(c->claim[i].meter, c->claim[i].limits))
			return true;
	return false;
}

static __always_inline void claims_fit(struct charge *c, __u32 generation)
{
#pragma unroll
	for (int i = 0; i < WEIR_CLAIMS; i++)
		if (limits_are_set(c->claim[i].limits))
			meter_fit(c->claim[i].meter, c->claim[i].limits, c->claim[i].is_shared,
				  c->now_ns, generation);
}

WEIR_FUNCTION int charge_tell(const struct charge_note *note, const struct weir_answer *a,
			      const struct parcel *p, const struct weir_socket *socket)
{
	struct weir_event *e;

	if (!note || !a || !p)
		return 0;
	e = event_reserve(a, note->event, p->now_ns);
	if (!e)
		return 0;
	event_peer(e, &p->peer, p->peer_port, p->local_port, p->protocol);
	__builtin_memcpy(e->local, &p->local, sizeof(e->local));
	event_socket(e, socket);
	e->bytes = p->bytes;
	e->untold = note->untold;
	e->reason = note->reason;
	if (note->grant_key) {
		e->grant_key = note->grant_key;
		e->account = note->account;
	}
	e->limit_bytes = note->limit_bytes;
	e->window_ns = note->window_ns;
	e->used_bytes = note->used_bytes;
	if (note->event == WEIR_EVENT_REFUSED || note->event == WEIR_EVENT_HELD ||
	    note->event == WEIR_EVENT_SEVERED)
		e->verdict = WEIR_REFUSE;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* Whether the parcel stays inside the rate of (group, service, partner): one fixed window. */
WEIR_FUNCTION bool rate_passes(__u64 group, __u64 service_key, __u64 partner_key,
			       const struct parcel *p)
{
	__u64 window_ns = group == WEIR_KEY_DHCP ? DHCP_WINDOW_NS : RATE_WINDOW_NS;
	__u64 bytes = group == WEIR_KEY_DHCP ? DHCP_BYTES : RATE_BYTES;
	struct weir_meter *meter = meter_of(group, service_key, partner_key);
	struct lock_value *held = meter_lock_get();
	struct weir_window *w;
	bool passes;
	__u32 head;

	if (!meter || !held || !p)
		return false;
	w = &meter->window[0];
	bpf_spin_lock(&held->lock);
	held->charges++;
	if (w->window_ns != window_ns)
		window_clear(w, window_ns, p->now_ns);
	window_advance(w, p->now_ns);
	head = w->head;
	passes = w->used_bytes + p->bytes <= bytes;
	if (passes && head < WEIR_SLICES) {
		w->used_bytes += p->bytes;
		w->slice[head] += p->bytes;
	}
	bpf_spin_unlock(&held->lock);
	return passes;
}

/* Segments without payload and the kernel's own packets: in no budget, but not without end. */
WEIR_FUNCTION bool bare_passes(const struct weir_answer *a, const struct parcel *p, __u64 allowance,
			       struct weir_socket *socket)
{
	const struct weir_service *service;
	const struct weir_partner *partner;

	if (!a || !p)
		return false;
	service = service_get(a->policy_slot, a->service);
	partner = partner_get(a->policy_slot, a->partner);
	if (!service || !partner)
		return false;
	if (a->reason == WEIR_REASON_LIFELINE)
		return true;
	if (a->reason == WEIR_REASON_STACK)
		return rate_passes(WEIR_KEY_STACK, service->key, partner->key, p);
	if (p->is_established && socket)
		return __sync_fetch_and_add(&socket->bare_bytes, p->bytes) + p->bytes <= allowance;
	return rate_passes(WEIR_KEY_HANDSHAKE, service->key, partner->key, p);
}

/* Whether a latch holds what the answer lets pass: the account's own, or for strangers that of the
 * peer's slot or of all of them. */
static __always_inline bool answer_is_severed(const struct weir_answer *a,
					      const struct weir_address *peer)
{
	__u64 account = a->account, total;
	__u32 place;
	const struct weir_meter *meter = bpf_map_lookup_elem(&meters, &account);
	const struct weir_service *service;

	if (a->verdict != WEIR_PASS || a->reason == WEIR_REASON_LIFELINE)
		return false;
	if (meter && meter->severed_ns)
		return true;
	service = service_get(a->policy_slot, a->service);
	if (!service || a->reason == WEIR_REASON_GRANT || a->reason == WEIR_REASON_STACK)
		return false;
	place = peer_place(a, service->key, peer);
	meter = bpf_map_lookup_elem(&strangers, &place);
	if (meter && meter->severed_ns)
		return true;
	total = weir_meter_key(WEIR_KEY_TOTAL, service->key, 0);
	meter = bpf_map_lookup_elem(&meters, &total);
	return meter && meter->severed_ns;
}

/* What has no payload, or is the kernel's own: in no budget. */
static __always_inline void charge_bare(struct charge *c, const struct weir_answer *a,
					const struct parcel *p, __u64 allowance,
					struct weir_socket *socket)
{
	if (p->is_urgent)
		return;
	if (c->account->severed_ns) { /* the connection is over */
		c->is_refused = 1;
		c->is_observed = 0;
		c->reason = WEIR_REASON_SEVERED;
	} else if (!bare_passes(a, p, allowance, socket)) {
		c->is_refused = 1;
		c->reason = WEIR_REASON_NO_PAYLOAD;
	}
}

/* The account of an answer, made on first use. */
static __always_inline struct weir_meter *account_get(const struct weir_answer *a,
						      const struct weir_service *service,
						      const struct weir_partner *partner)
{
	__u64 account = a->account;
	struct weir_meter *meter = bpf_map_lookup_elem(&meters, &account);

	return meter ? meter : meter_of(account_group(a), service->key, partner->key);
}

/*
 * Counts and tells a refusal that the answer has made already; no meter is asked. One that no
 * packet stands for (connect, sendmsg) comes with no bytes. True: it passes all the same (observe).
 */
WEIR_FUNCTION bool charge_refusal(const struct weir_answer *a, const struct parcel *p,
				  const struct weir_socket *socket)
{
	struct lock_value *held = meter_lock_get();
	const struct weir_service *service;
	const struct weir_partner *partner;
	struct charge_note note;
	struct charge c = {};

	if (!a || !p || !held)
		return false;
	service = service_get(a->policy_slot, a->service);
	partner = partner_get(a->policy_slot, a->partner);
	if (!service || !partner) {
		loss_count(WEIR_LOST_HOOK);
		return false;
	}
	c.account = account_get(a, service, partner);
	c.telling = c.account;
	c.now_ns = p->now_ns;
	c.bytes = p->bytes;
	c.direction = counters_of(a);
	if (!c.account) /* counted in WEIR_LOST_METERS_FULL */
		return a->observe;
	bpf_spin_lock(&held->lock);
	held->charges++;
	__builtin_memset(&held->note, 0, sizeof(held->note));
	held->note.reason = a->reason;
	charge_count(&c, &held->note, true, a->observe);
	note = held->note;
	bpf_spin_unlock(&held->lock);
	if (note.event)
		charge_tell(&note, a, p, socket);
	return a->observe;
}

/*
 * A grant in observe: its meter runs, and what it would have refused is told. Decides nothing.
 * False: there is no such grant, or no room for its meter.
 */
static __always_inline bool charge_begin_shadow(struct charge *c, const struct weir_answer *a,
						const struct weir_service *service,
						const struct weir_partner *partner)
{
	const struct weir_grant *grant = grant_get(a->policy_slot, a->shadow);

	if (!grant || !charge_begin(c, meter_of(grant->key, service->key, partner->key)))
		return false;
	c->is_observed = 1;
	c->is_shadow = 1;
	claim_set(&c->claim[CLAIM_OWN], c->account, &grant->budget, WEIR_HOLD, WEIR_REASON_BUDGET);
	return true;
}

/* What is nearly used up, when there is nothing else to tell. */
static __always_inline void claims_watch(struct charge *c)
{
#pragma unroll
	for (int i = 0; i < WEIR_CLAIMS; i++) {
		c->note.overrule = i == CLAIM_OWN ? c->overrule : 0;
		if (!c->note.event && limits_are_set(c->claim[i].limits))
			meter_watch(c->claim[i].meter, c->claim[i].limits, &c->note, c->now_ns,
				    c->claim[i].reason);
	}
}

/* An event about the grant that observes, not about the one that decided. */
static __always_inline void shadow_note(struct charge_note *note, const struct weir_answer *a,
					const struct weir_service *service,
					const struct weir_partner *partner)
{
	const struct weir_grant *grant = grant_get(a->policy_slot, a->shadow);

	if (!grant)
		return;
	note->grant_key = grant->key;
	note->account = weir_meter_key(grant->key, service->key, partner->key);
}

/* The claims of what passes by its answer. */
static __always_inline void charge_claim(struct charge *c, const struct weir_answer *a,
					 const struct weir_service *service,
					 const struct weir_partner *partner,
					 const struct weir_address *peer)
{
	if (claim_own(c, a, service, peer) &&
	    (a->reason == WEIR_REASON_LIFELINE || claim_ceilings(c, service, partner)))
		return;
	charge_begin(c, c->account); /* no claim stands */
	c->is_refused = 1;
	c->reason = WEIR_REASON_METERS_FULL;
}

/*
 * Charges a parcel that the answer lets pass, and tells what there is to tell: enum charged.
 * `allowance` is what an established connection may send without payload. With p->is_shadow only
 * the grant that observes is charged.
 */
WEIR_FUNCTION int charge_parcel(const struct weir_answer *a, const struct parcel *p,
				__u64 allowance, struct weir_socket *socket)
{
	const struct weir_service *service;
	const struct weir_partner *partner;
	struct charge c = {};
	int charged;

	if (!a || !p)
		return CHARGE_REFUSED;
	service = service_get(a->policy_slot, a->service);
	partner = partner_get(a->policy_slot, a->partner);
	if (!service || !partner) {
		loss_count(WEIR_LOST_HOOK);
		return CHARGE_REFUSED;
	}
	c.now_ns = p->now_ns;
	c.bytes = p->bytes;
	c.direction = counters_of(a);
	c.is_established = p->is_established;
	c.is_urgent = p->is_urgent;
	c.is_observed = a->observe;
	c.is_final = p->is_final;
	c.reason = a->reason;
	if (p->is_shadow) {
		if (!charge_begin_shadow(&c, a, service, partner))
			return CHARGE_PASSES;
	} else if (!charge_begin(&c, account_get(a, service, partner))) { /* counted */
		return p->is_urgent || a->observe || a->reason == WEIR_REASON_LIFELINE
			       ? CHARGE_PASSES
			       : CHARGE_REFUSED;
	} else if (p->is_bare || p->is_urgent || a->reason == WEIR_REASON_STACK) {
		charge_bare(&c, a, p, allowance, socket);
	} else if (a->reason != WEIR_REASON_LIFELINE && is_frozen(p->now_ns)) {
		c.is_refused = 1;
		c.reason = WEIR_REASON_FROZEN;
	} else {
		charge_claim(&c, a, service, partner, &p->peer);
	}
	if (!c.is_final && claims_are_lent(&c))
		return CHARGE_SHORT;
	claims_fit(&c, a->generation);
	charged = meter_charge(&c);
	if (charged == CHARGE_SHORT)
		return charged;
	claims_watch(&c);
	if (c.is_shadow)
		shadow_note(&c.note, a, service, partner);
	if (c.note.event)
		charge_tell(&c.note, a, p, socket);
	return charged;
}

#endif
