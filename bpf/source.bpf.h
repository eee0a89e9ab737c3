/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * source.bpf.h - in whose name a socket sends. What a partner's host, a router or the host's own
 * kernel answers goes to the packet's source, often with all that the packet carried. So a source
 * that is somebody else's is a way out to them, whoever the packet itself is sent to; over loopback
 * too.
 *
 * Such a source takes an option of the socket (IPV6_FREEBIND needs no right), a raw socket that
 * writes its own headers, or a sysctl. Who once set such an option has it noted for good
 * (setsockopt.bpf.c), since what was asked for may leave later (MSG_MORE). Of the others a foreign
 * source is NAT's: a redirected local server answers with the address that was asked. What a socket
 * was allowed before the guard came is not known.
 */
#ifndef WEIR_SOURCE_BPF_H
#define WEIR_SOURCE_BPF_H

#include "own.bpf.h"
#include "socket.bpf.h"

/* Whether the socket may send in somebody else's name. Without storage nobody knows: it may. */
static __always_inline bool may_pose(const struct bpf_sock *sk, const struct weir_socket *s,
				     __u64 address)
{
	struct net *net;

	if (!s || s->may_pose || (sk->type == SOCK_RAW && sk->protocol == IPPROTO_RAW))
		return true;
	if (sk->family != AF_INET6)
		return false;
	net = BPF_CORE_READ((struct sock *)address, __sk_common.skc_net.net);
	return BPF_CORE_READ(net, ipv6.sysctl.ip_nonlocal_bind);
}

/* Whether somebody else would get what is answered to this source. */
static __noinline bool source_is_foreign(__u64 address, const struct weir_address *source)
{
	return !address_is_loopback(source) && !is_of_kernel(address) &&
	       !address_is_own(address, source);
}

#endif
