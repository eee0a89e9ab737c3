// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * edge.bpf.c - XDP on the uplink: what a cut partner sends dies here, before the stack.
 *
 * Nothing cut: one look at a flag, pass. Something cut: the source's verdict comes from a cache
 * stamped with control.active, else from the same scan of cuts that the egress hook makes, by
 * address alone. ARP, neighbour discovery, router advertisements, DHCP, "packet too big"
 * and the lifeline (its prefix, protocol and port) pass; a later fragment only from a lifeline
 * prefix. From a cut source, headers that cannot be read are dropped and counted.
 */
#include "drops.bpf.h"
#include "hash.bpf.h"
#include "verdict.bpf.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

enum { VLAN_TAGS = 2, EXTENSIONS = 6, FRAGMENT_OFFSET = 0x1fff };

struct arrival {
	struct weir_address source;
	__u32 offset; /* of what follows the IP headers walked so far */
	__u16 source_port;
	__u16 target_port;
	__u8 protocol;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 is_later_fragment;
	__u8 is_unread;
};

static __always_inline bool load(struct xdp_md *ctx, __u32 offset, void *to, __u32 size)
{
	return !bpf_xdp_load_bytes(ctx, offset, to, size);
}

/*
 * Reads the usual frame in place: TCP or UDP behind plain headers. False: it is another, and has to
 * be read step by step, by a helper that takes longer than all the rest.
 */
static __always_inline bool usual_read(struct xdp_md *ctx, struct arrival *a)
{
	void *end = (void *)(long)ctx->data_end;
	const struct ethhdr *eth = (void *)(long)ctx->data;
	const struct iphdr *ip4 = (void *)(eth + 1);
	const struct ipv6hdr *ip6 = (void *)(eth + 1);
	const __be16 *port;

	if ((void *)(ip4 + 1) > end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (ip4->ihl != 5 || ip4->frag_off & bpf_htons(FRAGMENT_OFFSET))
			return false;
		address_from4(&a->source, ip4->saddr);
		a->protocol = ip4->protocol;
		port = (void *)(ip4 + 1);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(ip6 + 1) <= end) {
		__builtin_memcpy(&a->source, &ip6->saddr, 16);
		a->protocol = ip6->nexthdr;
		port = (void *)(ip6 + 1);
		if (address_is4(&a->source))
			return false;
	} else {
		return false;
	}
	if ((a->protocol != IPPROTO_TCP && a->protocol != IPPROTO_UDP) || (void *)(port + 2) > end)
		return false;
	a->source_port = bpf_ntohs(port[0]);
	a->target_port = bpf_ntohs(port[1]);
	return true;
}

/* The network protocol, and where its header begins; 0 when it is not IP. */
static __always_inline __be16 ethernet_read(struct xdp_md *ctx, __u32 *offset)
{
	struct ethhdr eth;
	struct {
		__be16 tag, next;
	} vlan;
	__be16 next;

	if (!load(ctx, 0, &eth, sizeof(eth)))
		return 0;
	*offset = sizeof(eth);
	next = eth.h_proto;
	for (int i = 0; i < VLAN_TAGS; i++) {
		if (next != bpf_htons(ETH_P_8021Q) && next != bpf_htons(ETH_P_8021AD))
			break;
		if (!load(ctx, *offset, &vlan, sizeof(vlan)))
			return 0;
		*offset += sizeof(vlan);
		next = vlan.next;
	}
	return next;
}

static __always_inline bool arrival_read4(struct xdp_md *ctx, __u32 offset, struct arrival *a)
{
	struct iphdr ip;

	if (!load(ctx, offset, &ip, sizeof(ip)))
		return false;
	address_from4(&a->source, ip.saddr);
	a->protocol = ip.protocol;
	a->offset = offset + ip.ihl * 4;
	a->is_later_fragment = !!(ip.frag_off & bpf_htons(FRAGMENT_OFFSET));
	return true;
}

static __always_inline bool arrival_read6(struct xdp_md *ctx, __u32 offset, struct arrival *a)
{
	struct ipv6hdr ip;

	if (!load(ctx, offset, &ip, sizeof(ip)))
		return false;
	__builtin_memcpy(&a->source, &ip.saddr, 16);
	if (address_is4(&a->source)) /* v4-mapped: nobody's on the wire */
		return false;
	a->protocol = ip.nexthdr;
	a->offset = offset + sizeof(ip);
	return true;
}

