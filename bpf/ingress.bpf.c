// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * ingress.bpf.c - cgroup_skb ingress: who spoke to us first, for sockets without connections. It
 * refuses nothing.
 */
#include "socket.bpf.h"

static __always_inline void ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct packet p = {};
	__u64 partner, hash, now_ns;

	if (skb->ifindex == LOOPBACK_IFINDEX || !sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol == IPPROTO_TCP || !packet_read(skb, false, &p))
		return;
	now_ns = bpf_ktime_get_boot_ns();
	partner = partner_key_of(&p.parcel.peer, active_read(), now_ns);
	hash = spoke_hash(bpf_get_socket_cookie(skb), &p.parcel.peer, p.parcel.peer_port,
			  p.parcel.protocol);
	spoke_note(hash, partner, OPENER_THEM, now_ns);
}

SEC("cgroup_skb/ingress")
int weir_ingress(struct __sk_buff *skb)
{
	ingress(skb);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
