// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * egress.bpf.c - cgroup_skb egress: every IP packet that a local socket sends. Charge, pass or
 * drop.
 *
 * The usual packet of a running flow finds its answer with the socket and goes straight to its
 * meters. Anything else is judged: the first packet, another peer, a new generation, an opening or
 * closing of hours. Loopback is exempt. What cannot be read is refused and counted.
 */
#include "socket.bpf.h"

#define DHCP4_CLIENT 68
#define DHCP4_SERVER 67
#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547

/* Kernel sockets of a network namespace: ICMP, neighbour discovery, MLD, TCP's resets. */
static __always_inline bool is_stack(const struct bpf_sock *sk, __u64 address)
{
	return sk->type == SOCK_RAW &&
	       BPF_CORE_READ_BITFIELD_PROBED((struct sock *)address, sk_kern_sock);
}

static __always_inline bool is_dhcp(const struct parcel *p)
{
	if (p->protocol != IPPROTO_UDP)
		return false;
	if (address_is4(&p->peer))
		return p->local_port == DHCP4_CLIENT && p->peer_port == DHCP4_SERVER;
	return p->local_port == DHCP6_CLIENT && p->peer_port == DHCP6_SERVER;
}

/* Neighbour discovery: all of the kernel's, and a router solicitation of a user-space daemon. */
static __always_inline bool is_discovery(const struct packet *p, bool from_stack)
{
	if (p->parcel.protocol != IPPROTO_ICMPV6 || p->icmp_type < 133 || p->icmp_type > 137)
		return false;
	return from_stack || (p->icmp_type == 133 && p->parcel.bytes <= 128 &&
			      (bpf_ntohl(p->parcel.peer.word[0]) >> 16) == 0xff02);
}

static __always_inline bool state_is_established(__u32 state)
{
	switch (state) {
	case BPF_TCP_ESTABLISHED:
	case BPF_TCP_FIN_WAIT1:
	case BPF_TCP_FIN_WAIT2:
	case BPF_TCP_CLOSE_WAIT:
	case BPF_TCP_LAST_ACK:
	case BPF_TCP_CLOSING:
		return true;
	}
	return false;
}

/* The kernel's own packets, and what must get through whatever the policy says. */
static __always_inline bool judge_special(const struct bpf_sock *sk, __u64 address,
					  struct packet *p, struct weir_question *q,
					  struct weir_answer *a)
{
	bool from_stack = is_stack(sk, address);
	bool is_free = is_discovery(p, from_stack);

	if (!is_free && is_dhcp(&p->parcel))
		is_free = rate_passes(WEIR_KEY_DHCP, 0, 0, &p->parcel);
	if (!is_free && !from_stack)
		return false;
	p->parcel.is_urgent = is_free;
	question_set(q, &p->parcel, WEIR_SERVICE_STACK, WEIR_CALLS);
	verdict_decide(q, a, p->parcel.active);
	return true;
}

/* Apart, so that its stack is free again when the parcel is charged. */
static __noinline int judge(struct __sk_buff *skb, const struct bpf_sock *sk, struct packet *p,
			    struct weir_socket *s, struct weir_answer *a)
{
	__u64 address = kernel_address(sk), cookie = bpf_get_socket_cookie(skb);
	struct weir_question q = {};
	__u32 service = p->parcel.service;

	if (judge_special(sk, address, p, &q, a))
		return 0;
	if (s)
		s->cgroup = p->parcel.cgroup;
	if (sk->type == SOCK_STREAM && sk->protocol == IPPROTO_TCP) {
		question_set(&q, &p->parcel, service, tcp_direction(sk->state, s, cookie));
		verdict_decide(&q, a, p->parcel.active);
	} else {
		datagram_decide(&p->parcel, service, cookie, &q, a);
	}
	if (s && sk->state != BPF_TCP_LISTEN)
		answer_keep(s, &p->parcel, a);
	return 0;
}

