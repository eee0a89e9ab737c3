/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * mirror.bpf.h - loopback as a way out. What stays on the host is exempt, but the host's own kernel
 * answers it: an echo request with all that it carried, a datagram to a closed port with an error
 * that quotes it. Asked in the name of somebody else, it sends that answer to them.
 *
 * A TCP socket's packets are never answered with what they carry. Of UDP only a source counts that
 * the socket asked for: NAT gives the answers of a local server the address that was asked.
 */
#ifndef WEIR_MIRROR_BPF_H
#define WEIR_MIRROR_BPF_H

#include "own.bpf.h"
#include "socket.bpf.h"

static __always_inline bool ends_read(struct __sk_buff *skb, struct weir_address *source,
				      struct weir_address *target)
{
	__be32 word[2];

	if (skb->protocol == bpf_htons(0x86dd))
		return !bpf_skb_load_bytes(skb, 8, source, sizeof(*source)) &&
		       !bpf_skb_load_bytes(skb, 24, target, sizeof(*target));
	if (skb->protocol != bpf_htons(0x0800) || bpf_skb_load_bytes(skb, 12, word, sizeof(word)))
		return false;
	address_from4(source, word[0]);
	address_from4(target, word[1]);
	return true;
}

/* Whether the socket asked for this source: it is bound to it, or a message named one
 * (sendmsg.bpf.c). */
static __always_inline bool source_is_asked(struct bpf_sock *sk, const struct weir_address *source)
{
	const struct weir_socket *s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	struct weir_address bound;
	__be32 bound4 = sk->src_ip4;

	/* Read here: clang would merge it with the reads below (socket.bpf.c, parcel_of_ops()). */
	barrier_var(bound4);
	bound.word[0] = sk->src_ip6[0];
	bound.word[1] = sk->src_ip6[1];
	bound.word[2] = sk->src_ip6[2];
	bound.word[3] = sk->src_ip6[3];
	if (!s || s->poses)
		return true;
	if (address_is4(source))
		address_from4(&bound, bound4);
	return address_equal(&bound, source);
}

/* Whether a packet to loopback is in the name of somebody else, who gets what it brings about. */
static __noinline bool is_posed(struct __sk_buff *skb)
{
	struct weir_address source, target;
	struct bpf_sock *sk = skb->sk;
	__u64 address;

	if (!sk)
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk || (sk->type == SOCK_STREAM && sk->protocol == IPPROTO_TCP) ||
	    !ends_read(skb, &source, &target) || address_is_loopback(&source) ||
	    address_equal(&source, &target))
		return false;
	address = kernel_address(sk);
	if (is_of_kernel(address) || address_is_own(address, &source))
		return false;
	return sk->type != SOCK_DGRAM ||
	       (sk->protocol != IPPROTO_UDP && sk->protocol != IPPROTO_UDPLITE) ||
	       source_is_asked(sk, &source);
}

#endif
