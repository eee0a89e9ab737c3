/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meter.bpf.h - sliding windows; charge all meters of a packet or none.
 *
 * A window of length W is 17 slices of W/16. Its sum covers the last W at least (so no interval of
 * W sees more than N) and W + W/16 at most (so no packet is refused without need). Slices are
 * dropped only when the running one ends, so the usual packet costs a comparison and two additions.
 *
 * One lock covers every meter, and all of a packet's windows are compared and then added to under
 * it: nothing has to be given back, and no other packet ever sees a charge that will be undone.
 */
#ifndef WEIR_METER_BPF_H
#define WEIR_METER_BPF_H

#include "policy.bpf.h"

/* What one packet asks of one meter. */
struct claim {
	struct weir_meter *meter; /* with the account and no limits in it: no claim */
	const struct weir_limits *limits;
	__u8 refuses;	/* over a limit: the packet is refused; else only told */
	__u8 on_breach; /* enum weir_breach */
	__u8 reason;	/* enum weir_reason, when it refuses */
	__u8 is_shared; /* a stranger's slot: other peers and services may use it too */
};

/* Events a second about refusals before a packet, which name a program each. */
#define EARLY_TELLINGS 16

struct charge {
	struct claim claim[WEIR_CLAIMS];
	struct weir_meter *account; /* its counters */
	struct weir_meter *telling; /* its rate of events: the account, or the peer's slot */
	__u64 overrule;		    /* of each limit of CLAIM_OWN's budget; weir_limit() */
	__u64 now_ns;
	__u32 bytes;
	__u8 direction;		 /* index of the counters: 0 serves, 1 calls and calls back */
	__u8 is_established;	 /* TCP that completed its handshake: may trip `sever` */
	__u8 is_observed;	 /* never refused, only told */
	__u8 is_refused;	 /* refused already, for `reason`: count only */
	__u8 is_urgent;		 /* passes a latch too: count only */
	__u8 is_final;		 /* refused when there is no room, whatever is lent */
	__u8 is_shadow;		 /* counted elsewhere: only windows, and what would be refused */
	__u8 reason;		 /* enum weir_reason, when it is refused already */
	struct charge_note note; /* out */
};

/* The meter of three keys, made when there is none. NULL: no room (counted). */
static __noinline struct weir_meter *meter_of(__u64 grant_key, __u64 service_key, __u64 partner_key)
{
	__u64 key = weir_meter_key(grant_key, service_key, partner_key);
	struct weir_meter *meter = bpf_map_lookup_elem(&meters, &key);
	__u32 zero = 0;

	if (meter)
		return meter;
	meter = bpf_map_lookup_elem(&blank_meter, &zero);
	if (!meter)
		return NULL;
	bpf_map_update_elem(&meters, &key, meter, BPF_NOEXIST);
	meter = bpf_map_lookup_elem(&meters, &key);
	if (!meter) {
		loss_count(WEIR_LOST_METERS_FULL);
		return NULL;
	}
	meter->grant_key = grant_key;
	meter->service_key = service_key;
	meter->partner_key = partner_key;
	return meter;
}

static __always_inline void window_clear(struct weir_window *w, __u64 window_ns, __u64 now)
{
#pragma unroll
	for (int i = 0; i < WEIR_SLICES; i++)
		w->slice[i] = 0;
	w->used_bytes = 0;
	w->head = 0;
	w->window_ns = window_ns;
	w->slice_ns = window_ns / (WEIR_SLICES - 1);
	w->slice_start_ns = now;
	w->remade++;
}

/*
 * 1 if x is negative, else 0: where a branch would be one more path for the verifier to follow, 17
 * times. (An arithmetic shift and a mask would do, but newer verifiers fork on that pattern.)
 */
static __always_inline __u64 is_negative(__s64 x)
{
	__u64 sign = (__u64)x >> 63;

	barrier_var(sign);
	return sign;
}

/* Age in slices of the one at `place`: 0 is the running one, WEIR_SLICES - 1 the oldest. */
static __always_inline __s64 slice_age(__u32 head, int place)
{
	__s64 age = (__s64)head - place;

	return age + WEIR_SLICES * is_negative(age);
}

