/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * read.c - what the guard has counted.
 */
#include "user/kernel/internal.h"

#include <endian.h>
#include <errno.h>

#include "user/base/array.h"
#include "user/base/units.h"
#include "user/policy/siphash.h"

#define BATCH 1024u

struct weir_control guard_control(const struct guard *guard)
{
	struct weir_control control = *guard->control;

	control.active = __atomic_load_n(&guard->control->active, __ATOMIC_SEQ_CST);
	return control;
}

int guard_policy_head(struct guard *guard, struct weir_policy_head *head)
{
	uint32_t slot = weir_policy_slot(guard_control(guard).active);
	struct weir_policy_head found;

	if (bpf_map_lookup_elem(guard->map_fd[MAP_POLICY_HEADS], &slot, &found))
		return -errno;
	*head = found;
	return 0;
}

int guard_losses(struct guard *guard, uint64_t losses[WEIR_LOSSES])
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;
	uint64_t sum[WEIR_LOSSES] = {};

	if (!values)
		return cpus < 0 ? cpus : -ENOMEM;
	for (uint32_t loss = 0; loss < WEIR_LOSSES; loss++) {
		if (bpf_map_lookup_elem(guard->map_fd[MAP_LOSSES], &loss, values))
			return -errno;
		for (int cpu = 0; cpu < cpus; cpu++)
			sum[loss] += values[cpu];
	}
	memcpy(losses, sum, sizeof(sum));
	return 0;
}

/* `position`: 4 bytes for hashes and arrays. */
static int walk_batches(const struct map_walk *walk, char *keys, char *values)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	uint32_t capacity = BATCH, position[2], *in = NULL;
	bool is_end = false;

	while (!is_end) {
		uint32_t n = capacity;
		int err;

		if (bpf_map_lookup_batch(walk->fd, in, position, keys, values, &n, &options)) {
			if (errno != ENOENT)
				return -errno;
			is_end = true;
		}
		for (uint32_t i = 0; i < n; i++) {
			err = walk->each(keys + i * walk->key_size, values + i * walk->value_size,
					 walk->data);
			if (err)
				return err;
		}
		in = position;
	}
	return 0;
}

int map_walk(const struct map_walk *walk)
{
	_cleanup_free_ char *keys = calloc(BATCH, walk->key_size);
	_cleanup_free_ char *values = calloc(BATCH, walk->value_size);

	return keys && values ? walk_batches(walk, keys, values) : -ENOMEM;
}

struct meter_walk {
	int (*each)(uint64_t key, const struct weir_meter *meter, void *data);
	void *data;
};

static int each_meter(const void *key, const void *value, void *data)
{
	struct meter_walk *walk = data;
	struct weir_meter meter;
	uint64_t account;

	memcpy(&account, key, sizeof(account));
	memcpy(&meter, value, sizeof(meter));
	return walk->each(account, &meter, walk->data);
}

int guard_accounts(struct guard *guard,
		   int (*each)(uint64_t key, const struct weir_meter *meter, void *data),
		   void *data)
{
	struct meter_walk walk = {.each = each, .data = data};
	const struct map_walk accounts = {.fd = guard->map_fd[MAP_METERS],
					  .key_size = sizeof(uint64_t),
					  .value_size = sizeof(struct weir_meter),
					  .each = each_meter,
					  .data = &walk};
	int err = guard_settle(guard);

	return err ? err : map_walk(&accounts);
}

struct stranger_walk {
	int (*each)(uint32_t slot, const struct weir_meter *meter, void *data);
	void *data;
};

static int each_stranger(const void *key, const void *value, void *data)
{
	struct stranger_walk *walk = data;
	struct weir_meter meter;
	uint32_t slot;

	memcpy(&slot, key, sizeof(slot));
	memcpy(&meter, value, sizeof(meter));
	return meter.service_key || meter.window[0].window_ns ? walk->each(slot, &meter, walk->data)
							      : 0;
}

/* One system call for each slot costs more than the batches for all, from about here on. */
enum { MOST_SINGLE_SLOTS = WEIR_STRANGER_SLOTS / 8 };

/* A packet notes itself before it is charged; longer than that none takes. */
static const uint64_t CHARGE_NS = NS_PER_SECOND;

static bool was_met(const uint64_t *met_ns, uint32_t slot, uint64_t since_ns)
{
	return __atomic_load_n(&met_ns[slot], __ATOMIC_RELAXED) >= since_ns;
}

int slots_since(const struct map_walk *walk, const uint64_t *met_ns, uint64_t since_ns)
{
	_cleanup_free_ char *value = malloc(walk->value_size);
	uint32_t count = 0;
	int err = 0;

	if (!value)
		return -ENOMEM;
	since_ns = since_ns > CHARGE_NS ? since_ns - CHARGE_NS : 1; /* 0: never met */
	for (uint32_t slot = 0; slot < WEIR_STRANGER_SLOTS; slot++)
		count += was_met(met_ns, slot, since_ns);
	if (count > MOST_SINGLE_SLOTS)
		return map_walk(walk);
	for (uint32_t slot = 0; slot < WEIR_STRANGER_SLOTS && !err && count; slot++) {
		if (!was_met(met_ns, slot, since_ns))
			continue;
		err = bpf_map_lookup_elem(walk->fd, &slot, value)
			      ? -errno
			      : walk->each(&slot, value, walk->data);
	}
	return err;
}

