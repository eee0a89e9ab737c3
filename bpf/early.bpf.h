/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * early.bpf.h - the refusal before the first packet, shared by connect and sendmsg: the process
 * gets EPERM at once, and the event names it.
 *
 * Only a refusal that holds for any packet counts here (no grant, hours, a cut, a latch); budgets
 * are the egress hook's. What passes here is judged again there.
 */
#ifndef WEIR_EARLY_BPF_H
#define WEIR_EARLY_BPF_H

#include "socket.bpf.h"
#include "source.bpf.h"

/* Whether it may go on; else `a` says why not. Apart, so that its stack is free again when the
 * refusal is charged. */
static __noinline bool early_passes(const struct parcel *p, __u64 sk_address, __u64 cookie,
				    bool is_stream, struct weir_answer *a)
{
	struct weir_question q = {};

	/* A DHCP client's packet has its rate at egress. */
	if (address_is_loopback(&p->peer) || is_dhcp(p))
		return true;
	if (is_stream) {
		question_set(&q, p, p->service, WEIR_CALLS);
		verdict_decide(&q, a, p->active);
	} else {
		datagram_decide(p, p->service, cookie, &q, a);
	}
	if (answer_is_severed(a, &p->peer)) {
		a->verdict = WEIR_REFUSE;
		a->reason = WEIR_REASON_SEVERED;
		a->observe = 0;
	}
	return a->verdict == WEIR_PASS || address_is_own(sk_address, &p->peer);
}

/* The process that calls, so that an event can name it. */
static __always_inline void socket_owner_note(struct weir_socket *s)
{
	s->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(s->program, sizeof(s->program));
}

/* Whether a socket is bound to an address that is somebody else's. */
static __noinline bool is_bound_foreign(struct bpf_sock *sk)
{
	__be32 bound4 = sk->src_ip4;
	struct weir_address bound;

	/* Read here: clang would merge it with the reads below (socket.bpf.c, parcel_of_ops()). */
	barrier_var(bound4);
	bound.word[0] = sk->src_ip6[0];
	bound.word[1] = sk->src_ip6[1];
	bound.word[2] = sk->src_ip6[2];
	bound.word[3] = sk->src_ip6[3];
	if (sk->family == AF_INET)
		address_from4(&bound, bound4);
	return source_is_foreign(kernel_address(sk), &bound);
}

static __always_inline bool early(struct bpf_sock_addr *ctx, const struct weir_address *peer)
{
	bool is_stream = ctx->type == SOCK_STREAM && ctx->protocol == IPPROTO_TCP;
	struct bpf_sock *sk = ctx->sk;
	struct weir_answer a = {};
	struct parcel p = {};
	struct weir_socket *s;
	__u64 address;

	if (!sk) {
		loss_count(WEIR_LOST_HOOK);
		return false;
	}
	p.peer = *peer;
	p.active = active_read();
	p.now_ns = bpf_ktime_get_boot_ns();
	p.peer_port = bpf_ntohs(ctx->user_port);
	p.local_port = sk->src_port;
	p.protocol = ctx->protocol;
	s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (s)
		socket_owner_note(s);
	else
		loss_count(WEIR_LOST_STORAGE);
	address = kernel_address(sk);
	p.service = service_of(address, p.active, &p.cgroup);
	if (s)
		s->cgroup = p.cgroup;
	if (!early_passes(&p, address, bpf_get_socket_cookie(ctx), is_stream, &a))
		return charge_refusal(&a, &p, s);
	/* A SYN may carry data. Of datagrams the egress hook sees the source. */
	if (!is_stream || address_is_loopback(&p.peer) || !may_pose(sk, s, address) ||
	    !is_bound_foreign(sk))
		return true;
	a.verdict = WEIR_REFUSE;
	a.reason = WEIR_REASON_SOURCE;
	a.grant = WEIR_NO_GRANT;
	return charge_refusal(&a, &p, s);
}

static __always_inline bool early4(struct bpf_sock_addr *ctx)
{
	struct weir_address peer;

	address_from4(&peer, ctx->user_ip4);
	return early(ctx, &peer);
}

static __always_inline bool early6(struct bpf_sock_addr *ctx)
{
	struct weir_address peer;

	peer.word[0] = ctx->user_ip6[0];
	peer.word[1] = ctx->user_ip6[1];
	peer.word[2] = ctx->user_ip6[2];
	peer.word[3] = ctx->user_ip6[3];
	return early(ctx, &peer);
}

#endif
