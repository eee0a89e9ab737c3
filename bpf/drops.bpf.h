/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drops.bpf.h - what the edge dropped, counted by each CPU for itself until somebody reads the
 * meters: finding a partner's meter and adding to it would take longer than all else of a drop.
 *
 * word: tag << DROPS_TAG | packets << DROPS_PACKETS | bytes. A place is its CPU's; whoever settles
 * it from another one takes the counts by compare-and-swap. With another partner the tag changes
 * first and the key then, and nothing is counted before both: so counts under a tag are of the key
 * that is read behind it.
 */
#ifndef WEIR_DROPS_BPF_H
#define WEIR_DROPS_BPF_H

#include "meter.bpf.h"

#define DROPS_TAG     56
#define DROPS_PACKETS 36
#define DROPS_ONE     (1ULL << DROPS_PACKETS)
#define DROPS_COUNTS  ((1ULL << DROPS_TAG) - 1)
#define DROPS_FULL    (1ULL << 55) /* half of the packets; so many are 32 GiB at most */
#define DROPS_CPUS    4096
#define DROPS_TRIES   8

_Static_assert((DROPS_FULL >> DROPS_PACKETS) * 65535 < DROPS_ONE, "the parts of a word");

/* To the meter of the partner. */
static __always_inline void drops_add(__u64 partner_key, __u64 word)
{
	__u64 bytes = word & (DROPS_ONE - 1), packets = (word & DROPS_COUNTS) >> DROPS_PACKETS;
	struct weir_meter *meter;

	if (!packets)
		return;
	meter = meter_of(WEIR_KEY_EDGE, 0, partner_key);
	if (!meter)
		return;
	__sync_fetch_and_add(&meter->refused_bytes, bytes);
	__sync_fetch_and_add(&meter->refused_packets, packets);
}

/* The place gets another partner, or is full. */
WEIR_FUNCTION int drops_turn(struct weir_drops *d, __u64 partner_key)
{
	__u64 word;

	if (!d)
		return 0;
	word = READ_ONCE(d->word);
	word = __sync_lock_test_and_set(&d->word, (word & ~DROPS_COUNTS) + (1ULL << DROPS_TAG));
	drops_add(d->partner_key, word);
	WRITE_ONCE(d->partner_key, partner_key);
	return 0;
}

static __always_inline void drops_count(__u64 partner_key, __u64 bytes)
{
	__u32 place = partner_key & (WEIR_DROP_PLACES - 1);
	struct weir_drops *d = bpf_map_lookup_elem(&edge_drops, &place);

	if (!d)
		return;
	if (d->partner_key != partner_key || READ_ONCE(d->word) & DROPS_FULL)
		drops_turn(d, partner_key);
	__sync_fetch_and_add(&d->word, DROPS_ONE + bytes);
}

static long drops_settle_step(__u32 index, void *unused)
{
	__u32 place = index % WEIR_DROP_PLACES;
	struct weir_drops *d =
		bpf_map_lookup_percpu_elem(&edge_drops, &place, index / WEIR_DROP_PLACES);
	__u64 word, partner_key;

	if (!d)
		return 1; /* no such CPU */
	for (int i = 0; i < DROPS_TRIES; i++) {
		word = READ_ONCE(d->word);
		if (!(word & DROPS_COUNTS))
			return 0;
		read_barrier();
		partner_key = READ_ONCE(d->partner_key);
		if (__sync_val_compare_and_swap(&d->word, word, word & ~DROPS_COUNTS) != word)
			continue; /* it drops on; what is left now is counted the next time */
		drops_add(partner_key, word);
		return 0;
	}
	return 0;
}

static __always_inline void drops_settle_all(void)
{
	bpf_loop(DROPS_CPUS * WEIR_DROP_PLACES, drops_settle_step, NULL, 0);
}

#endif
