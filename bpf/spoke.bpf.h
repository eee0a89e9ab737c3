/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * spoke.bpf.h - who spoke first on a socket without connections (UDP, SCTP, raw).
 *
 * A datagram counts as an answer only towards an address and port that spoke to this socket within
 * the last two minutes, and to which the socket had not spoken before.
 */
#ifndef WEIR_SPOKE_BPF_H
#define WEIR_SPOKE_BPF_H

#include "hash.bpf.h"

#define SPOKE_NS     (120 * NS_PER_SECOND)
#define SPOKE_WAYS   4
#define SPOKE_SHARES (WEIR_SPOKE_SLOTS / 2 / WEIR_SPOKE_SHARE)

/* What a packet of another CPU, or of an interrupt, noted since this one read the clock is later
 * than `now`, and as fresh as can be. */
static __always_inline bool spoke_is_fresh(const struct weir_spoke *s, __u64 now)
{
	return s->tag && (__s64)(now - s->last_ns) < (__s64)SPOKE_NS;
}

/* One of the 32 shares of the lower half, and where in it. */
static __always_inline __u32 spoke_shared(__u64 share, __u64 hash)
{
	return share % SPOKE_SHARES * WEIR_SPOKE_SHARE +
	       (hash & (WEIR_SPOKE_SHARE - 1) & ~(SPOKE_WAYS - 1));
}

/*
 * The two places, one in each half of the result, that a peer may have. A partner's are in two
 * shares of the lower half, so that a flood in the name of one partner does not push out another's:
 * names that fall into one share are many, but those with both in common few. Strangers have the
 * upper half.
 */
static __always_inline __u64 spoke_bases(__u64 hash, __u64 partner_key)
{
	__u64 mask = (WEIR_SPOKE_SLOTS / 2 - 1) & ~(SPOKE_WAYS - 1), mixed = weir_mix(partner_key);
	__u64 other = mixed + 1 + (mixed >> 32) % (SPOKE_SHARES - 1); /* any but the first */

	if (!partner_key)
		return (hash & (mask << 32 | mask)) | (1ULL << 32 | 1) * (WEIR_SPOKE_SLOTS / 2);
	return (__u64)spoke_shared(other, hash >> 32) << 32 | spoke_shared(mixed, hash);
}

/* The entry of (socket, peer); with `make`, a free or stale place for it if there is none. */
static __noinline struct weir_spoke *spoke_find(__u64 hash, __u64 partner_key, bool make, __u64 now)
{
	__u64 bases = spoke_bases(hash, partner_key), tag = hash | 1;
	struct weir_spoke *spare = NULL;

	for (__u32 i = 0; i < 2 * SPOKE_WAYS; i++) {
		__u32 index = (__u32)(bases >> i / SPOKE_WAYS * 32) + i % SPOKE_WAYS;
		struct weir_spoke *s = bpf_map_lookup_elem(&spoke, &index);

		if (!s)
			return NULL;
		if (s->tag == tag)
			return s;
		if (!spare && !spoke_is_fresh(s, now))
			spare = s;
	}
	return make ? spare : NULL;
}

static __always_inline __u64 spoke_hash(__u64 cookie, const struct weir_address *peer, __u16 port,
					__u8 protocol)
{
	return keyed_hash(cookie, address_high(peer), address_low(peer),
			  (__u64)protocol << 16 | port);
}

/* Notes that `who` spoke. What they send keeps our own call alive; what we send keeps only ours. */
WEIR_FUNCTION int spoke_note(__u64 hash, __u64 partner_key, __u32 who, __u64 now)
{
	struct weir_spoke *s = spoke_find(hash, partner_key, true, now);

	if (!s) {
		loss_count(WEIR_LOST_SPOKE_EVICTED);
		return 0;
	}
	if (s->tag == (hash | 1) && spoke_is_fresh(s, now)) {
		if (s->opener == who || s->opener == OPENER_US)
			s->last_ns = now;
		return 0;
	}
	s->last_ns = now;
	s->opener = who;
	s->tag = hash | 1;
	return 0;
}

/* When they last spoke to us first, or 0. */
static __always_inline __u64 spoke_heard(__u64 hash, __u64 partner_key, __u64 now)
{
	const struct weir_spoke *s = spoke_find(hash, partner_key, false, now);

	if (!s || !spoke_is_fresh(s, now) || s->opener != OPENER_THEM)
		return 0;
	return s->last_ns;
}

#endif
