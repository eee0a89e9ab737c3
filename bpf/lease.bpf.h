/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * lease.bpf.h - bytes charged ahead: what makes the usual packet of a running flow cheap.
 *
 * A lease is a lump that one CPU has charged to all meters of an account, under the lock and at
 * once, and may spend for some milliseconds with one compare-and-swap per packet. It costs no
 * exactness. The lump is in the windows before the first of its bytes leaves, so no more than the
 * budget ever does; it ends with the slice of each window that it lies in, so its bytes are where
 * they would be; what was not spent goes back where it came from. Before a budget refuses anything,
 * and before the meters are read, all that is lent is taken back (leases_recall()). Near the end of
 * a budget, and near each sum that is told of, nothing is lent.
 *
 * word: sequence << LEASE_SEQUENCE | packets << LEASE_PACKETS | bytes, of what was spent. Bytes of
 * LEASE_OVER: the lease is over. All but spending happens under the meters' lock, and only the
 * lease's own CPU begins one, so whoever spends can trust what it read of a lease whose word it
 * then changes.
 */
#ifndef WEIR_LEASE_BPF_H
#define WEIR_LEASE_BPF_H

#include "policy.bpf.h"

#define LEASE_SEQUENCE 44
#define LEASE_PACKETS  24
#define LEASE_ONE      (1ULL << LEASE_PACKETS)
#define LEASE_OVER     (LEASE_ONE - 1)

#define LEASE_PACKET_BITS (LEASE_SEQUENCE - LEASE_PACKETS)

/* The smallest IP packet is 20 bytes: so many bytes are fewer packets than there is room for. */
#define LEASE_MOST  (8 * 1024 * 1024)
#define LEASE_SHARE 16		  /* of what there is room for */
#define LEASE_ROOM  (1024 * 1024) /* with less room than this nothing is lent */
/*
 * A lease lasts some ticks: reading the clock would cost more than all the rest. So many of them
 * jiffies may be behind, when the CPU that counts them is kept from it (kernel/time/tick-sched.c,
 * MAX_STALLED_JIFFIES); each slice that the lump lies in must go on until then. What was lent when
 * a machine was put to sleep may leave when it wakes: jiffies do not count that time.
 */
#define LEASE_TICKS 3
#define LEASE_LATE  6
/* Who sends less often than this is not lent anything: taking and giving back costs more. */
#define LEASE_PAUSE_NS	 (2 * 1000 * 1000ULL)
#define LEASE_WORTHWHILE 4 /* packets */
#define LEASE_CPUS	 4096

_Static_assert(LEASE_MOST < LEASE_OVER && LEASE_MOST / 20 < 1 << LEASE_PACKET_BITS,
	       "the parts of a word");

/* What a lease must know of a packet. */
struct usual {
	__u64 active;
	__u64 tick;
	__u32 bytes;
};

static __always_inline bool lease_is_over(__u64 word)
{
	return (word & LEASE_OVER) == LEASE_OVER;
}

static __always_inline __u64 lease_packets(__u64 word)
{
	return word >> LEASE_PACKETS & ((1 << LEASE_PACKET_BITS) - 1);
}

/* The place of (account, direction, cgroup) among this CPU's; others may share it. */
static __always_inline struct weir_lease *lease_of(__u64 account, __u64 cgroup, __u8 direction)
{
	__u32 place = (__u32)(account + cgroup * 0x9e3779b1 + direction) & (WEIR_LEASES - 1);

	place += bpf_get_smp_processor_id() * WEIR_LEASES;
	return bpf_map_lookup_elem(&leases, &place);
}

static __always_inline bool lease_is_of(const struct weir_lease *l, __u64 account, __u64 cgroup,
					__u8 direction)
{
	return l->account == account && l->cgroup == cgroup && l->direction == direction;
}

/* Spends from what was lent to the account. False: nothing is lent, or not enough is left. */
static __always_inline bool lease_spend(__u64 account, __u64 cgroup, __u8 direction,
					const struct usual *p)
{
	struct weir_lease *l = lease_of(account, cgroup, direction);
	__u64 word;

	if (!l)
		return false;
	word = READ_ONCE(l->word);
	read_barrier();
	if (!lease_is_of(l, account, cgroup, direction) || l->active != p->active ||
	    p->tick >= l->until_tick || (word & LEASE_OVER) + p->bytes > l->bytes)
		return false;
	return __sync_val_compare_and_swap(&l->word, word, word + LEASE_ONE + p->bytes) == word;
}

/* ---- giving back -----------------------------------------------------------------------------*/

/* A slice may have begun before this boot, in a meter that was restored: its start then wraps. */
static __always_inline bool is_later(__u64 a_ns, __u64 b_ns)
{
	return (__s64)(a_ns - b_ns) > 0;
}

