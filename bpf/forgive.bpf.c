// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * forgive.bpf.c - takes back what was charged to a meter without having been measured.
 *
 * User space cannot write a meter: what a packet charges between its reading and its writing would
 * be lost. This runs through BPF_PROG_TEST_RUN, is attached to nothing, and works under the meters'
 * lock. tc and not syscall: before 6.9 a program that may sleep cannot take a spin lock.
 */
#include "maps.bpf.h"

/* The one request, and its answer. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_forgive);
} forgive_request SEC(".maps");

/* Where the part lies now; WEIR_SLICES: it has left the window, or the window is another one. */
static __always_inline __u32 part_place(const struct weir_window *w, const struct weir_part *part)
{
	__u64 slice_ns = w->slice_ns, elapsed;

	if (!part->bytes || !slice_ns || part->head >= WEIR_SLICES || part->age >= WEIR_SLICES)
		return WEIR_SLICES;
	elapsed = (w->slice_start_ns - part->start_ns) / slice_ns;
	if (elapsed + part->age >= WEIR_SLICES ||
	    part->start_ns + elapsed * slice_ns != w->slice_start_ns ||
	    (part->head + elapsed) % WEIR_SLICES != w->head)
		return WEIR_SLICES;
	return (part->head + WEIR_SLICES - part->age) % WEIR_SLICES;
}

static __always_inline void part_forgive(struct weir_window *w, const struct weir_part *part,
					 struct weir_forgive *request)
{
	__u64 place = part_place(w, part);
	__u64 bytes;

	barrier_var(place); /* or clang drops the check that the verifier wants */
	if (place >= WEIR_SLICES)
		return;
	bytes = w->slice[place] < part->bytes ? w->slice[place] : part->bytes;
	w->slice[place] -= bytes;
	w->used_bytes -= bytes < w->used_bytes ? bytes : w->used_bytes;
	if (bytes > request->forgiven_bytes)
		request->forgiven_bytes = bytes;
}

SEC("tc")
int weir_forgive(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct weir_forgive *request = bpf_map_lookup_elem(&forgive_request, &zero);
	struct lock_value *held = bpf_map_lookup_elem(&meter_lock, &zero);
	struct weir_meter *meter;

	if (!request || !held)
		return 1;
	request->forgiven_bytes = 0;
	if (request->slot == WEIR_ANY)
		meter = bpf_map_lookup_elem(&meters, &request->key);
	else
		meter = bpf_map_lookup_elem(&strangers, &request->slot);
	if (!meter)
		return 0;
	bpf_spin_lock(&held->lock);
	held->charges++;
#pragma unroll
	for (int i = 0; i < WEIR_WINDOWS; i++)
		part_forgive(&meter->window[i], &request->part[i], request);
	bpf_spin_unlock(&held->lock);
	return 0;
}