/* Drops the slices that have left the window. The caller holds the lock. */
static __always_inline void window_advance(struct weir_window *w, __u64 now)
{
	__u64 elapsed, used = 0;
	__u32 head = w->head;

	if (!w->slice_ns || now < w->slice_start_ns + w->slice_ns)
		return;
	elapsed = (now - w->slice_start_ns) / w->slice_ns;
	w->slice_start_ns += elapsed * w->slice_ns;
#pragma unroll
	for (int i = 0; i < WEIR_SLICES; i++) {
		__s64 age = slice_age(head, i) + (__s64)elapsed;

		w->slice[i] *= is_negative(age - WEIR_SLICES);
		used += w->slice[i];
	}
	w->used_bytes = used;
	w->head = (head + elapsed) % WEIR_SLICES;
}

/*
 * Makes `to` a window of another length that holds what `from` knows: each old slice counts at its
 * latest possible moment, so nothing leaves the new window too early. The caller holds the lock and
 * has advanced `from`.
 */
static __always_inline void window_refit(struct weir_window *to, const struct weir_window *from,
					 __u64 window_ns, __u64 now)
{
	__u64 end = from->slice_start_ns + from->slice_ns; /* of the running slice */

	window_clear(to, window_ns, now);
	if (!to->slice_ns)
		return;
#pragma unroll
	for (int i = 0; i < WEIR_SLICES; i++) {
		__s64 late = now - (end - slice_age(from->head, i) * from->slice_ns);
		__u64 age, place, known;

		late *= 1 - is_negative(late);
		age = ((__u64)late + to->slice_ns - 1) / to->slice_ns;
		known = is_negative(age - WEIR_SLICES);
		place = (WEIR_SLICES - age * known) % WEIR_SLICES;
		barrier_var(place); /* or clang drops the check that the verifier wants */
		if (place >= WEIR_SLICES)
			break;
		to->slice[place] += from->slice[i] * known;
		to->used_bytes += from->slice[i] * known;
	}
}

/*
 * Which window of the meter knows most about the last `window_ns`: the shortest that covers it,
 * else the longest.
 */
static __always_inline __u32 meter_best_source(const struct weir_meter *m, __u64 window_ns)
{
	__u32 best = 0;

#pragma unroll
	for (__u32 i = 1; i < WEIR_WINDOWS; i++) {
		__u64 is = m->window[i].window_ns, was = m->window[best].window_ns;

		if (was >= window_ns ? is >= window_ns && is < was : is > was)
			best = i;
	}
	return best;
}

/*
 * Brings one window up to now, and to the length that the policy in force wants. A shared slot's
 * windows only grow while it is in use: a longer one is stricter, and no peer can shorten
 * another's.
 */
WEIR_FUNCTION int window_fit(struct weir_meter *m, __u32 index, __u64 wanted_ns, __u64 now,
			     bool is_shared)
{
	struct lock_value *held = meter_lock_get();
	struct weir_window *w;
	__u32 source;

	if (!held || !m)
		return 0;
	bpf_spin_lock(&held->lock);
	for (int i = 0; i < WEIR_WINDOWS; i++)
		window_advance(&m->window[i], now);
	/* Here and not above: where clang spills the index, 6.1 forgets that it was checked. */
	barrier_var(index);
	if (index >= WEIR_WINDOWS)
		index = 0;
	w = &m->window[index];
	if (is_shared && w->used_bytes && w->window_ns > wanted_ns)
		wanted_ns = w->window_ns;
	if (w->window_ns != wanted_ns) {
		source = meter_best_source(m, wanted_ns);
		if (source < WEIR_WINDOWS) {
			held->scratch = m->window[source];
			window_refit(w, &held->scratch, wanted_ns, now);
		}
	}
	bpf_spin_unlock(&held->lock);
	return 0;
}

/* Whether the meter's windows are those of `limits` and none has a slice to drop. */
static __always_inline bool meter_is_fit(const struct weir_meter *m, const struct weir_limits *l,
					 bool is_shared, __u64 now)
{
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++) {
		const struct weir_window *w = &m->window[i];
		__u64 wanted = l->window[i].window_ns;

		if (is_shared ? w->window_ns < wanted : w->window_ns != wanted)
			return false;
		if (w->window_ns && now >= w->slice_start_ns + w->slice_ns)
			return false;
	}
	return true;
}

