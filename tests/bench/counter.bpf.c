// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* counter.bpf.c - the least that can know of a flow: bytes counted in an array by the socket's
 * cookie, a cache line for each, and nothing asked. With many flows in turn, what it takes is these
 * lines out of the cache. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum { PLACES = 65536 };

struct counted {
	__u64 bytes;
	__u64 others[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins with a page */
	__type(key, __u32);
	__type(value, struct counted);
} counted SEC(".maps");

SEC("cgroup_skb/egress")
int counter_egress(struct __sk_buff *skb)
{
	__u32 place = bpf_get_socket_cookie(skb) & (PLACES - 1);
	struct counted *of = bpf_map_lookup_elem(&counted, &place);

	if (of)
		__sync_fetch_and_add(&of->bytes, skb->len);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
