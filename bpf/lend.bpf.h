/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * lend.bpf.h - whose leases begin, and whose are taken back before a packet is refused. What a
 * lease is: lease.bpf.h.
 */
#ifndef WEIR_LEND_BPF_H
#define WEIR_LEND_BPF_H

#include "charge.bpf.h"
#include "lease.bpf.h"

/* Takes back what is lent of the meters that the answer is charged to. Of a grant that observes
 * something is lent only by an earlier policy, in which it decided. */
WEIR_FUNCTION int leases_recall(const struct weir_answer *a, __u64 now_ns)
{
	const struct weir_service *service;
	const struct weir_partner *partner;
	const struct weir_grant *shadow;
	struct recall r = {.now_ns = now_ns};

	if (!a)
		return 0;
	service = service_get(a->policy_slot, a->service);
	partner = partner_get(a->policy_slot, a->partner);
	if (!service || !partner)
		return 0;
	shadow = a->shadow == WEIR_NO_GRANT ? NULL : grant_get(a->policy_slot, a->shadow);
	if (shadow)
		r.shadow = weir_meter_key(shadow->key, service->key, partner->key);
	r.account = a->account;
	r.service_ceiling = weir_meter_key(WEIR_KEY_CEILING, service->key, 0);
	r.partner_ceiling = weir_meter_key(WEIR_KEY_CEILING, 0, partner->key);
	bpf_loop(LEASE_CPUS * WEIR_LEASES, recall_step, &r, 0);
	return 0;
}

/* ---- lending ---------------------------------------------------------------------------------*/

/* What bounds a lease, as far as it is known. */
struct lending {
	__u64 bytes;
	__u64 since_ns; /* lies in the running slice of each window */
	__u64 until_ns; /* when the first of these slices ends */
};

/* The lock is held. */
static __always_inline void lending_bound(struct lending *lending, const struct weir_meter *m,
					  const struct weir_limits *limits, __u64 overrule)
{
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++) {
		const struct weir_window *w = &m->window[i];
		__u64 limit = weir_limit(limits->window[i].bytes, overrule);
		__u64 told = limit_untold(limit), room;

		if (!limits->window[i].window_ns)
			continue;
		room = w->used_bytes <= told   ? told - w->used_bytes
		       : w->used_bytes < limit ? limit - w->used_bytes
					       : 0;
		if (room < LEASE_ROOM || w->window_ns != limits->window[i].window_ns)
			room = 0;
		if (lending->bytes > room / LEASE_SHARE)
			lending->bytes = room / LEASE_SHARE;
		if (is_later(w->slice_start_ns, lending->since_ns))
			lending->since_ns = w->slice_start_ns;
		if (lending->until_ns > w->slice_start_ns + w->slice_ns)
			lending->until_ns = w->slice_start_ns + w->slice_ns;
	}
}

/* The lock is held. */
static __always_inline void lending_charge(const struct lending *lending, struct weir_meter *m,
					   const struct weir_limits *limits, struct weir_lease *l,
					   int claim)
{
	m->leases++;
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++) {
		struct weir_window *w = &m->window[i];
		__u32 head = w->head;

		l->remade[claim][i] = w->remade - 1; /* not to be given back there */
		if (!limits->window[i].window_ns || head >= WEIR_SLICES)
			continue;
		l->remade[claim][i] = w->remade;
		w->used_bytes += lending->bytes;
		w->slice[head] += lending->bytes;
	}
}

/* Notes who asked at a place where no lease runs. Under the lock: an interrupt may have begun one
 * there meanwhile, which must stay the one that it is. */
static __always_inline void lease_ask(struct weir_lease *l, struct lock_value *held, __u64 account,
				      __u64 cgroup, __u8 direction)
{
	bpf_spin_lock(&held->lock);
	if (lease_is_over(READ_ONCE(l->word))) {
		l->account = account;
		l->cgroup = cgroup;
		l->direction = direction;
	}
	bpf_spin_unlock(&held->lock);
}

/* Whether something may be lent at this place: to who sends often enough, and when nobody else's
 * lease runs there. What runs there otherwise is ended. */
static __always_inline bool lease_place_ready(struct weir_lease *l, struct lock_value *held,
					      const struct weir_answer *a, const struct parcel *p,
					      __u64 cgroup, __u64 tick)
{
	__u64 word = READ_ONCE(l->word), since_ns = l->asked_ns;
	bool is_same = lease_is_of(l, a->account, cgroup, counters_of(a));

	l->asked_ns = p->now_ns;
	if (!lease_is_over(word)) {
		if (!is_same && tick < l->until_tick && l->active == p->active)
			return false;
		lease_end(l, p->now_ns);
		return is_same && lease_packets(word) >= LEASE_WORTHWHILE;
	}
	if (is_same && p->now_ns - since_ns < LEASE_PAUSE_NS)
		return true;
	if (!is_same) /* else it is noted: no lock for nothing */
		lease_ask(l, held, a->account, cgroup, counters_of(a));
	return false;
}

/* After a packet that was charged one by one: lends to the next ones, where that is allowed. `tick`
 * was read before p->now_ns: what keeps the packet after that shortens the lease. */
