// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * carry.bpf.c - adds to a running account what was counted elsewhere: by the programs of another
 * build, between the copying of its meters and the moment in which this build's took over.
 *
 * Under the meters' lock, for the reasons that forgive.bpf.c has. Runs through BPF_PROG_TEST_RUN.
 */
#include "maps.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_carry);
} carry_request SEC(".maps");

SEC("tc")
int weir_carry(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct weir_carry *more = bpf_map_lookup_elem(&carry_request, &zero);
	struct lock_value *held = bpf_map_lookup_elem(&meter_lock, &zero);
	struct weir_meter *meter;

	if (!more || !held)
		return 1;
	meter = bpf_map_lookup_elem(&meters, &more->key);
	if (!meter)
		return 1;
	bpf_spin_lock(&held->lock);
	held->charges++;
	for (int i = 0; i < 2; i++) {
		meter->sent_bytes[i] += more->sent_bytes[i];
		meter->sent_packets[i] += more->sent_packets[i];
		__sync_fetch_and_add(&meter->acked_bytes[i], more->acked_bytes[i]);
	}
	meter->refused_bytes += more->refused_bytes;
	meter->refused_packets += more->refused_packets;
	meter->would_refuse_bytes += more->would_refuse_bytes;
	meter->would_refuse_packets += more->would_refuse_packets;
	bpf_spin_unlock(&held->lock);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
