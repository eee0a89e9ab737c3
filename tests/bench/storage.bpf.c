// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* storage.bpf.c - the least that can know of a flow: bytes counted in the storage of the packet's
 * socket, and nothing asked. With many flows in turn, what it takes is that storage out of the
 * cache. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} counted SEC(".maps");

SEC("cgroup_skb/egress")
int storage_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk ? bpf_sk_fullsock(skb->sk) : NULL;
	__u64 *bytes =
		sk ? bpf_sk_storage_get(&counted, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE) : NULL;

	if (bytes)
		*bytes += skb->len;
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
