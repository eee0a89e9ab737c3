// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * setsockopt.bpf.c - cgroup setsockopt: which sockets may send in somebody else's name
 * (source.bpf.h). It refuses nothing.
 */
#include <linux/in6.h>

#include "socket.bpf.h"

enum { SOL_IP = 0, SOL_IPV6 = 41 };

static __always_inline bool is_of_source(__s32 level, __s32 name)
{
	if (level == SOL_IP)
		return name == IP_HDRINCL || name == IP_FREEBIND || name == IP_TRANSPARENT;
	return level == SOL_IPV6 &&
	       (name == IPV6_HDRINCL || name == IPV6_TRANSPARENT || name == IPV6_FREEBIND);
}

/* Whatever it is set to: the value may change while the kernel reads it. The answer that is kept
 * was about a socket that could not. */
static __always_inline void source_note(struct bpf_sock *sk)
{
	struct weir_socket *s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	__u64 cookie;

	if (!s) {
		loss_count(WEIR_LOST_STORAGE);
		return;
	}
	s->may_pose = 1;
	answer_forget(s);
	cookie = BPF_CORE_READ((struct sock *)kernel_address(sk), __sk_common.skc_cookie.counter);
	if (cookie)
		flow_end(s, cookie);
}

SEC("cgroup/setsockopt")
int weir_setsockopt(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	/* The kernel takes what the caller has: of more than a page we would see a part only. */
	ctx->optlen = 0;
	if (control_get() && sk && is_of_source(ctx->level, ctx->optname))
		source_note(sk);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
