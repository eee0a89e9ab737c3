/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * service.bpf.h - socket -> service: the path of the *socket's* cgroup, read from the kernel's own
 * structures and run through the policy's automaton, component by component from the guarded root.
 *
 * No id that user space looked up takes part, so a unit that restarts while the daemon is dead is
 * recognised all the same. The answer is cached by cgroup id and generation. What cannot be read
 * is service `other`, and counted: it has no grants.
 */
#ifndef WEIR_SERVICE_BPF_H
#define WEIR_SERVICE_BPF_H

#include "policy.bpf.h"

/* Levels between a cgroup and the guarded root; deeper ones are `other`. */
#define PATH_LEVELS 64

static __always_inline __u64 node_parent(__u64 node)
{
	struct kernfs_node___since_6_15 *since = (void *)node;
	struct kernfs_node___before_6_15 *before = (void *)node;

	if (bpf_core_field_exists(since->__parent))
		return (__u64)BPF_CORE_READ(since, __parent);
	return (__u64)BPF_CORE_READ(before, parent);
}

static __always_inline __u64 node_id(__u64 node)
{
	return BPF_CORE_READ((struct kernfs_node *)node, id);
}

/* Reads the name of `node` into `key`. A name too long for it keeps no terminator, and so can match
 * a `*` only. */
static __always_inline bool node_name(__u64 node, struct weir_path_key *key)
{
	const char *name = BPF_CORE_READ((struct kernfs_node *)node, name);
	long length = bpf_probe_read_kernel_str(key->name, sizeof(key->name), name);

	if (length <= 1)
		return false;
	if (length == sizeof(key->name))
		length--;
	key->prefixlen = 32 + 8 * (__u32)length;
	return true;
}

/* The topmost cgroups of a path below the guarded root: level n, counted from the socket's own, at
 * n % WEIR_PATH_DEPTH. */
struct path_ring {
	__u64 node[WEIR_PATH_DEPTH];
};

/* Runs the automaton down from the guarded root. A function of its own, or the verifier would
 * follow it once for each number of levels; beside path_walk() and not below it, for the stack. */
WEIR_FUNCTION __u32 path_run(const struct path_ring *ring, __u32 levels, __u32 slot)
{
	void *paths_of_slot = bpf_map_lookup_elem(&paths, &slot);
	__u32 service = WEIR_SERVICE_OTHER;
	struct weir_path_key key = {};

	if (!paths_of_slot || !ring)
		return WEIR_SERVICE_OTHER;
	for (__u32 i = 0; i < WEIR_PATH_DEPTH && i < levels; i++) {
		__u64 node = ring->node[(levels - 1 - i) & (WEIR_PATH_DEPTH - 1)];
		const struct weir_path_step *step;

		if (!node_name(node, &key)) {
			loss_count(WEIR_LOST_CGROUP_UNREAD);
			return WEIR_SERVICE_OTHER;
		}
		step = bpf_map_lookup_elem(paths_of_slot, &key);
		if (!step)
			break;
		if (step->service != WEIR_ANY)
			service = step->service;
		key.state = step->next;
	}
	return service;
}

/* Walks up to the guarded root, keeping the topmost components. Returns the levels between; 0:
 * none, or it is not below the root (counted). */
WEIR_FUNCTION __u32 path_walk(__u64 node, __u64 root, struct path_ring *ring)
{
	__u32 levels = 0;

	if (!ring)
		return 0;
	for (levels = 0; levels < PATH_LEVELS; levels++) {
		if (!node || node_id(node) == root)
			break;
		ring->node[levels & (WEIR_PATH_DEPTH - 1)] = node;
		node = node_parent(node);
	}
	if (!node || levels >= PATH_LEVELS) {
		loss_count(WEIR_LOST_CGROUP_UNREAD);
		return 0;
	}
	return levels;
}

/* The service of a kernel socket at `sk_address` (kernel_address()); *cgroup gets its cgroup's id.
 */
WEIR_FUNCTION __u32 service_of(__u64 sk_address, __u64 active, __u64 *cgroup)
{
	const struct weir_control *control = control_get();
	struct sock *sk = (void *)sk_address;
	struct weir_cgroup fresh = {};
	struct path_ring ring = {};
	struct weir_cgroup *known;
	__u64 node, id, stamp;
	__u32 service;

	if (!control || !cgroup)
		return WEIR_SERVICE_OTHER;
	node = (__u64)BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn);
	id = node ? node_id(node) : 0;
	*cgroup = id;
	if (!id) {
		loss_count(WEIR_LOST_CGROUP_UNREAD);
		return WEIR_SERVICE_OTHER;
	}
	known = bpf_map_lookup_elem(&cgroups, &id);
	if (known) {
		stamp = READ_ONCE(known->stamp);
		if (stamp >> 32 == weir_generation(active))
			return (__u32)stamp;
	}
	service = path_run(&ring, path_walk(node, control->root_cgroup, &ring),
			   weir_policy_slot(active));
	/* One store, so that no CPU sees the index of one policy under the generation of another.
	 */
	fresh.stamp = (__u64)weir_generation(active) << 32 | service;
	if (known)
		WRITE_ONCE(known->stamp, fresh.stamp);
	else
		bpf_map_update_elem(&cgroups, &id, &fresh, BPF_NOEXIST);
	return service;
}

#endif