WEIR_FUNCTION int lease_begin(const struct weir_answer *a, const struct parcel *p, __u64 cgroup,
			      __u64 tick)
{
	struct lending lending = {.bytes = LEASE_MOST};
	struct lock_value *held = meter_lock_get();
	struct weir_meter *own, *of_service, *of_partner;
	const struct weir_service *service;
	const struct weir_partner *partner;
	const struct weir_grant *grant;
	struct weir_control *control = control_get();
	__u64 service_ceiling = 0, partner_ceiling = 0, until_ns;
	struct weir_lease *l;

	if (!a || !p || !held || !control || !control->tick_ns)
		return 0;
	/* First, for most of those who send seldom get no further. */
	l = lease_of(a->account, cgroup, counters_of(a));
	if (!l || !lease_place_ready(l, held, a, p, cgroup, tick))
		return 0;
	service = service_get(a->policy_slot, a->service);
	partner = partner_get(a->policy_slot, a->partner);
	grant = grant_get(a->policy_slot, a->grant);
	if (!service || !partner || !grant)
		return 0;
	if (limits_are_set(&service->ceiling))
		service_ceiling = weir_meter_key(WEIR_KEY_CEILING, service->key, 0);
	if (limits_are_set(&partner->ceiling))
		partner_ceiling = weir_meter_key(WEIR_KEY_CEILING, 0, partner->key);
	own = lease_meter(a->account);
	of_service = lease_meter(service_ceiling);
	of_partner = lease_meter(partner_ceiling);
	if (!own || (service_ceiling && !of_service) || (partner_ceiling && !of_partner))
		return 0;
	lending.since_ns = p->now_ns;
	lending.until_ns = a->valid_until_ns;
	until_ns = p->now_ns + (LEASE_TICKS + LEASE_LATE) * control->tick_ns;
	bpf_spin_lock(&held->lock);
	lending_bound(&lending, own, &grant->budget, a->overrule);
	if (of_service)
		lending_bound(&lending, of_service, &service->ceiling, 0);
	if (of_partner)
		lending_bound(&lending, of_partner, &partner->ceiling, 0);
	/* An interrupt may have been here meanwhile, and begun a lease of its own. And who read the
	 * clock long ago may find one meter in a later slice than another. */
	if (!lending.bytes || until_ns > lending.until_ns || lending.since_ns > until_ns ||
	    own->severed_ns || !lease_is_over(READ_ONCE(l->word))) {
		bpf_spin_unlock(&held->lock);
		return 0;
	}
	held->charges++;
	lending_charge(&lending, own, &grant->budget, l, LEASE_OWN);
	if (of_service)
		lending_charge(&lending, of_service, &service->ceiling, l, LEASE_SERVICE);
	if (of_partner)
		lending_charge(&lending, of_partner, &partner->ceiling, l, LEASE_PARTNER);
	l->account = a->account;
	l->cgroup = cgroup;
	l->direction = counters_of(a);
	l->service_ceiling = service_ceiling;
	l->partner_ceiling = partner_ceiling;
	l->active = p->active;
	l->since_ns = lending.since_ns;
	l->until_ns = until_ns;
	l->until_tick = tick + LEASE_TICKS;
	l->bytes = lending.bytes;
	WRITE_ONCE(l->word, ((l->word >> LEASE_SEQUENCE) + 1) << LEASE_SEQUENCE);
	bpf_spin_unlock(&held->lock);
	return 0;
}

/*
 * Charges a packet, or counts its refusal. True: it passes. One function after the other and not
 * one inside the other: each needs the stack.
 */
static __always_inline bool charge(const struct weir_answer *a, struct parcel *p, __u64 allowance,
				   struct weir_socket *s)
{
	int charged;

	if (a->verdict == WEIR_REFUSE && !p->is_urgent)
		return charge_refusal(a, p, s);
	charged = charge_parcel(a, p, allowance, s);
	if (charged == CHARGE_SHORT) {
		leases_recall(a, p->now_ns);
		p->is_final = 1;
		charged = charge_parcel(a, p, allowance, s);
	}
	return charged == CHARGE_PASSES;
}

/* Charges the grant that observes, if there is one. It decides nothing. */
static __always_inline void charge_shadow(const struct weir_answer *a, struct parcel *p,
					  struct weir_socket *s)
{
	if (a->shadow == WEIR_NO_GRANT || p->is_bare)
		return;
	p->is_shadow = 1;
	p->is_final = 0;
	if (charge_parcel(a, p, 0, s) != CHARGE_SHORT)
		return;
	leases_recall(a, p->now_ns);
	p->is_final = 1;
	charge_parcel(a, p, 0, s);
}

/* After a packet that passed: lends to those that follow, where nothing but the meters of a grant
 * has to be asked about them. */
static __always_inline void lend(const struct weir_answer *a, const struct parcel *p, __u64 cgroup,
				 __u64 tick)
{
	if (a->reason == WEIR_REASON_GRANT && a->verdict == WEIR_PASS && !a->observe &&
	    a->shadow == WEIR_NO_GRANT && !p->is_bare && !p->is_urgent && !p->may_pose)
		lease_begin(a, p, cgroup, tick);
}

#endif