/* What the peer acknowledged since the last look goes to the account. */
static __always_inline void acked_note(struct weir_socket *s, const struct weir_answer *a,
				       __u64 bytes_acked)
{
	struct weir_meter *account;
	__u64 acked;

	if (!s->is_based) {
		s->acked_base = bytes_acked;
		s->is_based = 1;
	}
	acked = bytes_acked - s->acked_base;
	if (acked <= s->acked_bytes)
		return;
	account = bpf_map_lookup_elem(&meters, &a->account);
	if (!account)
		return;
	__sync_fetch_and_add(&account->acked_bytes[a->direction != WEIR_SERVES],
			     acked - s->acked_bytes);
	s->acked_bytes = acked;
}

static __always_inline void cgroup_count(struct __sk_buff *skb, __u32 bytes)
{
	__u64 id = bpf_skb_cgroup_id(skb);
	struct weir_cgroup *c = bpf_map_lookup_elem(&cgroups, &id);

	if (!c)
		return;
	__sync_fetch_and_add(&c->sent_bytes, bytes);
	__sync_fetch_and_add(&c->sent_packets, 1);
}

/* A packet whose headers cannot be read: refused under its service, to no partner. */
static __noinline bool refuse_unread(struct parcel *p, struct weir_answer *a)
{
	struct weir_question q = {.cut_slot = WEIR_ANY, .service = p->service, .now_ns = p->now_ns};

	loss_count(WEIR_LOST_UNCLASSIFIED);
	verdict_decide(&q, a, p->active);
	a->verdict = WEIR_REFUSE;
	a->reason = WEIR_REASON_UNCLASSIFIED;
	a->grant = WEIR_NO_GRANT;
	return charge_refusal(a, p, NULL);
}

/* True: it passes. */
static __always_inline bool egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct weir_answer a = {};
	const struct bpf_tcp_sock *tcp = NULL;
	struct packet p = {};
	struct weir_socket *s;
	bool passes;

	if (skb->ifindex == LOOPBACK_IFINDEX)
		return true;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk) {
		loss_count(WEIR_LOST_HOOK);
		return false;
	}
	p.parcel.active = active_read();
	p.parcel.now_ns = bpf_ktime_get_boot_ns();
	if (!packet_read(skb, true, &p)) {
		p.parcel.bytes = skb->len;
		p.parcel.service =
			service_of(kernel_address(sk), p.parcel.active, &p.parcel.cgroup);
		return refuse_unread(&p.parcel, &a);
	}
	p.parcel.bytes = packet_wire_bytes(skb, &p);
	if (sk->type == SOCK_STREAM && sk->protocol == IPPROTO_TCP) {
		p.parcel.is_established = state_is_established(sk->state);
		p.parcel.is_urgent = p.tcp_flags & TCP_FLAG_RST_BIT && p.parcel.is_bare;
		tcp = bpf_tcp_sock(sk);
	}

	s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		loss_count(WEIR_LOST_STORAGE);
	if (!s || !answer_recall(s, &p.parcel, &a)) {
		p.parcel.service =
			service_of(kernel_address(sk), p.parcel.active, &p.parcel.cgroup);
		judge(skb, sk, &p, s, &a);
	}

	passes = charge(&a, &p.parcel, tcp ? tcp->bytes_received : 0, s);
	if (a.shadow != WEIR_NO_GRANT && !p.parcel.is_bare)
		charge_shadow(&a, &p.parcel, s);
	/* Once the FIN is out, bytes_acked may count it: the rest is left for the end
	 * (socket.bpf.c). */
	if (s && tcp && (sk->state == BPF_TCP_ESTABLISHED || sk->state == BPF_TCP_CLOSE_WAIT))
		acked_note(s, &a, tcp->bytes_acked);
	if (!passes)
		return false;
	if (s)
		s->sent_bytes += p.parcel.bytes;
	cgroup_count(skb, p.parcel.bytes);
	return true;
}

SEC("cgroup_skb/egress")
int weir_egress(struct __sk_buff *skb)
{
	return hook_result(egress(skb));
}

char _license[] SEC("license") = "Dual BSD/GPL";
