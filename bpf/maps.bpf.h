/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * maps.bpf.h - every map, once: key, value, who writes it, what happens when it is full.
 *
 * Weak definitions, so that each object file may include them and the linker keeps one.
 * The name of a map is the name of its pin.
 */
#ifndef WEIR_MAPS_BPF_H
#define WEIR_MAPS_BPF_H

#include "common.bpf.h"

#define WEIR_MAP __weak SEC(".maps")

/* The commit point and the few words that user space sets. Written through mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct weir_control);
} control WEIR_MAP;

/* ---- the compiled policy: one inner map per slot, written by user space before the switch ---- */

/* By policy slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_POLICY_SLOTS);
	__type(key, __u32);
	__type(value, struct weir_policy_head);
} policy_heads WEIR_MAP;

/* An outer array with one inner map of `inner` per policy slot. */
#define WEIR_SLOTTED(name, inner)                                                                  \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                          \
		__uint(max_entries, WEIR_POLICY_SLOTS);                                            \
		__type(key, __u32);                                                                \
		__array(values, struct inner);                                                     \
	} name WEIR_MAP

/* Sizes and not types: clang 14 leaves the types of an inner map incomplete in BTF. */
#define WEIR_INNER_ARRAY(inner, value_type)                                                        \
	struct inner {                                                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, 1);                                                            \
		__uint(map_flags, BPF_F_INNER_MAP);                                                \
		__uint(key_size, sizeof(__u32));                                                   \
		__uint(value_size, sizeof(value_type));                                            \
	}

#define WEIR_INNER_TRIE(inner, key_type, value_type)                                               \
	struct inner {                                                                             \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                               \
		__uint(max_entries, 1);                                                            \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__uint(key_size, sizeof(key_type));                                                \
		__uint(value_size, sizeof(value_type));                                            \
	}

WEIR_INNER_ARRAY(inner_services, struct weir_service);
WEIR_INNER_ARRAY(inner_partners, struct weir_partner);
WEIR_INNER_ARRAY(inner_grants, struct weir_grant);
WEIR_INNER_ARRAY(inner_rules, struct weir_rule);
WEIR_INNER_ARRAY(inner_hours, struct weir_interval);
WEIR_INNER_ARRAY(inner_lifelines, struct weir_lifeline_rule);
WEIR_INNER_TRIE(inner_prefixes4, struct weir_prefix4, __u32); /* -> partner */
WEIR_INNER_TRIE(inner_prefixes6, struct weir_prefix6, __u32);
WEIR_INNER_TRIE(inner_lifeline4, struct weir_prefix4, struct weir_span); /* -> lifelines */
WEIR_INNER_TRIE(inner_lifeline6, struct weir_prefix6, struct weir_span);
WEIR_INNER_TRIE(inner_paths, struct weir_path_key, struct weir_path_step);

/* (service, profile) -> its rules */
struct inner_pairs {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct weir_pair));
	__uint(value_size, sizeof(struct weir_span));
};

WEIR_SLOTTED(services, inner_services);
WEIR_SLOTTED(partners, inner_partners);
WEIR_SLOTTED(grants, inner_grants);
WEIR_SLOTTED(rules, inner_rules);
WEIR_SLOTTED(hours, inner_hours);
WEIR_SLOTTED(lifelines, inner_lifelines);
WEIR_SLOTTED(prefixes4, inner_prefixes4);
WEIR_SLOTTED(prefixes6, inner_prefixes6);
WEIR_SLOTTED(lifeline4, inner_lifeline4);
WEIR_SLOTTED(lifeline6, inner_lifeline6);
WEIR_SLOTTED(paths, inner_paths);
WEIR_SLOTTED(pairs, inner_pairs);

/* ---- orders -----------------------------------------------------------------------------------*/

/* By cut slot. Written by user space before the switch. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_CUT_SLOTS);
	__type(key, __u32);
	__type(value, struct weir_cut_head);
} cut_heads WEIR_MAP;

/* cut slot * WEIR_CUT_ENTRIES + position. Full: user space refuses the order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_CUT_SLOTS *WEIR_CUT_ENTRIES);
	__type(key, __u32);
	__type(value, struct weir_cut_entry);
} cuts WEIR_MAP;

/* cut slot * WEIR_OVERRIDES + position. Written and full like `cuts`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_CUT_SLOTS *WEIR_OVERRIDES);
	__type(key, __u32);
	__type(value, struct weir_override);
} overrides WEIR_MAP;

/* The orders' texts. No program reads them; here they live as long as the cuts. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_MAX_ORDERS);
	__type(key, __u32);
	__type(value, struct weir_order);
} orders WEIR_MAP;

/* ---- meters
 * -------------------------------------------------------------------------------------*/

