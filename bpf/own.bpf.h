/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * own.bpf.h - is this an address of the host itself? Traffic to one stays on loopback, which is
 * exempt; but where no packet is at hand, no route says so. Asked only before a connect or a
 * sendmsg would be refused, or a socket ended.
 *
 * Walks the interfaces of the socket's network namespace. What is not found within the bounds
 * counts as foreign, and is refused.
 */
#ifndef WEIR_OWN_BPF_H
#define WEIR_OWN_BPF_H

#include "policy.bpf.h"

enum { OWN_DEVICES = 1024, OWN_ADDRESSES = 64 };

struct own_search {
	struct weir_address wanted;
	__u64 head;
	__u64 at;
	__u32 is_own;
};

/* The structure that holds `member`, from the address of its list_head. */
#define OWN_ENTRY(address, type, member) ((type *)((address)-bpf_core_field_offset(type, member)))

/* Both take the kernel's address of a struct net_device, or 0. */

WEIR_FUNCTION bool own4(__u64 device, __be32 wanted)
{
	struct in_ifaddr *a = BPF_CORE_READ((struct net_device *)device, ip_ptr, ifa_list);

	for (int i = 0; i < OWN_ADDRESSES && a; i++) {
		if (BPF_CORE_READ(a, ifa_local) == wanted)
			return true;
		a = BPF_CORE_READ(a, ifa_next);
	}
	return false;
}

WEIR_FUNCTION bool own6(__u64 device, const struct weir_address *wanted)
{
	struct inet6_dev *dev6 = BPF_CORE_READ((struct net_device *)device, ip6_ptr);
	struct weir_address address;
	__u64 head, at;

	if (!dev6 || !wanted)
		return false;
	head = (__u64)dev6 + bpf_core_field_offset(struct inet6_dev, addr_list);
	at = (__u64)BPF_CORE_READ(dev6, addr_list.next);
	for (int i = 0; i < OWN_ADDRESSES && at && at != head; i++) {
		struct inet6_ifaddr *a = OWN_ENTRY(at, struct inet6_ifaddr, if_list);

		bpf_core_read(&address, sizeof(address), &a->addr);
		if (address_equal(&address, wanted))
			return true;
		at = (__u64)BPF_CORE_READ(a, if_list.next);
	}
	return false;
}

static long own_step(__u32 index, struct own_search *s)
{
	struct net_device *device;

	if (!s->at || s->at == s->head)
		return 1;
	device = OWN_ENTRY(s->at, struct net_device, dev_list);
	s->is_own = address_is4(&s->wanted) ? own4((__u64)device, s->wanted.word[3])
					    : own6((__u64)device, &s->wanted);
	s->at = (__u64)BPF_CORE_READ(device, dev_list.next);
	return hook_result(s->is_own);
}

WEIR_FUNCTION bool address_is_own(__u64 sk_address, const struct weir_address *wanted)
{
	struct sock *sk = (void *)sk_address;
	struct own_search s = {};
	struct net *net;

	if (!wanted)
		return false;
	net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
	if (!net)
		return false;
	s.wanted = *wanted;
	s.head = (__u64)net + bpf_core_field_offset(struct net, dev_base_head);
	s.at = (__u64)BPF_CORE_READ(net, dev_base_head.next);
	bpf_loop(OWN_DEVICES, own_step, &s, 0);
	return s.is_own;
}

#endif