/* Any other frame, as far as its source. False: it is not IP's, or (is_unread) cannot be read. */
WEIR_FUNCTION bool arrival_read(struct xdp_md *ctx, struct arrival *a)
{
	__u32 offset = 0;

	if (!a)
		return false;
	switch (ethernet_read(ctx, &offset)) {
	case bpf_htons(ETH_P_IP):
		a->is_unread = !arrival_read4(ctx, offset, a);
		return !a->is_unread;
	case bpf_htons(ETH_P_IPV6):
		a->is_unread = !arrival_read6(ctx, offset, a);
		return !a->is_unread;
	}
	return false;
}

/* Extension headers, ports and ICMP type: read only for what would be dropped. */
WEIR_FUNCTION int arrival_finish(struct xdp_md *ctx, struct arrival *a)
{
	struct {
		__be16 source, target;
	} port;
	__u8 header[4] = {};

	if (!a)
		return 0;
	for (int i = 0; i < EXTENSIONS && !address_is4(&a->source); i++) {
		__u8 is_fragment = a->protocol == IPPROTO_FRAGMENT;

		if (!is_fragment && a->protocol != IPPROTO_HOPOPTS &&
		    a->protocol != IPPROTO_ROUTING && a->protocol != IPPROTO_DSTOPTS)
			break;
		if (!load(ctx, a->offset, header, sizeof(header)))
			return a->is_unread = 1;
		a->offset += is_fragment ? 8 : (header[1] + 1) * 8;
		a->protocol = header[0];
		if (is_fragment && (header[2] || header[3] & 0xf8))
			a->is_later_fragment = 1;
	}
	if (a->is_later_fragment)
		return 0;
	if (a->protocol == IPPROTO_ICMPV6 || a->protocol == IPPROTO_ICMP) {
		if (!load(ctx, a->offset, header, 2))
			a->is_unread = 1;
		a->icmp_type = header[0];
		a->icmp_code = header[1];
	} else if (a->protocol == IPPROTO_TCP || a->protocol == IPPROTO_UDP ||
		   a->protocol == IPPROTO_SCTP || a->protocol == IPPROTO_UDPLITE) {
		if (!load(ctx, a->offset, &port, sizeof(port)))
			a->is_unread = 1;
		else {
			a->source_port = bpf_ntohs(port.source);
			a->target_port = bpf_ntohs(port.target);
		}
	}
	return 0;
}

/* Neighbour and multicast listener discovery, DHCP; and "too big", which routers that nobody named
 * send, and without which the lifeline stalls on a path with a smaller MTU. */
static __always_inline bool is_vital(const struct arrival *a)
{
	if (a->protocol == IPPROTO_ICMPV6)
		return (a->icmp_type >= 130 && a->icmp_type <= 137) || a->icmp_type == 143 ||
		       a->icmp_type == 2;
	if (a->protocol == IPPROTO_ICMP)
		return a->icmp_type == 3 && a->icmp_code == 4;
	if (a->protocol != IPPROTO_UDP)
		return false;
	return (a->source_port == 67 && a->target_port == 68) ||
	       (a->source_port == 547 && a->target_port == 546);
}

WEIR_FUNCTION bool is_lifeline(const struct arrival *a, __u32 slot)
{
	struct weir_span span;
	struct lifeline_search s = {};

	if (!a)
		return false;
	span = lifeline_of(slot, &a->source);
	if (!span.count)
		return false;
	if (a->is_later_fragment)
		return true;
	s.slot = slot;
	s.first = span.first;
	s.service = WEIR_ANY;
	s.port = a->target_port;
	s.port2 = a->source_port;
	s.protocol = a->protocol;
	s.directions = 1 << WEIR_SERVES | 1 << WEIR_CALLS;
	bpf_loop(span.count, lifeline_step, &s, 0);
	return s.found;
}

/* ---- what is known of a source ---------------------------------------------------------------*/

/* Where the two places of its set are, and which of them it takes when both are in use. A product
 * with a secret spreads whatever addresses a peer picks (Dietzfelbinger 1996), at a tenth of what
 * SipHash takes; who found the secret out would make the edge slower, and nothing else. */
static __always_inline __u32 set_of(const struct weir_address *source, __u32 *way)
{
	const struct weir_control *control = control_get();
	__u64 hash;

	*way = 0;
	if (!control)
		return 0;
	hash = address_high(source) * (control->secret[0] | 1) +
	       address_low(source) * (control->secret[1] | 1);
	*way = hash >> 32 & 1;
	return (hash >> 40) % WEIR_EDGE_SETS;
}

static __always_inline struct weir_edge *place_get(__u32 set, __u32 way)
{
	__u32 place = 2 * set + (way & 1);

	return bpf_map_lookup_elem(&edge_cache, &place);
}

