// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* arrived.bpf.c - what reached an interface over IPv4 TCP and UDP, and when the last of it did: the
 * far end's judge where packets come too fast for a program that reads them. Passes everything. */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETHERNET_BYTES 14

struct arrived {
	__u64 packets;
	__u64 plain_bytes;   /* a segmented packet's headers once: skb->len, as netfilter counts */
	__u64 laden_bytes;   /* of packets with payload; each segment's headers, as on a wire */
	__u64 payload_bytes; /* TCP and UDP */
	__u64 last_ns;	     /* when the last payload came: CLOCK_MONOTONIC */
	__u64 resets;
	__u64 last_reset_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arrived);
} arrivals SEC(".maps");

static __always_inline void note(struct arrived *a, struct __sk_buff *skb, __u32 headers,
				 __u32 bytes)
{
	__u32 segments = skb->gso_segs > 1 ? skb->gso_segs : 1;

	__sync_fetch_and_add(&a->packets, 1);
	__sync_fetch_and_add(&a->plain_bytes, bytes);
	if (bytes <= headers)
		return;
	__sync_fetch_and_add(&a->laden_bytes, bytes + (segments - 1) * headers);
	__sync_fetch_and_add(&a->payload_bytes, bytes - headers);
	a->last_ns = bpf_ktime_get_ns();
}

SEC("tc")
int arrived(struct __sk_buff *skb)
{
	__u32 zero = 0, offset = ETHERNET_BYTES;
	struct arrived *a = bpf_map_lookup_elem(&arrivals, &zero);
	struct iphdr ip;
	__u8 tail[2]; /* of TCP's header: its length, its flags */

	if (!a || skb->protocol != bpf_htons(0x0800) ||
	    bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)))
		return TC_ACT_OK;
	offset += ip.ihl * 4;
	if (ip.protocol == IPPROTO_UDP) {
		note(a, skb, ip.ihl * 4 + 8, skb->len - ETHERNET_BYTES);
	} else if (ip.protocol == IPPROTO_TCP &&
		   !bpf_skb_load_bytes(skb, offset + 12, tail, sizeof(tail))) {
		note(a, skb, ip.ihl * 4 + (tail[0] >> 4) * 4, skb->len - ETHERNET_BYTES);
		if (tail[1] & 4) {
			__sync_fetch_and_add(&a->resets, 1);
			a->last_reset_ns = bpf_ktime_get_ns();
		}
	}
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
