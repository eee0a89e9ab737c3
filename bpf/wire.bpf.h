/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * wire.bpf.h - what a packet that leaves takes on the wire, where it may leave as several.
 *
 * Of one object alone: libbpf's linker (1.2) does not join a kernel function that two of them name.
 */
#ifndef WEIR_WIRE_BPF_H
#define WEIR_WIRE_BPF_H

#include "packet.bpf.h"

enum {
	RTAX_MTU = 2,	      /* include/uapi/linux/rtnetlink.h */
	NARROWEST_PATH = 552, /* that a peer can bring about: net.ipv4.route.min_pmtu's default */
};

/* Linux 6.2: a typed pointer to a kernel object, read in place. Without it each field is copied by
 * bpf_probe_read_kernel(), ten times as dear. */
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

#define AS_KERNEL(type, object) \
	((type *)bpf_rdonly_cast((const void *)(object), bpf_core_type_id_kernel(type)))

/* What is said of the MTU of a way out; 0: nothing. */
struct mtus {
	__u32 device, route, path;
};

static __always_inline void mtus_in_place(struct __sk_buff *skb, bool is4, struct mtus *mtus)
{
	const struct sk_buff *kernel_skb = AS_KERNEL(struct sk_buff, skb);
	__u64 reference = kernel_skb->_skb_refdst & ~7ULL; /* SKB_DST_PTRMASK */
	const struct dst_entry *dst = AS_KERNEL(struct dst_entry, reference);

	mtus->device = kernel_skb->dev->mtu;
	if (!reference)
		return;
	mtus->route = AS_KERNEL(struct dst_metrics, dst->_metrics & ~3ULL)->metrics[RTAX_MTU - 1];
	if (is4)
		mtus->path = BPF_CORE_READ_BITFIELD(AS_KERNEL(struct rtable, dst), rt_pmtu);
}

static __always_inline void mtus_copied(struct __sk_buff *skb, bool is4, struct mtus *mtus)
{
	struct sk_buff *kernel_skb = (void *)kernel_address(skb);
	__u64 reference = BPF_CORE_READ(kernel_skb, _skb_refdst) & ~7ULL;
	struct dst_entry *dst = (void *)reference;
	struct dst_metrics *metrics;

	mtus->device = BPF_CORE_READ(kernel_skb, dev, mtu);
	if (!dst)
		return;
	metrics = (void *)(BPF_CORE_READ(dst, _metrics) & ~3ULL); /* __DST_METRICS_PTR */
	if (metrics)
		mtus->route = BPF_CORE_READ(metrics, metrics[RTAX_MTU - 1]);
	if (is4)
		mtus->path = BPF_CORE_READ_BITFIELD_PROBED((struct rtable *)dst, rt_pmtu);
}

/* The smallest MTU that the way out may have: the device's, the route's, the path's
 * (net/ipv4/route.c ipv4_mtu, include/net/ip6_route.h). 0: not to be read. */
static __always_inline __u32 path_mtu(struct __sk_buff *skb, bool is4)
{
	struct mtus mtus = {};
	__u32 mtu;

	if (bpf_rdonly_cast)
		mtus_in_place(skb, is4, &mtus);
	else
		mtus_copied(skb, is4, &mtus);
	mtu = mtus.device;
	if (mtus.route && mtus.route < mtu)
		mtu = mtus.route;
	if (mtus.path && mtus.path < mtu)
		mtu = mtus.path;
	return mtu;
}

/* Whether a datagram leaves as the one packet that it is. Of IPv6 only what no way out may cut: a
 * socket may ask for the smallest fragments (IPV6_MTU). */
static __always_inline bool packet_is_whole(struct __sk_buff *skb, bool is4)
{
	if (skb->len <= NARROWEST_PATH)
		return true;
	return is4 ? skb->len <= path_mtu(skb, true) : skb->len <= 1280;
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
