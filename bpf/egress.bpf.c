// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * egress.bpf.c - cgroup_skb egress: every IP packet that a local socket sends. Charge, pass or
 * drop.
 *
 * The usual packet of a running flow finds its answer in `flows` (flow.bpf.h) or with the socket,
 * and is paid for by a lease (lease.bpf.h) or goes straight to its meters. Anything else is judged:
 * the first packet, another peer, a new generation, an opening or closing of hours. Loopback is
 * exempt, but for what is sent there in somebody else's name (source.bpf.h). What cannot be read is
 * refused and counted.
 */
#include "socket.bpf.h"
#include "source.bpf.h"
#include "wire.bpf.h"

/* Kernel sockets of a network namespace: ICMP, neighbour discovery, MLD, TCP's resets. */
static __always_inline bool is_stack(const struct bpf_sock *sk, __u64 address)
{
	return sk->type == SOCK_RAW && is_of_kernel(address);
}

/* Neighbour discovery and MLD of the kernel's, without which IPv6 stops (RFC 4861, 4541). */
static __always_inline bool is_discovery(const struct packet *p)
{
	if (p->parcel.protocol != IPPROTO_ICMPV6)
		return false;
	return (p->icmp_type >= 130 && p->icmp_type <= 137) || p->icmp_type == 143;
}

/* A router solicitation of a user-space daemon. */
static __always_inline bool is_solicitation(const struct packet *p)
{
	return p->parcel.protocol == IPPROTO_ICMPV6 && p->icmp_type == 133 &&
	       p->parcel.bytes <= 128 && (bpf_ntohl(p->parcel.peer.word[0]) >> 16) == 0xff02;
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
	__u64 key = service_key(weir_policy_slot(p->parcel.active), p->parcel.service);
	bool from_stack = is_stack(sk, address);
	bool is_free = from_stack && is_discovery(p);

	if (!from_stack && (is_dhcp(&p->parcel) || is_solicitation(p)))
		is_free = rate_passes(WEIR_KEY_DHCP, key, 0, &p->parcel);
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
	if (s) {
		s->cgroup = p->parcel.cgroup;
		s->is_tcp = is_tcp_socket(sk);
	}
	if (is_tcp_socket(sk)) {
		question_set(&q, &p->parcel, service, tcp_direction(sk->state, s, cookie));
		verdict_decide(&q, a, p->parcel.active);
	} else {
		datagram_decide(&p->parcel, service, cookie, &q, a);
	}
	/* Who may send in another name is asked in whose at each packet. */
	if (s && sk->state != BPF_TCP_LISTEN && !p->parcel.may_pose)
		answer_keep(s, &p->parcel, a);
	return 0;
}