/* Copies what a place says of known->source. False: nothing, or not of known->generation. */
static __always_inline bool place_read(const struct weir_edge *place, struct weir_edge *known)
{
	__u32 word;

	if (!place)
		return false;
	word = READ_ONCE(place->word);
	read_barrier();
	if (word & EDGE_WRITING || place->generation != known->generation ||
	    !address_equal(&place->source, &known->source))
		return false;
	known->partner_key = place->partner_key;
	known->word = word;
	read_barrier();
	return READ_ONCE(place->word) == word;
}

/* Another CPU at it: that one's stays, ours was used once. */
static __always_inline void place_write(struct weir_edge *place, const struct weir_edge *fresh)
{
	__u32 word = READ_ONCE(place->word);

	if (word & EDGE_WRITING ||
	    __sync_val_compare_and_swap(&place->word, word, word | EDGE_WRITING) != word)
		return;
	place->source = fresh->source;
	place->generation = fresh->generation;
	place->partner_key = fresh->partner_key;
	word = (word & ~EDGE_FLAGS) + EDGE_SEQUENCE;
	__sync_lock_test_and_set(&place->word, word | (fresh->word & EDGE_FLAGS)); /* a barrier */
}

static __always_inline void keep(const struct weir_edge *fresh)
{
	__u32 way, set = set_of(&fresh->source, &way);
	struct weir_edge *place = place_get(set, way), *other = place_get(set, !way);

	if (!place || !other)
		return;
	if (place->generation == fresh->generation && other->generation != fresh->generation)
		place = other;
	place_write(place, fresh);
}

/* Whether a cut covers the source whatever it talks to, and who it is. */
WEIR_FUNCTION int source_judge(struct weir_edge *fresh, __u64 active)
{
	const struct weir_address *source;
	const struct weir_partner *record;
	__u64 until_ns = FOREVER;
	struct cut_search s = {};

	if (!fresh)
		return 0;
	source = &fresh->source;
	s.partner = partner_of(weir_policy_slot(active), source);
	if (s.partner == WEIR_NO_PARTNER)
		s.partner = partner_added(source, weir_cut_slot(active), bpf_ktime_get_boot_ns(),
					  &until_ns);
	record = partner_get(weir_policy_slot(active), s.partner);
	if (record)
		classes_add(s.classes, record->classes);
	s.high = address_high(source);
	s.low = address_low(source);
	s.by_address = 1;
	fresh->partner_key = record ? record->key : 0;
	fresh->word = cut_scan(weir_cut_slot(active), &s) ? EDGE_CUT : 0;
	if (lifeline_of(weir_policy_slot(active), source).count)
		fresh->word |= EDGE_LIFELINE;
	/* What ends by itself is asked each time: no end raises the generation without a daemon. */
	if (until_ns == FOREVER)
		keep(fresh);
	return 0;
}

/* Of known->source, under `active`. */
static __always_inline void source_look(struct weir_edge *known, __u64 active)
{
	__u32 way, set = set_of(&known->source, &way);

	known->generation = weir_generation(active);
	if (!place_read(place_get(set, way), known) && !place_read(place_get(set, !way), known))
		source_judge(known, active);
}

static __always_inline int edge(struct xdp_md *ctx)
{
	__u64 active = active_read();
	__u32 cut_slot = weir_cut_slot(active);
	const struct weir_cut_head *head = bpf_map_lookup_elem(&cut_heads, &cut_slot);
	struct weir_edge source = {};
	struct arrival a = {};
	bool is_usual;

	if (!head || !head->touches_edge)
		return XDP_PASS;
	is_usual = usual_read(ctx, &a);
	if (!is_usual && !arrival_read(ctx, &a)) {
		if (a.is_unread)
			loss_count(WEIR_LOST_EDGE_UNREAD);
		return XDP_PASS;
	}
	source.source = a.source;
	source_look(&source, active);
	if (!(source.word & EDGE_CUT))
		return XDP_PASS;
	if (!is_usual)
		arrival_finish(ctx, &a);
	if (a.is_unread)
		loss_count(WEIR_LOST_EDGE_UNREAD);
	else if (!a.is_later_fragment && is_vital(&a))
		return XDP_PASS;
	if (!a.is_unread && source.word & EDGE_LIFELINE &&
	    is_lifeline(&a, weir_policy_slot(active)))
		return XDP_PASS;
	drops_count(source.partner_key, ctx->data_end - ctx->data);
	return XDP_DROP;
}

SEC("xdp")
int weir_edge(struct xdp_md *ctx)
{
	return edge(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
