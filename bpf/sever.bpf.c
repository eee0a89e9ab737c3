// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * sever.bpf.c - iterators over the sockets of a network namespace: select those that an order
 * means, and end them.
 *
 * "Means" is the same decision that every packet meets, so what is ended is what is refused. Never
 * a listening socket (it would never accept again), UDP only when connected. An object file of its
 * own: bpf_sock_destroy (6.5) is missing on older kernels, where weir_select_* names the sockets
 * and user space ends them through sock_diag. Each selected socket is written out as a struct
 * weir_selected.
 */
#include "iterate.bpf.h"
#include "own.bpf.h"

/* Weak: libbpf resolves it for the whole object, also where no loaded program calls it. */
extern int bpf_sock_destroy(struct sock_common *sk) __ksym __weak;

static __always_inline bool is_same_stranger(const __u8 *wanted, const struct weir_address *peer)
{
	__u64 high, low, wanted_high, wanted_low;

	weir_stranger(peer->byte, &high, &low);
	weir_stranger(wanted, &wanted_high, &wanted_low);
	return high == wanted_high && low == wanted_low;
}

static __always_inline bool is_meant(const struct weir_sever_request *request,
				     const struct weir_answer *a, const struct weir_address *peer)
{
	if (request->mode == WEIR_SEVER_ACCOUNT)
		return a->account == request->account &&
		       (!request->is_one_peer || is_same_stranger(request->peer, peer));
	return (a->verdict == WEIR_REFUSE && a->reason == WEIR_REASON_CUT) ||
	       answer_is_severed(a, peer);
}

/* Judges a socket as its next packet would be. True: the request means it. */
static __noinline bool socket_is_meant(const struct parcel *p, __u8 direction, __u64 sk_address,
				       struct weir_answer *a)
{
	const struct weir_sever_request *request;
	struct weir_question q = {};
	__u32 zero = 0;

	request = bpf_map_lookup_elem(&sever_request, &zero);
	if (!request || address_is_loopback(&p->peer))
		return false;
	question_set(&q, p, p->service, direction);
	q.cut_slot = request->cut_slot;
	verdict_decide(&q, a, p->active);
	return is_meant(request, a, &p->peer) && !address_is_own(sk_address, &p->peer);
}

static __always_inline bool select_tcp(struct sock_common *common, struct tcp_sock **found,
				       struct parcel *p, struct weir_answer *a)
{
	struct weir_socket *s;
	struct tcp_sock *tcp;
	__u8 state;

	state = BPF_CORE_READ(common, skc_state);
	if (state == TCP_LISTEN || state == TCP_CLOSE)
		return false;
	tcp = bpf_skc_to_tcp_sock(common);
	if (!tcp) /* TIME_WAIT, or a handshake under way */
		return false;
	if (!is_guarded(kernel_address(tcp)))
		return false;
	*found = tcp;
	s = bpf_sk_storage_get(&sockets, tcp, NULL, 0);
	ends_read(common, p);
	p->protocol = IPPROTO_TCP;
	p->service = service_of(kernel_address(tcp), p->active, &p->cgroup);
	return socket_is_meant(p, tcp_direction(state, s, bpf_get_socket_cookie(tcp)),
			       kernel_address(tcp), a);
}

static __always_inline bool select_udp(struct udp_sock *udp, struct parcel *p,
				       struct weir_answer *a)
{
	struct sock_common *common = (struct sock_common *)udp;
	struct weir_socket *s;
	__u8 direction = WEIR_CALLS;

	if (!udp || BPF_CORE_READ(common, skc_state) != TCP_ESTABLISHED)
		return false;
	if (!is_guarded(kernel_address(udp)))
		return false;
	s = bpf_sk_storage_get(&sockets, udp, NULL, 0);
	ends_read(common, p);
	p->protocol = IPPROTO_UDP;
	p->service = service_of(kernel_address(udp), p->active, &p->cgroup);
	if (s && s->answer.generation && s->answer.direction == WEIR_SERVES)
		direction = WEIR_SERVES;
	return socket_is_meant(p, direction, kernel_address(udp), a);
}

/* False: there was no room in the reader's buffer; the kernel comes back to this socket. */
static __noinline bool selected_write(struct seq_file *seq, const struct parcel *p,
				      const struct weir_answer *a, __u64 cookie, __u32 family_ended)
{
	struct weir_selected out = {};

	out.cookie = cookie;
	out.order = weir_order_of(a);
	out.service = a->service;
	out.partner = a->partner;
	__builtin_memcpy(out.local, &p->local, 16);
	__builtin_memcpy(out.peer, &p->peer, 16);
	out.local_port = p->local_port;
	out.peer_port = p->peer_port;
	out.protocol = p->protocol;
	out.family = family_ended >> 1;
	out.is_ended = family_ended & 1;
	return !bpf_seq_write(seq, &out, sizeof(out));
}

/* Writes a selected socket out. The address family and whether it is ended go as one number: five
 * arguments are all there are. */
static __always_inline bool socket_write(struct bpf_iter_meta *meta, struct sock_common *common,
					 __u64 cookie, const struct parcel *p,
					 const struct weir_answer *a, bool is_ended)
{
	__u32 family = BPF_CORE_READ(common, skc_family);

	return selected_write(meta->seq, p, a, cookie, family << 1 | is_ended);
}

SEC("iter/tcp")
int weir_select_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct weir_answer a = {};
	struct tcp_sock *tcp = NULL;
	struct parcel p = {};

	if (sk && select_tcp(sk, &tcp, &p, &a))
		socket_write(ctx->meta, sk, bpf_get_socket_cookie(tcp), &p, &a, false);
	return 0;
}

SEC("iter/udp")
int weir_select_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct weir_answer a = {};
	struct parcel p = {};

	if (udp && select_udp(udp, &p, &a))
		socket_write(ctx->meta, (struct sock_common *)udp, bpf_get_socket_cookie(udp), &p,
			     &a, false);
	return 0;
}

SEC("iter/tcp")
int weir_sever_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct weir_answer a = {};
	struct tcp_sock *tcp = NULL;
	struct parcel p = {};

	if (sk && select_tcp(sk, &tcp, &p, &a) &&
	    socket_write(ctx->meta, sk, bpf_get_socket_cookie(tcp), &p, &a, true))
		bpf_sock_destroy(sk);
	return 0;
}

SEC("iter/udp")
int weir_sever_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;
	struct weir_answer a = {};
	struct parcel p = {};

	if (udp && select_udp(udp, &p, &a) &&
	    socket_write(ctx->meta, (struct sock_common *)udp, bpf_get_socket_cookie(udp), &p, &a,
			 true))
		bpf_sock_destroy((struct sock_common *)udp);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
