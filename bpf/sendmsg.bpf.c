// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * sendmsg.bpf.c - cgroup sendmsg4/6: an early refusal for UDP that is not connected.
 */
#include "early.bpf.h"

SEC("cgroup/sendmsg4")
int weir_sendmsg4(struct bpf_sock_addr *ctx)
{
	return hook_result(early4(ctx));
}

SEC("cgroup/sendmsg6")
int weir_sendmsg6(struct bpf_sock_addr *ctx)
{
	return hook_result(early6(ctx));
}

char _license[] SEC("license") = "Dual BSD/GPL";