void slot_note_written(uint64_t *met_ns, uint32_t slot)
{
	uint64_t never = 0;

	__atomic_compare_exchange_n(&met_ns[slot], &never, 1, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
}

static struct map_walk strangers_walk(const struct guard *guard, struct stranger_walk *data)
{
	return (struct map_walk){.fd = guard->map_fd[MAP_STRANGERS],
				 .key_size = sizeof(uint32_t),
				 .value_size = sizeof(struct weir_meter),
				 .each = each_stranger,
				 .data = data};
}

int guard_strangers(struct guard *guard,
		    int (*each)(uint32_t slot, const struct weir_meter *meter, void *data),
		    void *data)
{
	return guard_strangers_since(guard, 0, each, data);
}

int guard_strangers_since(struct guard *guard, uint64_t since_ns,
			  int (*each)(uint32_t slot, const struct weir_meter *meter, void *data),
			  void *data)
{
	struct stranger_walk data_of_each = {.each = each, .data = data};
	const struct map_walk walk = strangers_walk(guard, &data_of_each);

	return slots_since(&walk, guard->strangers_met, since_ns);
}

static int each_peer(uint32_t slot, const struct weir_meter *meter, void *data)
{
	struct meter_walk *walk = data;

	(void)slot;
	return meter->service_key || meter->severed_ns
		       ? walk->each(WEIR_KEY_PEER, meter, walk->data)
		       : 0;
}

int guard_meters(struct guard *guard,
		 int (*each)(uint64_t key, const struct weir_meter *meter, void *data), void *data)
{
	struct meter_walk walk = {.each = each, .data = data};
	int err = guard_accounts(guard, each, data);

	return err ? err : guard_strangers(guard, each_peer, &walk);
}

/* The same place as peer_place() in bpf/charge.bpf.h finds. */
int guard_peer_meter(struct guard *guard, uint64_t service_key, bool serves, const uint8_t peer[16],
		     struct weir_meter *meter)
{
	uint64_t secret[2] = {guard->control->secret[0], guard->control->secret[1]};
	__u64 high, low;
	struct weir_meter found;
	uint64_t words[4];
	uint32_t slot;

	weir_stranger(peer, &high, &low);
	words[0] = htole64(service_key);
	words[1] = htole64(high);
	words[2] = htole64(low);
	words[3] = htole64(!serves);
	slot = siphash(secret, words, sizeof(words)) & (WEIR_STRANGER_SLOTS - 1);
	if (bpf_map_lookup_elem(guard->map_fd[MAP_STRANGERS], &slot, &found))
		return -errno;
	*meter = found;
	return 0;
}

int guard_meter(struct guard *guard, uint64_t key, struct weir_meter *meter)
{
	struct weir_meter found;
	int err;

	if (bpf_map_lookup_elem(guard->map_fd[MAP_METERS], &key, &found))
		return -errno;
	if (found.leases) {
		err = guard_settle(guard);
		if (err)
			return err;
		if (bpf_map_lookup_elem(guard->map_fd[MAP_METERS], &key, &found))
			return -errno;
	}
	*meter = found;
	return 0;
}

int guard_stranger(struct guard *guard, uint32_t slot, struct weir_meter *meter)
{
	struct weir_meter found;

	if (bpf_map_lookup_elem(guard->map_fd[MAP_STRANGERS], &slot, &found))
		return -errno;
	*meter = found;
	return 0;
}

/* ---- cgroups --------------------------------------------------------------------------------- */

struct cgroup_list {
	struct guard_cgroup *item;
	size_t count;
};

static void cgroup_list_free(struct cgroup_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i].path);
	free(list->item);
}

static int each_cgroup(const void *key, const void *value, void *data)
{
	struct cgroup_list *list = data;
	struct guard_cgroup *item = ARRAY_ADD(list->item, list->count);

	if (!item)
		return -ENOMEM;
	list->count++;
	memcpy(&item->id, key, sizeof(item->id));
	memcpy(&item->traffic, value, sizeof(item->traffic));
	return 0;
}

static int cgroup_by_id(const void *a, const void *b)
{
	const struct guard_cgroup *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

static int name_cgroup(int fd, const char *below, uint64_t id, void *data)
{
	struct cgroup_list *list = data;
	struct guard_cgroup wanted = {.id = id}, *found;

	(void)fd;
	found = bsearch(&wanted, list->item, list->count, sizeof(wanted), cgroup_by_id);
	if (!found || found->path || !below)
		return 0;
	found->path = strdup(below);
	return found->path ? 0 : -ENOMEM;
}

int guard_cgroups(struct guard *guard, struct guard_cgroup **ret, size_t *count)
{
	_cleanup_(cgroup_list_free) struct cgroup_list list = {};
	const struct map_walk walk = {.fd = guard->map_fd[MAP_CGROUPS],
				      .key_size = sizeof(uint64_t),
				      .value_size = sizeof(struct weir_cgroup),
				      .each = each_cgroup,
				      .data = &list};
	int err = guard_settle(guard);

	if (!err)
		err = map_walk(&walk);
	if (!err && list.count)
		qsort(list.item, list.count, sizeof(*list.item), cgroup_by_id);
	if (err)
		return err;
	if (list.count && guard->cgroup_path) /* what cannot be read stays without a path */
		cgroup_walk(guard->cgroup_path, name_cgroup, &list);
	*count = list.count;
	*ret = TAKE_PTR(list.item);
	list.count = 0;
	return 0;
}