/* One lock for all windows and counters, so that a packet is charged to all its meters or to none.
 * It is held for some tens of nanoseconds with interrupts off. The rest belongs to who holds it. */
struct lock_value {
	struct bpf_spin_lock lock;
	__u32 charges; /* so that user space sees at a glance whether a meter changed */
	struct weir_window scratch;
	struct weir_limits limits[WEIR_CLAIMS];
	struct charge_note note;
};

_Static_assert(__builtin_offsetof(struct lock_value, charges) == WEIR_LOCK_CHARGES,
	       "user space reads it there");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lock_value);
} meter_lock WEIR_MAP;

/* weir_meter_key() -> account. Made here on first use; the keys come from the policy alone, so no
 * peer can fill it. Full: the packet is refused and WEIR_LOST_METERS_FULL counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_METERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct weir_meter);
} meters WEIR_MAP;

/* Strangers' per-peer meters, by keyed hash of (service, direction, IPv4 /32 or IPv6 /56). Never
 * full and nothing is evicted: two peers in one slot share its budget, which is only stricter. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_STRANGER_SLOTS);
	__type(key, __u32);
	__type(value, struct weir_meter);
} strangers WEIR_MAP;

/* Boot time (ns) at which a packet last met the stranger's slot of this number. User space maps it,
 * and reads of 47 MB of slots only those that moved. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_STRANGER_SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} strangers_met WEIR_MAP;

/* CPU * WEIR_LEASES + place. User space makes room for each CPU that may come up; one without room
 * is lent nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_LEASES);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins with a page, so each lease with a cache line */
	__type(key, __u32);
	__type(value, struct weir_lease);
} leases WEIR_MAP;

/* A meter full of zeros, to make new ones from (too big for the stack). Nobody writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_meter);
} blank_meter WEIR_MAP;

/* Limits of what has none. Nobody writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_limits);
} no_limits WEIR_MAP;

/* ---- sockets
 * -----------------------------------------------------------------------------------*/

/* The answer kept with a socket. No room (option memory): judged the full way each time. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct weir_socket);
} sockets WEIR_MAP;

/* Socket cookie modulo WEIR_FLOWS -> what a running flow needs of its storage. Written by egress,
 * ended by sock_ops and sock_release. A place with bytes that its socket has not got yet stays that
 * socket's until its end: another flow with the same place goes by its storage alone, which takes
 * longer. Does not grow with CPUs or sockets: 4 MiB. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_FLOWS);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins with a page, so each flow with a cache line */
	__type(key, __u32);
	__type(value, struct weir_flow);
} flows WEIR_MAP;

/* Socket cookie -> who opened it (enum opener), for TCP sockets that got no storage. Full: the
 * least recently used one goes, and counts as called. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u32);
} openers WEIR_MAP;

/* Who spoke first on a socket without connections (UDP and the like), by keyed hash of (socket,
 * peer, port). Lower half: partners' peers, each partner in two shares of it; upper half:
 * strangers'. So a flood from one seldom pushes out another. A place that is taken is overwritten
 * only when it is 2 minutes old; without a place the answers count as calls, and
 * WEIR_LOST_SPOKE_EVICTED is counted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_SPOKE_SLOTS);
	__type(key, __u32);
	__type(value, struct weir_spoke);
} spoke WEIR_MAP;

/* (service, peer) -> connections that the service accepted from it under a grant, where a rule lets
 * it call back; gone with the last of them. Full: the connection is not noted
 * (WEIR_LOST_HOLDERS_FULL) and calls_back to this peer is refused. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_HOLDERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_holder);
	__type(value, __u64);
} holders WEIR_MAP;

/* Cgroup id -> service and traffic. Full: the least recently used goes; its service is read again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_CGROUPS);
	__type(key, __u64);
	__type(value, struct weir_cgroup);
} cgroups WEIR_MAP;

/* ---- edge
 * ---------------------------------------------------------------------------------------*/

/* Source addresses that were judged, in sets of two; edge.bpf.c. An array, since a look-up in an
 * LRU hash costs more than all else that a packet from a cut source does. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * WEIR_EDGE_SETS);
	__type(key, __u32);
	__type(value, struct weir_edge);
} edge_cache WEIR_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_DROP_PLACES);
	__type(key, __u32);
	__type(value, struct weir_drops);
} edge_drops WEIR_MAP;

/* ---- out --------------------------------------------------------------------------------------*/

/* struct weir_event. Full: the event is dropped and WEIR_LOST_EVENTS counted. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WEIR_EVENT_RING_BYTES);
} events WEIR_MAP;

/* enum weir_loss -> count. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} losses WEIR_MAP;

/* What the iterators shall do. Written by user space under its lock, one run at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_sever_request);
} sever_request WEIR_MAP;

#endif