/*
 * Brings a meter up to now, and to the windows of `limits`. Longest first: a window is rewritten
 * only when those that still need its history are shorter; those that the policy has no more go
 * last. Packets of an older generation may not shorten what the policy in force has made longer.
 */
WEIR_FUNCTION int meter_fit(struct weir_meter *m, const struct weir_limits *l, bool is_shared,
			    __u64 now, __u32 generation)
{
	if (!m || !l || meter_is_fit(m, l, is_shared, now))
		return 0;
	if (weir_generation(active_read()) != generation)
		is_shared = true;
#pragma unroll
	for (int i = WEIR_WINDOWS - 1; i >= 0; i--)
		if (l->window[i].window_ns)
			window_fit(m, i, l->window[i].window_ns, now, is_shared);
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++)
		if (!l->window[i].window_ns)
			window_fit(m, i, 0, now, is_shared);
	return 0;
}

/*
 * The functions below run under the lock, and leave what they found in held->note: the verifier
 * forgets what is written to a map, and would follow each combination of values on the stack.
 */

static __always_inline void charge_count(struct charge *c, struct charge_note *note,
					 bool is_refused, bool is_observed)
{
	struct weir_meter *a = c->account, *t = c->telling;
	__u32 direction = c->direction & 1;

	if ((!is_refused || is_observed) && !c->is_shadow && c->bytes) {
		a->sent_bytes[direction] += c->bytes;
		a->sent_packets[direction]++;
		a->last_sent_ns = c->now_ns;
	}
	if (!is_refused)
		return;
	if (is_observed) {
		a->would_refuse_bytes += c->bytes;
		a->would_refuse_packets++;
	} else {
		a->refused_bytes += c->bytes;
		a->refused_packets++;
	}
	t->untold++;
	if (!t->told_ns || c->now_ns - t->told_ns >= NS_PER_SECOND) {
		t->told_ns = c->now_ns;
		t->told = 0;
	} else if (t->told >= (c->bytes ? 1 : EARLY_TELLINGS)) {
		return;
	}
	t->told++;
	note->untold = t->untold;
	t->untold = 0;
	if (note->event)
		return;
	if (is_observed)
		note->event = WEIR_EVENT_WOULD_REFUSE;
	else if (note->window_ns)
		note->event = WEIR_EVENT_HELD;
	else
		note->event = WEIR_EVENT_REFUSED;
}

static __always_inline void charge_breach(struct charge *c, struct charge_note *note,
					  const struct claim *k, const struct weir_limit *limit,
					  __u64 used)
{
	note->reason = k->reason;
	note->limit_bytes = limit->bytes;
	note->window_ns = limit->window_ns;
	note->used_bytes = used;
	if (k->on_breach == WEIR_SEVER && c->is_established && !c->is_observed) {
		k->meter->severed_ns = c->now_ns;
		note->event = WEIR_EVENT_SEVERED;
	}
}

enum fit { FITS, BREACHES, IS_SEVERED, IS_LENT };

/* What came of charging a packet. CHARGE_SHORT: nothing, until what is lent was taken back. */
enum charged { CHARGE_REFUSED, CHARGE_PASSES, CHARGE_SHORT };

/* The first limit that refuses decides: what it does, and why. */
static __always_inline enum fit charge_fits(struct charge *c, struct lock_value *held)
{
#pragma unroll
	for (int i = 0; i < WEIR_CLAIMS; i++) {
		struct claim *k = &c->claim[i];

		if (k->meter->severed_ns) {
			held->note.reason = WEIR_REASON_SEVERED;
			return IS_SEVERED;
		}
		if (!k->refuses)
			continue;
#pragma unroll
		for (int j = 0; j < WEIR_WINDOWS; j++) {
			const struct weir_limit *limit = &held->limits[i].window[j];
			__u64 used = k->meter->window[j].used_bytes;

			if (!limit->window_ns || used + c->bytes <= limit->bytes)
				continue;
			if (k->meter->leases && !c->is_final)
				return IS_LENT;
			charge_breach(c, &held->note, k, limit, used);
			return BREACHES;
		}
	}
	return FITS;
}

