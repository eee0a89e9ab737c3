// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * connect.bpf.c - cgroup connect4/6: an early refusal, before the first packet. TCP, connected UDP
 * and the rest of what connects; MSG_FASTOPEN comes through here as well.
 */
#include "early.bpf.h"

SEC("cgroup/connect4")
int weir_connect4(struct bpf_sock_addr *ctx)
{
	return hook_result(early4(ctx));
}

SEC("cgroup/connect6")
int weir_connect6(struct bpf_sock_addr *ctx)
{
	return hook_result(early6(ctx));
}

char _license[] SEC("license") = "Dual BSD/GPL";
