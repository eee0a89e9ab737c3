/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * packet.bpf.h - what a packet at the cgroup hooks says of itself: both ends, protocol, payload,
 * and how many IP bytes it will be on the wire.
 *
 * At these hooks the data begins with the IP header, and fragmentation and segmentation are still
 * to come: one skb may become many packets, each with headers of its own.
 */
#ifndef WEIR_PACKET_BPF_H
#define WEIR_PACKET_BPF_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/icmpv6.h>

#include "policy.bpf.h"

enum {
	IP_FRAGMENT_OFFSET = 0x1fff,
	IP_MORE_FRAGMENTS = 0x2000,
	IPV6_EXTENSIONS = 6,  /* headers walked before the packet counts as unreadable */
	RTAX_MTU = 2,	      /* include/uapi/linux/rtnetlink.h */
	NARROWEST_PATH = 552, /* that a peer can bring about: net.ipv4.route.min_pmtu's default */
};

struct packet {
	struct parcel parcel;
	__u32 ip_bytes;	    /* the IP header: options, extension headers */
	__u32 header_bytes; /* IP and transport */
	__u8 icmp_type;
	__u8 tcp_flags;
	__u8 pad[2];
};

#define TCP_FLAG_RST_BIT 0x04

/* Ports, and for TCP what is payload. False: the headers are not all there. */
static __always_inline bool transport_read(struct __sk_buff *skb, __u32 offset, bool is_egress,
					   struct packet *p)
{
	struct {
		__be16 source, destination;
	} port = {};

	p->header_bytes = offset;
	switch (p->parcel.protocol) {
	case IPPROTO_TCP: {
		__u8 tail[2]; /* bytes 12 and 13: data offset, flags */

		if (bpf_skb_load_bytes(skb, offset, &port, sizeof(port)) ||
		    bpf_skb_load_bytes(skb, offset + 12, tail, sizeof(tail)))
			return false;
		p->header_bytes = offset + (tail[0] >> 4) * 4;
		p->tcp_flags = tail[1];
		p->parcel.is_bare = skb->len <= p->header_bytes;
		break;
	}
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (bpf_skb_load_bytes(skb, offset, &port, sizeof(port)))
			return false;
		/* RFC 9260 section 3.1: SCTP's is 12, and its packets are cut into segments too */
		p->header_bytes = offset + (p->parcel.protocol == IPPROTO_SCTP ? 12 : 8);
		break;
	case IPPROTO_ICMPV6:
	case IPPROTO_ICMP:
		if (bpf_skb_load_bytes(skb, offset, &p->icmp_type, 1))
			return false;
		break;
	}
	p->parcel.local_port = bpf_ntohs(is_egress ? port.source : port.destination);
	p->parcel.peer_port = bpf_ntohs(is_egress ? port.destination : port.source);
	return true;
}

/* Loose and strict source routes (RFC 791 section 3.1): the header's destination is only the next
 * hop, so the peer cannot be known. An option that cannot be read counts as one. */
static __always_inline bool is_source_routed(struct __sk_buff *skb, __u32 end)
{
	__u32 offset = sizeof(struct iphdr);
	__u8 option[2];

	for (int i = 0; i < 40 && offset < end; i++) {
		if (bpf_skb_load_bytes(skb, offset, option, sizeof(option)) || option[0] == 131 ||
		    option[0] == 137)
			return true;
		if (!option[0])
			return false;
		if (option[0] != 1 && option[1] < 2)
			return true;
		offset += option[0] == 1 ? 1 : option[1];
	}
	return false;
}

static __always_inline bool packet_read4(struct __sk_buff *skb, bool is_egress, struct packet *p)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.ihl < 5)
		return false;
	address_from4(&p->parcel.local, is_egress ? ip.saddr : ip.daddr);
	address_from4(&p->parcel.peer, is_egress ? ip.daddr : ip.saddr);
	p->parcel.protocol = ip.protocol;
	p->ip_bytes = ip.ihl * 4;
	p->header_bytes = ip.ihl * 4;
	if (ip.ihl > 5 && is_source_routed(skb, ip.ihl * 4))
		return false;
	/* A later fragment carries no ports (a raw socket may send one): it matches no port. */
	if (ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return true;
	return transport_read(skb, ip.ihl * 4, is_egress, p);
}

/* Steps over extension headers (RFC 8200 section 4). Returns the transport's offset, 0 for a later
 * fragment, or -1. */
