// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * settle.bpf.c - takes back all that is lent, and adds what the edge dropped, so that the meters
 * hold what was sent and refused, and no more.
 *
 * Pinned beside the maps, for whoever reads them: also for another build, which does not know how
 * this one lends. Runs through BPF_PROG_TEST_RUN and is attached to nothing.
 */
#include "drops.bpf.h"
#include "lease.bpf.h"

SEC("tc")
int weir_settle(struct __sk_buff *skb)
{
	leases_recall_all(bpf_ktime_get_boot_ns());
	drops_settle_all();
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
