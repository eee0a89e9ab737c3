// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * session.bpf.c - iterators over the sockets of a network namespace: list each connection of a
 * guarded socket, and what its next packet would meet. They change nothing, not even a counter.
 *
 * An object file of its own: a kernel that refuses it loses the list, and no cut. Each connection
 * is written out as a struct weir_session.
 */
#include "iterate.bpf.h"
#include "own.bpf.h"

/* Judges it under the cuts in force. False: it stays on this host. */
static __noinline bool session_judge(const struct parcel *p, __u8 direction, __u64 sk_address,
				     struct weir_answer *a)
{
	struct weir_question q = {};

	if (address_is_loopback(&p->peer) || address_is_own(sk_address, &p->peer))
		return false;
	question_set(&q, p, p->service, direction);
	verdict_decide(&q, a, p->active);
	return true;
}

/* The socket itself, beside what is sent through it. */
struct look {
	__u64 cookie;
	__u64 sk; /* its address */
	__u32 uid;
	__u8 is_severed;
};

/* What TCP knows better than the last packet did. Once the FIN is out, bytes_acked may count it. */
static __always_inline void session_tcp(struct weir_session *out, __u64 sk,
					const struct weir_socket *s)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u8 state = BPF_CORE_READ((struct sock_common *)sk, skc_state);
	__u64 acked;

	out->waiting_bytes = (__u32)(BPF_CORE_READ(tcp, write_seq) - BPF_CORE_READ(tcp, snd_una));
	if (!s || !s->is_based || (state != BPF_TCP_ESTABLISHED && state != BPF_TCP_CLOSE_WAIT))
		return;
	acked = BPF_CORE_READ(tcp, bytes_acked) - s->acked_base;
	if (acked > out->acked_bytes)
		out->acked_bytes = acked;
}

/* Apart, so that its stack is free while the connection is judged. No room in the reader's buffer:
 * the kernel comes back to this socket. */
static __noinline int session_write(struct seq_file *seq, const struct look *look,
				    const struct parcel *p, const struct weir_answer *a,
				    const struct weir_socket *s)
{
	__u64 sk = look->sk; /* a CO-RE read would take a field of `look` for the kernel's */
	struct weir_session out = {
		.cookie = look->cookie,
		.inode = BPF_CORE_READ((struct sock *)sk, sk_socket, file, f_inode, i_ino),
		.account = a->account,
		.order = weir_order_of(a),
		.service = a->service,
		.partner = a->partner,
		.grant = a->grant,
		.uid = look->uid,
		.local_port = p->local_port,
		.peer_port = p->peer_port,
		.family = BPF_CORE_READ((struct sock_common *)sk, skc_family),
		.protocol = p->protocol,
		.direction = a->direction,
		.verdict = a->verdict,
		.reason = a->reason,
		.is_severed = look->is_severed,
	};

	__builtin_memcpy(out.local, &p->local, 16);
	__builtin_memcpy(out.peer, &p->peer, 16);
	if (s) {
		/* In this order: what moves meanwhile is missed once, not counted
		 * twice.
		 */
		out.sent_bytes = READ_ONCE(s->sent_bytes);
		out.sent_bytes += flow_bytes(look->cookie);
		out.acked_bytes = s->acked_bytes;
		out.pid = s->pid;
		__builtin_memcpy(out.program, s->program, sizeof(out.program));
		out.is_counted = 1;
	}
	if (p->protocol == IPPROTO_TCP)
		session_tcp(&out, sk, s);
	return bpf_seq_write(seq, &out, sizeof(out));
}

SEC("iter/tcp")
int weir_list_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct look look = {.uid = ctx->uid};
	struct weir_answer a = {};
	struct weir_socket *s;
	struct tcp_sock *tcp;
	struct parcel p = {};
	__u8 state, direction;

	if (!common)
		return 0;
	state = BPF_CORE_READ(common, skc_state);
	if (state == TCP_LISTEN || state == TCP_CLOSE)
		return 0;
	tcp = bpf_skc_to_tcp_sock(common);
	if (!tcp) /* TIME_WAIT, or a handshake under way */
		return 0;
	look.sk = kernel_address(tcp);
	if (!is_guarded(look.sk))
		return 0;
	s = bpf_sk_storage_get(&sockets, tcp, NULL, 0);
	ends_read(common, &p);
	p.protocol = IPPROTO_TCP;
	p.service = service_of(look.sk, p.active, &p.cgroup);
	look.cookie = bpf_get_socket_cookie(tcp);
	tcp_direction_read(state, s, look.cookie, &direction);
	if (!session_judge(&p, direction, look.sk, &a))
		return 0;
	look.is_severed = answer_is_severed(&a, &p.peer);
	session_write(ctx->meta->seq, &look, &p, &a, s);
	return 0;
}

SEC("iter/udp")
int weir_list_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct sock_common *common = (struct sock_common *)udp;
	struct look look = {.uid = ctx->uid};
	__u8 direction = WEIR_CALLS;
	struct weir_answer a = {};
	struct weir_socket *s;
	struct parcel p = {};

	if (!udp || BPF_CORE_READ(common, skc_state) != TCP_ESTABLISHED)
		return 0;
	look.sk = kernel_address(udp);
	if (!is_guarded(look.sk))
		return 0;
	s = bpf_sk_storage_get(&sockets, udp, NULL, 0);
	ends_read(common, &p);
	p.protocol = IPPROTO_UDP;
	p.service = service_of(look.sk, p.active, &p.cgroup);
	look.cookie = bpf_get_socket_cookie(udp);
	if (s && s->answer.generation && s->answer.direction == WEIR_SERVES)
		direction = WEIR_SERVES;
	if (!session_judge(&p, direction, look.sk, &a))
		return 0;
	look.is_severed = answer_is_severed(&a, &p.peer);
	session_write(ctx->meta->seq, &look, &p, &a, s);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