static __always_inline int ipv6_transport(struct __sk_buff *skb, __u8 next, struct packet *p)
{
	__u32 offset = sizeof(struct ipv6hdr);

	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		__u8 header[4]; /* next header, length in 8 bytes beyond the first; fragment offset
				 */

		switch (next) {
		case IPPROTO_ROUTING:
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
		case IPPROTO_MH:
			if (bpf_skb_load_bytes(skb, offset, header, 4))
				return -1;
			/* Segments left: the destination is only the next hop. */
			if (next == IPPROTO_ROUTING && header[3])
				return -1;
			offset += (header[1] + 1) * 8;
			break;
		case IPPROTO_AH:
			if (bpf_skb_load_bytes(skb, offset, header, 2))
				return -1;
			offset += (header[1] + 2) * 4;
			break;
		case IPPROTO_FRAGMENT:
			if (bpf_skb_load_bytes(skb, offset, header, 4))
				return -1;
			offset += 8;
			if (header[2] || header[3] & 0xf8) {
				p->parcel.protocol = header[0];
				p->header_bytes = offset;
				return 0;
			}
			break;
		default:
			p->parcel.protocol = next;
			return offset;
		}
		next = header[0];
	}
	return -1;
}

static __always_inline bool packet_read6(struct __sk_buff *skb, bool is_egress, struct packet *p)
{
	struct ipv6hdr ip;
	int offset;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return false;
	__builtin_memcpy(&p->parcel.local, is_egress ? &ip.saddr : &ip.daddr, 16);
	__builtin_memcpy(&p->parcel.peer, is_egress ? &ip.daddr : &ip.saddr, 16);
	/* On the wire a v4-mapped address is nobody's; here it would stand for the IPv4 one. */
	if (address_is4(&p->parcel.local) || address_is4(&p->parcel.peer))
		return false;
	offset = ipv6_transport(skb, ip.nexthdr, p);
	if (offset < 0)
		return false;
	p->ip_bytes = offset ? (__u32)offset : p->header_bytes;
	return !offset || transport_read(skb, offset, is_egress, p);
}

WEIR_FUNCTION bool packet_read(struct __sk_buff *skb, bool is_egress, struct packet *p)
{
	if (!p)
		return false;
	switch (skb->protocol) {
	case bpf_htons(0x0800):
		return packet_read4(skb, is_egress, p);
	case bpf_htons(0x86dd):
		return packet_read6(skb, is_egress, p);
	}
	return false;
}

/* The smallest MTU that the way out may have: the device's, the route's, the path's
 * (net/ipv4/route.c ipv4_mtu, include/net/ip6_route.h). 0: not to be read. */
static __always_inline __u32 path_mtu(struct __sk_buff *skb, bool is4)
{
	struct sk_buff *kernel_skb = (void *)kernel_address(skb);
	__u32 mtu = BPF_CORE_READ(kernel_skb, dev, mtu);
	__u64 reference = BPF_CORE_READ(kernel_skb, _skb_refdst) & ~7ULL; /* SKB_DST_PTRMASK */
	struct dst_entry *dst = (void *)reference;
	__u64 metrics;
	__u32 other = 0;

	if (!dst)
		return mtu;
	metrics = BPF_CORE_READ(dst, _metrics) & ~3ULL; /* __DST_METRICS_PTR */
	if (metrics)
		bpf_probe_read_kernel(&other, sizeof(other),
				      (void *)(metrics + 4 * (RTAX_MTU - 1)));
	if (other && other < mtu)
		mtu = other;
	if (is4) {
		other = BPF_CORE_READ_BITFIELD_PROBED((struct rtable *)dst, rt_pmtu);
		if (other && other < mtu)
			mtu = other;
	}
	return mtu;
}

/*
 * An upper bound of the IP bytes on the wire: each segment's and each fragment's headers. Every
 * fragment repeats the IP header with all that stands in it. IPv6 fragments count as the smallest
 * that a socket may ask for (IPV6_MTU). `is_tcp`: a TCP socket's, which never needs fragments.
 */
WEIR_FUNCTION __u32 packet_wire_bytes(struct __sk_buff *skb, const struct packet *p, bool is_tcp)
{
	__u32 segments = skb->gso_segs, mtu, header, room, payload;
	bool is4;

	if (!p)
		return skb->len;
	if (segments > 1)
		return skb->len + (segments - 1) * p->header_bytes;
	is4 = address_is4(&p->parcel.peer);
	if (is_tcp || skb->len <= NARROWEST_PATH)
		return skb->len;
	mtu = path_mtu(skb, is4);
	if (is4 ? skb->len <= mtu : skb->len <= 1280)
		return skb->len;
	header = is4 ? p->ip_bytes : p->ip_bytes + 8;
	if (!is4)
		mtu = 1280;
	room = mtu > header + 8 ? (mtu - header) & ~7u : 8;
	payload = skb->len > p->ip_bytes ? skb->len - p->ip_bytes : 0;
	return payload + (payload + room - 1) / room * header;
}

#endif