/* What the peer acknowledged since the last look goes to the account that it was charged to. */
static __always_inline void acked_note(struct weir_socket *s, __u64 bytes_acked)
{
	const struct weir_answer *a = &s->answer;
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
	__sync_fetch_and_add(&account->acked_bytes[counters_of(a)], acked - s->acked_bytes);
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

/* What is refused whomever it is sent to: under its service, to no partner. */
static __noinline bool refuse(struct parcel *p, struct weir_answer *a, __u8 reason,
			      const struct weir_socket *s)
{
	struct weir_question q = {.cut_slot = WEIR_ANY, .service = p->service, .now_ns = p->now_ns};

	verdict_decide(&q, a, p->active);
	a->verdict = WEIR_REFUSE;
	a->reason = reason;
	a->grant = WEIR_NO_GRANT;
	return charge_refusal(a, p, s);
}

/* What the packet says, and what its socket knows of the connection. False: it cannot be read. */
static __noinline bool egress_read(struct __sk_buff *skb, const struct bpf_sock *sk,
				   struct packet *p)
{
	bool is_tcp = is_tcp_socket(sk);

	p->parcel.active = active_read();
	p->tick = bpf_jiffies64(); /* before the clock: lease_begin() */
	p->parcel.now_ns = bpf_ktime_get_boot_ns();
	p->parcel.bytes = skb->len;
	if (!packet_read(skb, true, p))
		return false;
	p->parcel.bytes = packet_wire_bytes(skb, p, is_tcp);
	/* Only a TCP socket's own header is no payload, and only with a plain IP header before it:
	 * options and extension headers carry what their sender likes. */
	if (!is_tcp || p->ip_bytes != (address_is4(&p->parcel.peer) ? 20 : 40))
		p->parcel.is_bare = 0;
	if (is_tcp) {
		p->parcel.is_established = state_is_established(sk->state);
		p->parcel.is_urgent = p->tcp_flags & TCP_FLAG_RST_BIT && p->parcel.is_bare;
	}
	return true;
}

/* What a connection may send without payload: a share of what it received, and an acknowledgement
 * for each segment, or a chatty peer with small messages would be stopped one day. Notes what was
 * acknowledged on the way; once the FIN is out, that is left for the end (socket.bpf.c), since
 * bytes_acked may count it. */
static __noinline __u64 connection_look(struct bpf_sock *sk, struct weir_socket *s)
{
	const struct bpf_tcp_sock *tcp;

	if (!is_tcp_socket(sk))
		return 0;
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
		return 0;
	if (s && (sk->state == BPF_TCP_ESTABLISHED || sk->state == BPF_TCP_CLOSE_WAIT))
		acked_note(s, tcp->bytes_acked);
	return BARE_BYTES + tcp->bytes_received / BARE_SHARE + (__u64)tcp->segs_in * BARE_SEGMENT;
}

/*
 * Reads the usual packet: payload on an established connection or in a datagram, with plain
 * headers. `protocol` TCP: of a TCP socket, whose state may_pay() asks. False: it is another, and
 * has to be read whole.
 */
static __always_inline bool usual_read(struct __sk_buff *skb, const struct weir_address *peer,
				       __u16 peer_port, __u8 protocol, struct usual *u)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end, *transport;
	__u32 header_bytes, segments = skb->gso_segs;

	if (skb->protocol == bpf_htons(0x0800)) {
		const struct iphdr *ip = data;

		transport = data + sizeof(*ip);
		if (transport > end || ip->ihl != 5 || ip->protocol != protocol ||
		    ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET | IP_MORE_FRAGMENTS) ||
		    !address_is4(peer) || ip->daddr != peer->word[3])
			return false;
		header_bytes = sizeof(*ip);
	} else {
		const struct ipv6hdr *ip = data;

		transport = data + sizeof(*ip);
		if (skb->protocol != bpf_htons(0x86dd) || transport > end ||
		    ip->nexthdr != protocol || address_is4(peer) ||
		    !address_equal((const struct weir_address *)&ip->daddr, peer))
			return false;
		header_bytes = sizeof(*ip);
	}
	if (protocol == IPPROTO_TCP) {
		const struct tcphdr *tcp = transport;

		if ((void *)(tcp + 1) > end || bpf_ntohs(tcp->dest) != peer_port)
			return false;
		header_bytes += tcp->doff * 4;
	} else {
		const struct udphdr *udp = transport;

		if (protocol != IPPROTO_UDP || (void *)(udp + 1) > end ||
		    bpf_ntohs(udp->dest) != peer_port ||
		    (segments <= 1 && !packet_is_whole(skb, address_is4(peer))))
			return false;
		header_bytes += sizeof(*udp);
	}
	u->bytes = skb->len;
	if (segments > 1)
		u->bytes += (segments - 1) * header_bytes;
	return skb->len > header_bytes;
}

/* Whether a lease may pay, wherever the answer is kept; notes `active` and `tick`. */
static __always_inline bool may_pay(const struct weir_control *control, const struct bpf_sock *sk,
				    __u32 generation, __u64 until_tick, __u8 protocol,
				    struct usual *u)
{
	u->active = READ_ONCE(control->active);
	u->tick = bpf_jiffies64();
	return generation == weir_generation(u->active) && u->tick < until_tick &&
	       !control->freeze_until_ns &&
	       (protocol != IPPROTO_TCP || sk->state == BPF_TCP_ESTABLISHED ||
		sk->state == BPF_TCP_CLOSE_WAIT);
}

/* Whether the socket's end will be told: of a TCP socket that of its connection, of another one
 * its release, but not of the kernel's own (net/ipv4/af_inet.c, inet_release()). */
static __always_inline bool end_is_told(struct bpf_sock *sk, const struct weir_socket *s)
{
	if (s->is_tcp)
		return s->opener != OPENER_UNKNOWN;
	sk = bpf_sk_fullsock(sk);
	return sk && (sk->type != SOCK_DGRAM || !is_of_kernel(kernel_address(sk)));
}

/* Whether a lease pays, by what is kept with the socket. Apart, for the stack. */
static __noinline bool socket_pays(struct __sk_buff *skb)
{
	struct weir_control *control = control_get();
	struct bpf_sock *sk = skb->sk;
	struct weir_socket *s;
	struct usual u;
	__u32 sequence;
	__u64 account;
	__u8 direction;

	if (!sk || !control)
		return false;
	s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!s)
		return false;
	sequence = READ_ONCE(s->sequence);
	read_barrier();
	if (sequence & 1 || (s->protocol == IPPROTO_TCP && !s->is_tcp) /* a raw socket's */ ||
	    !may_pay(control, sk, s->answer.generation, s->until_tick, s->protocol, &u) ||
	    !usual_read(skb, &s->peer, s->peer_port, s->protocol, &u))
		return false;
	account = s->answer.account;
	direction = counters_of(&s->answer);
	read_barrier();
	if (READ_ONCE(s->sequence) != sequence || !lease_spend(account, s->cgroup, direction, &u))
		return false;
	__sync_fetch_and_add(&s->sent_bytes, u.bytes);
	if (!s->has_ended && end_is_told(sk, s))
		flow_keep(s, sequence, bpf_get_socket_cookie(skb));
	return true;
}

