// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* empty_connect.bpf.c - as empty.bpf.c, at the hook of connect(). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int empty_connect(struct bpf_sock_addr *ctx)
{
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