/* Where the lump lies in the window now; WEIR_SLICES: it has left it. */
static __always_inline __u64 lease_slice(const struct weir_window *w, __u64 since_ns)
{
	__u64 age = 0;

	if (!w->slice_ns)
		return WEIR_SLICES;
	if (is_later(w->slice_start_ns, since_ns))
		age = (w->slice_start_ns - since_ns + w->slice_ns - 1) / w->slice_ns;
	if (age >= WEIR_SLICES)
		return WEIR_SLICES;
	return (w->head + WEIR_SLICES - age) % WEIR_SLICES;
}

static __always_inline void lease_give_back(struct weir_meter *m, const struct weir_lease *l,
					    int claim, __u64 unspent)
{
	if (m->leases)
		m->leases--;
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++) {
		struct weir_window *w = &m->window[i];
		__u64 place = lease_slice(w, l->since_ns), bytes = unspent;

		barrier_var(place); /* or clang drops the check that the verifier wants */
		/* Of a window that was remade since, nobody knows where the lump lies: it stays. */
		if (place >= WEIR_SLICES || w->remade != l->remade[claim][i])
			continue;
		if (bytes > w->slice[place])
			bytes = w->slice[place];
		w->slice[place] -= bytes;
		w->used_bytes -= bytes < w->used_bytes ? bytes : w->used_bytes;
	}
}

static __always_inline struct weir_meter *lease_meter(__u64 key)
{
	return key ? bpf_map_lookup_elem(&meters, &key) : NULL;
}

static __always_inline void lease_count(struct weir_meter *m, const struct weir_lease *l,
					__u64 word, __u64 now_ns)
{
	__u32 direction = l->direction & 1;

	if (!(word & LEASE_OVER))
		return;
	m->sent_bytes[direction] += word & LEASE_OVER;
	m->sent_packets[direction] += lease_packets(word);
	if (now_ns > l->until_ns)
		now_ns = l->until_ns;
	if (m->last_sent_ns < now_ns)
		m->last_sent_ns = now_ns;
}

/* Ends a lease: what was spent goes to the counters, the rest back to the windows. */
WEIR_FUNCTION int lease_end(struct weir_lease *l, __u64 now_ns)
{
	struct lock_value *held = meter_lock_get();
	struct weir_meter *own, *service, *partner;
	struct weir_cgroup *c;
	__u64 word, cgroup;

	if (!l || !held)
		return 0;
	word = READ_ONCE(l->word);
	if (lease_is_over(word))
		return 0;
	read_barrier();
	own = lease_meter(l->account);
	service = lease_meter(l->service_ceiling);
	partner = lease_meter(l->partner_ceiling);
	cgroup = l->cgroup;
	c = bpf_map_lookup_elem(&cgroups, &cgroup);
	bpf_spin_lock(&held->lock);
	/* Of another CPU: has it ended, and perhaps another one begun? */
	if ((READ_ONCE(l->word) ^ word) >> LEASE_SEQUENCE || lease_is_over(READ_ONCE(l->word))) {
		bpf_spin_unlock(&held->lock);
		return 0;
	}
	held->charges++;
	word = __sync_fetch_and_or(&l->word, LEASE_OVER);
	if (own) {
		lease_count(own, l, word, now_ns);
		lease_give_back(own, l, LEASE_OWN, l->bytes - (word & LEASE_OVER));
	}
	if (service)
		lease_give_back(service, l, LEASE_SERVICE, l->bytes - (word & LEASE_OVER));
	if (partner)
		lease_give_back(partner, l, LEASE_PARTNER, l->bytes - (word & LEASE_OVER));
	bpf_spin_unlock(&held->lock);
	if (c) {
		__sync_fetch_and_add(&c->sent_bytes, word & LEASE_OVER);
		__sync_fetch_and_add(&c->sent_packets, lease_packets(word));
	}
	return 0;
}

struct recall {
	__u64 now_ns;
	__u64 account; /* 0: all, whatever they are charged to */
	__u64 shadow;  /* another account; 0: none */
	__u64 service_ceiling;
	__u64 partner_ceiling;
};

static long recall_step(__u32 index, struct recall *r)
{
	struct weir_lease *l = bpf_map_lookup_elem(&leases, &index);

	if (!l)
		return 1;
	if (lease_is_over(READ_ONCE(l->word)))
		return 0;
	if (!r->account || l->account == r->account || l->account == r->shadow ||
	    l->service_ceiling == r->service_ceiling || l->partner_ceiling == r->partner_ceiling)
		lease_end(l, r->now_ns);
	return 0;
}

/* Takes back all that is lent. */
static __always_inline void leases_recall_all(__u64 now_ns)
{
	struct recall r = {.now_ns = now_ns};

	bpf_loop(LEASE_CPUS * WEIR_LEASES, recall_step, &r, 0);
}

#endif