/* What a lease has paid for goes to the socket, when its place is another one by now. */
static __noinline int socket_count(struct __sk_buff *skb, __u32 bytes)
{
	struct bpf_sock *sk = skb->sk;
	struct weir_socket *s = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;

	if (s)
		__sync_fetch_and_add(&s->sent_bytes, bytes);
	return 0;
}

/* Whether a lease pays, by what `flows` says. */
static __noinline bool flow_pays(struct __sk_buff *skb)
{
	struct weir_control *control = control_get();
	__u64 cookie = bpf_get_socket_cookie(skb), word, account, cgroup;
	struct weir_flow *f = flow_at(cookie);
	struct bpf_sock *sk = skb->sk;
	struct usual u;
	__u8 direction;

	if (!sk || !control || !f || !cookie)
		return false;
	if (!flow_read(f, cookie, &word) || (__u32)word > FLOW_MOST ||
	    !may_pay(control, sk, f->generation, f->until_tick, f->protocol, &u) ||
	    !usual_read(skb, &f->peer, f->peer_port, f->protocol, &u))
		return false;
	account = f->account;
	cgroup = f->cgroup;
	direction = f->direction;
	read_barrier();
	if (READ_ONCE(f->word) != word || !lease_spend(account, cgroup, direction, &u))
		return false;
	if (__sync_val_compare_and_swap(&f->word, word, word + u.bytes) != word)
		socket_count(skb, u.bytes);
	return true;
}

/*
 * Whether it is the usual packet of a running flow, and a lease pays for it: then it passes, and is
 * counted. Without the clock and without the meters, each of which would cost more than all the
 * rest.
 */
static __always_inline bool lease_pays(struct __sk_buff *skb)
{
	return flow_pays(skb) || socket_pays(skb);
}

/* The jiffies before the packet's clock was read. */
static __always_inline __u64 tick_of(const struct packet *p)
{
	__u64 tick = bpf_jiffies64();

	return tick - ((__u32)tick - p->tick);
}

/* Whether what a packet to loopback brings about stays on this host, as it does. */
static __noinline bool is_exempt(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	const struct weir_socket *s;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	if (!sk || is_tcp_socket(sk)) /* TCP is not answered with what it carries */
		return true;
	s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	return !may_pose(sk, s, kernel_address(sk));
}

/* True: it passes. */
static __always_inline bool egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct weir_answer a = {};
	struct packet p = {};
	struct weir_socket *s;
	__u64 allowance;
	bool passes;

	if (skb->ifindex == LOOPBACK_IFINDEX ? is_exempt(skb) : lease_pays(skb))
		return true;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk) {
		loss_count(WEIR_LOST_HOOK);
		return false;
	}
	if (!egress_read(skb, sk, &p)) {
		p.parcel.service =
			service_of(kernel_address(sk), p.parcel.active, &p.parcel.cgroup);
		loss_count(WEIR_LOST_UNCLASSIFIED);
		return refuse(&p.parcel, &a, WEIR_REASON_UNCLASSIFIED, NULL);
	}
	s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		loss_count(WEIR_LOST_STORAGE);
	if (!is_tcp_socket(sk) && may_pose(sk, s, kernel_address(sk))) {
		p.parcel.may_pose = 1;
		if (source_is_foreign(kernel_address(sk), &p.parcel.local)) {
			p.parcel.service =
				service_of(kernel_address(sk), p.parcel.active, &p.parcel.cgroup);
			return refuse(&p.parcel, &a, WEIR_REASON_SOURCE, s);
		}
	}
	if (skb->ifindex == LOOPBACK_IFINDEX)
		return true;
	allowance = connection_look(sk, s);
	if (!s || !answer_recall(s, &p.parcel, &a)) {
		p.parcel.service =
			service_of(kernel_address(sk), p.parcel.active, &p.parcel.cgroup);
		judge(skb, sk, &p, s, &a);
	}

	passes = charge(&a, &p.parcel, allowance, s);
	charge_shadow(&a, &p.parcel, s);
	if (!passes)
		return false;
	if (s) {
		lend(&a, &p.parcel, s->cgroup, tick_of(&p));
		__sync_fetch_and_add(&s->sent_bytes, p.parcel.bytes);
	}
	cgroup_count(skb, p.parcel.bytes);
	return true;
}

SEC("cgroup_skb/egress")
int weir_egress(struct __sk_buff *skb)
{
	return hook_result(egress(skb));
}

char _license[] SEC("license") = "Dual BSD/GPL";
