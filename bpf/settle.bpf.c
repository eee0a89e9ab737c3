// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * settle.bpf.c - takes back all that is lent, so that the meters hold what was sent and no more.
 *
 * Pinned beside the maps, for whoever reads them: also for another build, which does not know how
 * this one lends. Runs through BPF_PROG_TEST_RUN and is attached to nothing.
 */
#include "lease.bpf.h"

SEC("tc")
int weir_settle(struct __sk_buff *skb)
{
	leases_recall_all(bpf_ktime_get_boot_ns());
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