static __always_inline void charge_add(struct charge *c, struct lock_value *held)
{
#pragma unroll
	for (int i = 0; i < WEIR_CLAIMS; i++)
#pragma unroll
		for (int j = 0; j < WEIR_WINDOWS; j++) {
			struct weir_window *w = &c->claim[i].meter->window[j];
			__u32 head = w->head;

			if (!held->limits[i].window[j].window_ns || head >= WEIR_SLICES)
				continue;
			w->used_bytes += c->bytes;
			w->slice[head] += c->bytes;
		}
}

/* What a limit may be used to before that is told: 80 %. */
static __always_inline __u64 limit_untold(__u64 bytes)
{
	return bytes - bytes / 5;
}

/*
 * After a charge, and without the lock: notes the first window that has passed 80 % or, where a
 * breach only tells, its limit. Each is told once in a window; of two CPUs that see it at once, one
 * tells.
 */
WEIR_FUNCTION int meter_watch(struct weir_meter *m, const struct weir_limits *l,
			      struct charge_note *note, __u64 now, __u32 reason)
{
	if (!m || !l || !note)
		return 0;
	for (int i = 0; i < WEIR_WINDOWS; i++) {
		const struct weir_limit *limit = &l->window[i];
		struct weir_window *w = &m->window[i];
		__u64 used = READ_ONCE(w->used_bytes), *until_ns, seen;
		__u64 bytes = weir_limit(limit->bytes, note->overrule);

		if (!limit->window_ns || used <= limit_untold(bytes))
			continue;
		until_ns = used > bytes ? &w->alerted_until_ns : &w->warned_until_ns;
		seen = READ_ONCE(*until_ns);
		if (now < seen ||
		    __sync_val_compare_and_swap(until_ns, seen, now + limit->window_ns) != seen)
			continue;
		note->event = used > bytes ? WEIR_EVENT_ALERT : WEIR_EVENT_WARNING;
		note->reason = reason;
		note->limit_bytes = bytes;
		note->window_ns = limit->window_ns;
		note->used_bytes = used;
		return 1;
	}
	return 0;
}

/* A charge without claims: the account stands in each, with no limits. False: no room for it. */
static __always_inline bool charge_begin(struct charge *c, struct weir_meter *account)
{
	__u32 zero = 0;
	const struct weir_limits *none = bpf_map_lookup_elem(&no_limits, &zero);

	if (!account || !none)
		return false;
	c->account = account;
	c->telling = account;
#pragma unroll
	for (int i = 0; i < WEIR_CLAIMS; i++) {
		c->claim[i].meter = account;
		c->claim[i].limits = none;
	}
	return true;
}

/*
 * Charges the packet to all its meters, or to none: enum charged. Begun with charge_begin(). Never
 * holds more than the one lock, and calls nothing under it.
 */
static __noinline __attribute__((unused)) int meter_charge(struct charge *c)
{
	struct lock_value *held = meter_lock_get();
	enum fit fit;
	bool is_observed;

	if (!held || !c || !c->account || !c->telling) {
		loss_count(WEIR_LOST_HOOK);
		return CHARGE_REFUSED;
	}
	bpf_spin_lock(&held->lock);
	held->charges++;
#pragma unroll
	for (int i = 0; i < WEIR_CLAIMS; i++)
		held->limits[i] = *c->claim[i].limits;
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++)
		held->limits[CLAIM_OWN].window[i].bytes =
			weir_limit(held->limits[CLAIM_OWN].window[i].bytes, c->overrule);
	__builtin_memset(&held->note, 0, sizeof(held->note));
	held->note.reason = c->reason;
	fit = c->is_urgent ? FITS : c->is_refused ? BREACHES : charge_fits(c, held);
	if (fit == IS_LENT) {
		bpf_spin_unlock(&held->lock);
		return CHARGE_SHORT;
	}
	/* A latch is a cut: it holds in observe. */
	is_observed = c->is_observed && (fit != IS_SEVERED || c->is_shadow);
	if (fit == FITS || is_observed)
		charge_add(c, held);
	charge_count(c, &held->note, fit != FITS, is_observed);
	c->note = held->note;
	bpf_spin_unlock(&held->lock);
	return fit == FITS || is_observed ? CHARGE_PASSES : CHARGE_REFUSED;
}

#endif
