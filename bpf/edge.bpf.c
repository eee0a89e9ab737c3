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
#include "hash.bpf.h"
#include "meter.bpf.h"
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

/* Extension headers, ports and ICMP type: read only for what would be dropped. */
static __noinline int arrival_finish(struct xdp_md *ctx, struct arrival *a)
{
	struct {
		__be16 source, target;
	} port;
	__u8 header[4] = {};

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

static __noinline bool is_lifeline(const struct arrival *a, __u32 slot)
{
	struct weir_span span = lifeline_of(slot, &a->source);
	struct lifeline_search s = {};

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

/* Whether a cut covers the source whatever it talks to. */
static __noinline bool source_is_cut(const struct weir_address *source, __u64 active,
				     __u32 *partner)
{
	const struct weir_edge *known = bpf_map_lookup_elem(&edge_cache, source);
	const struct weir_partner *record;
	struct weir_edge fresh = {};
	struct cut_search s = {};
	__u64 until_ns = FOREVER;

	if (known && known->active == active) {
		*partner = known->partner;
		return known->is_cut;
	}
	fresh.active = active;
	fresh.partner = partner_of(weir_policy_slot(active), source);
	if (fresh.partner == WEIR_NO_PARTNER)
		fresh.partner = partner_added(source, weir_cut_slot(active),
					      bpf_ktime_get_boot_ns(), &until_ns);
	record = partner_get(weir_policy_slot(active), fresh.partner);
	if (record)
		classes_add(s.classes, record->classes);
	s.high = address_high(source);
	s.low = address_low(source);
	s.partner = fresh.partner;
	s.by_address = 1;
	fresh.is_cut = cut_scan(weir_cut_slot(active), &s);
	/* What ends by itself is asked each time: no end raises the generation without a daemon. */
	if (until_ns == FOREVER)
		bpf_map_update_elem(&edge_cache, source, &fresh, BPF_ANY);
	*partner = fresh.partner;
	return fresh.is_cut;
}

static __always_inline void drop_count(__u32 slot, __u32 partner, __u64 bytes)
{
	const struct weir_partner *record = partner_get(slot, partner);
	struct weir_meter *meter = meter_of(WEIR_KEY_EDGE, 0, record ? record->key : 0);

	if (!meter)
		return;
	__sync_fetch_and_add(&meter->refused_bytes, bytes);
	__sync_fetch_and_add(&meter->refused_packets, 1);
}

static __always_inline int edge(struct xdp_md *ctx)
{
	__u64 active = active_read();
	__u32 cut_slot = weir_cut_slot(active), partner = 0, offset = 0;
	const struct weir_cut_head *head = bpf_map_lookup_elem(&cut_heads, &cut_slot);
	struct arrival a = {};
	bool is_read;

	if (!head || !head->touches_edge)
		return XDP_PASS;
	switch (ethernet_read(ctx, &offset)) {
	case bpf_htons(ETH_P_IP):
		is_read = arrival_read4(ctx, offset, &a);
		break;
	case bpf_htons(ETH_P_IPV6):
		is_read = arrival_read6(ctx, offset, &a);
		break;
	default:
		return XDP_PASS;
	}
	if (!is_read) {
		loss_count(WEIR_LOST_EDGE_UNREAD);
		return XDP_PASS;
	}
	if (!source_is_cut(&a.source, active, &partner))
		return XDP_PASS;
	arrival_finish(ctx, &a);
	if (a.is_unread)
		loss_count(WEIR_LOST_EDGE_UNREAD);
	else if (!a.is_later_fragment && is_vital(&a))
		return XDP_PASS;
	if (!a.is_unread && is_lifeline(&a, weir_policy_slot(active)))
		return XDP_PASS;
	drop_count(weir_policy_slot(active), partner, ctx->data_end - ctx->data);
	return XDP_DROP;
}

SEC("xdp")
int weir_edge(struct xdp_md *ctx)
{
	return edge(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
