// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* empty.bpf.c - what calling a program at this hook costs, whatever it does: the floor of
 * tests/bench. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup_skb/egress")
int empty_egress(struct __sk_buff *skb)
{
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
