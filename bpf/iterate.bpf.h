/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * iterate.bpf.h - what the iterators over sockets share: which sockets are the guard's, and their
 * ends.
 */
#ifndef WEIR_ITERATE_BPF_H
#define WEIR_ITERATE_BPF_H

#include "socket.bpf.h"

#define TCP_ESTABLISHED 1
#define TCP_CLOSE	7
#define TCP_LISTEN	10

static __always_inline void ends_read(const struct sock_common *sk, struct parcel *p)
{
	p->active = active_read();
	p->now_ns = bpf_ktime_get_boot_ns();
	p->local_port = BPF_CORE_READ(sk, skc_num);
	p->peer_port = bpf_ntohs(BPF_CORE_READ(sk, skc_dport));
	if (BPF_CORE_READ(sk, skc_family) == AF_INET) {
		address_from4(&p->local, BPF_CORE_READ(sk, skc_rcv_saddr));
		address_from4(&p->peer, BPF_CORE_READ(sk, skc_daddr));
		return;
	}
	BPF_CORE_READ_INTO(&p->local, sk, skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&p->peer, sk, skc_v6_daddr);
}

/*
 * Whether the socket's cgroup lies below the guarded root. An iterator sees each socket of its
 * network namespace, also those that no hook of this guard ever judged: they are not ours to end.
 */
static __noinline bool is_guarded(__u64 sk_address)
{
	const struct weir_control *control = control_get();
	struct sock *sk = (void *)sk_address;
	__u64 node;

	if (!control)
		return false;
	node = (__u64)BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn);
	for (__u32 level = 0; level < PATH_LEVELS && node; level++) {
		if (node_id(node) == control->root_cgroup)
			return true;
		node = node_parent(node);
	}
	return false;
}

#endif
