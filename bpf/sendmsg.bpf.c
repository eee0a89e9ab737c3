// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * sendmsg.bpf.c - cgroup sendmsg4/6: an early refusal for UDP that is not connected, and in whose
 * name it sends.
 */
#include "early.bpf.h"

/* Whether a datagram asks for the source of somebody else (IPV6_FREEBIND needs no right):
 * mirror.bpf.h asks that later, and until then the socket may have asked for another one. */
static __always_inline void source_note(struct bpf_sock_addr *ctx,
					const struct weir_address *source)
{
	struct weir_socket *s;
	struct bpf_sock *sk = ctx->sk;

	if (!sk || address_is_loopback(source))
		return;
	s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s || s->poses || address_equal(&s->named, source))
		return;
	if (address_is_own(kernel_address(sk), source))
		s->named = *source;
	else
		s->poses = 1;
}

/* Both apart, for the stack. */

static __noinline int source4_note(struct bpf_sock_addr *ctx)
{
	struct weir_address source;

	address_from4(&source, ctx->msg_src_ip4);
	source_note(ctx, &source);
	return 0;
}

static __noinline int source6_note(struct bpf_sock_addr *ctx)
{
	struct weir_address source;

	source.word[0] = ctx->msg_src_ip6[0];
	source.word[1] = ctx->msg_src_ip6[1];
	source.word[2] = ctx->msg_src_ip6[2];
	source.word[3] = ctx->msg_src_ip6[3];
	source_note(ctx, &source);
	return 0;
}

SEC("cgroup/sendmsg4")
int weir_sendmsg4(struct bpf_sock_addr *ctx)
{
	source4_note(ctx);
	return hook_result(early4(ctx));
}

SEC("cgroup/sendmsg6")
int weir_sendmsg6(struct bpf_sock_addr *ctx)
{
	source6_note(ctx);
	return hook_result(early6(ctx));
}

char _license[] SEC("license") = "Dual BSD/GPL";
