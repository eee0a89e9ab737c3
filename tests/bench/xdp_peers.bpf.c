// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_peers.bpf.c - what tests/bench/xdp measures weir's edge beside: dropping alone (the floor),
 * and a look-up of the source in a hash with a count for each CPU. That is what xdp-filter does for
 * a source that it denies; its own table ends at 10,000 addresses.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1 << 19);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} denied SEC(".maps");

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int hash(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u64 *count;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	count = bpf_map_lookup_elem(&denied, &ip->saddr);
	if (!count)
		return XDP_PASS;
	++*count;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
