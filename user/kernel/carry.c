/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * carry.c - what the maps of another build's guard hold, copied into this build's, field by field.
 */
#include "user/kernel/former.h"

#include <errno.h>

#include "user/base/array.h"
#include "user/base/now.h"

#include "carry.skel.h"

/* ---- converting ----------------------------------------------------------------------------- */

static int conversion_for(const struct former *former, const char *name,
			  struct conversion *conversion)
{
	const struct old_map *old = former_find(former, name);
	struct bpf_map *map = bpf_object__find_map_by_name(former->object, name);
	struct layout before = {0}, now = {0};
	int err = old && map ? former_layout(old, old->info.btf_value_type_id, &before) : -ENOENT;

	if (!err)
		err = layout_of(bpf_object__btf(former->object), bpf_map__btf_value_type_id(map),
				&now);
	if (!err)
		err = conversion_make(&before, &now, conversion);
	layout_free(&before);
	layout_free(&now);
	return err;
}

static int unknown(char **problem, const char *map, const char *field)
{
	return problem_set(problem, -EPROTO,
			   "the running guard uses %s of %s, which this build does not know; it "
			   "stays as it is",
			   field, map);
}

/* An array's entries by their index. */
static int convert_array(struct guard *guard, enum guard_map which, char **problem)
{
	const char *name = map_layouts[which].name;
	const struct old_map *old = former_find(guard->former, name);
	struct conversion conversion = {0};
	_cleanup_free_ char *before = NULL, *now = NULL;
	const char *field = NULL;
	int err = conversion_for(guard->former, name, &conversion);

	if (!err) {
		before = calloc(1, conversion.from_size);
		now = calloc(1, conversion.to_size);
		err = before && now ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; !err && i < old->info.max_entries; i++) {
		if (bpf_map_lookup_elem(old->fd, &i, before))
			err = -errno;
		if (!err)
			err = conversion_run(&conversion, before, now, &field);
		if (!err && bpf_map_update_elem(guard->map_fd[which], &i, now, BPF_ANY))
			err = -errno;
	}
	if (field)
		err = unknown(problem, name, field);
	else if (err)
		problem_set(problem, err, "cannot take over the map %s: %s", name, strerror(-err));
	conversion_free(&conversion); /* `field` points into it */
	return err;
}

/* One value for each CPU; an entry that only the other build has is dropped. */
static int convert_losses(struct guard *guard, char **problem)
{
	const struct old_map *old = former_find(guard->former, "losses");
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;

	if (!values)
		return cpus < 0 ? cpus : -ENOMEM;
	for (uint32_t i = 0; old && i < old->info.max_entries && i < WEIR_LOSSES; i++) {
		if (bpf_map_lookup_elem(old->fd, &i, values) ||
		    bpf_map_update_elem(guard->map_fd[MAP_LOSSES], &i, values, BPF_ANY))
			return problem_set(problem, -errno, "cannot take over the losses: %s",
					   strerror(errno));
	}
	return 0;
}

static int convert_policy(struct guard *guard, char **problem)
{
	static const enum guard_map maps[] = {MAP_CONTROL, MAP_POLICY_HEADS, MAP_ORDERS};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(maps) / sizeof(*maps); i++)
		err = convert_array(guard, maps[i], problem);
	return err;
}

/* ---- meters --------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	const struct snapshot_entry *left = a, *right = b;

	return left->key < right->key ? -1 : left->key > right->key;
}

/* Not among those that the walk under way has added: it meets no key twice. */
static struct snapshot_entry *find_entry(const struct carried *carried, uint64_t key)
{
	struct snapshot_entry wanted = {.key = key}, *found = NULL;

	if (carried->sorted)
		found = bsearch(&wanted, carried->entry, carried->sorted, sizeof(wanted), by_key);
	return found;
}

static bool is_blank(const struct weir_meter *meter)
{
	static const struct weir_meter blank;

	return !memcmp(meter, &blank, sizeof(blank));
}

static int carry_one(const void *key, const void *value, void *data)
{
	struct carried *carried = data;
	struct snapshot_entry *entry;
	struct weir_meter meter;
	uint64_t number = 0;

	memcpy(&number, key, carried->key_size);
	memcpy(carried->raw, value, carried->conversion.from_size);
	if (conversion_run(&carried->conversion, carried->raw, &meter, &carried->unknown))
		return -EPROTO;
	entry = find_entry(carried, number);
	if (entry ? !memcmp(&entry->meter, &meter, sizeof(meter)) : is_blank(&meter))
		return 0;
	if (!entry) {
		entry = ARRAY_ADD(carried->entry, carried->count);
		if (!entry)
			return -ENOMEM;
		carried->count++;
		entry->key = number;
	}
	entry->meter = meter;
	if (carried->met_ns)
		slot_note_written(carried->met_ns, number);
	return bpf_map_update_elem(carried->to_fd, key, &meter, BPF_ANY) ? -errno : 0;
}

static struct map_walk walk_of(struct carried *carried,
			       int (*each)(const void *, const void *, void *))
{
	return (struct map_walk){.fd = carried->from_fd,
				 .key_size = carried->key_size,
				 .value_size = carried->conversion.from_size,
				 .each = each,
				 .data = carried};
}

/* After each walk: a flood of new addresses must not make the next one search all of them for each,
 * while the guard is frozen. */
static void sort_entries(struct carried *carried)
{
	if (carried->sorted == carried->count)
		return;
	qsort(carried->entry, carried->count, sizeof(*carried->entry), by_key);
	carried->sorted = carried->count;
}

static int carry_all(struct carried *carried, int (*each)(const void *, const void *, void *))
{
	const struct map_walk walk = walk_of(carried, each);
	int err = map_walk(&walk);

	sort_entries(carried);
	return err;
}

/* Of 47 MB of strangers' slots only those that a packet met since they were copied last. */
static int carry_met(struct former *former)
{
	const struct map_walk walk = walk_of(&former->strangers, carry_one);
	uint64_t since_ns = former->copied_ns;
	int err;

	former->copied_ns = boot_now();
	err = former->met_ns ? slots_since(&walk, former->met_ns, since_ns) : map_walk(&walk);
	sort_entries(&former->strangers);
	return err;
}

static int carry_first(struct guard *guard, enum guard_map which, struct carried *carried,
		       char **problem)
{
	const char *name = map_layouts[which].name;
	const struct old_map *old = former_find(guard->former, name);
	int err = conversion_for(guard->former, name, &carried->conversion);

	if (!err && which == MAP_STRANGERS && old->info.max_entries != WEIR_STRANGER_SLOTS)
		return problem_set(
			problem, -EPROTO,
			"the running guard has %u slots for strangers, this build %d; it "
			"stays as it is",
			old->info.max_entries, WEIR_STRANGER_SLOTS);
	if (!err) {
		carried->from_fd = old->fd;
		carried->to_fd = guard->map_fd[which];
		carried->key_size = old->info.key_size;
		carried->raw = malloc(carried->conversion.from_size);
		err = carried->raw ? carry_all(carried, carry_one) : -ENOMEM;
	}
	if (carried->unknown)
		return unknown(problem, name, carried->unknown);
	return err ? problem_set(problem, err, "cannot take over the meters: %s", strerror(-err))
		   : 0;
}

int former_carry(struct guard *guard, char **problem)
{
	struct former *former = guard->former;
	int err;

	if (former->keeps_meters)
		return 0;
	err = carry_all(&former->meters, carry_one);
	if (!err)
		err = carry_met(former);
	if (former->meters.unknown || former->strangers.unknown)
		return unknown(problem, "meters",
			       former->meters.unknown ?: former->strangers.unknown);
	return err ? problem_set(problem, err, "cannot take over the meters: %s", strerror(-err))
		   : 0;
}

/* ---- what was counted after the last copy --------------------------------------------------- */

static bool counters_differ(const struct weir_meter *meter, const struct weir_meter *before,
			    struct weir_carry *more)
{
	bool differ = false;

	for (int i = 0; i < 2; i++) {
		more->sent_bytes[i] = meter->sent_bytes[i] - before->sent_bytes[i];
		more->sent_packets[i] = meter->sent_packets[i] - before->sent_packets[i];
		more->acked_bytes[i] = meter->acked_bytes[i] - before->acked_bytes[i];
		differ = differ || more->sent_packets[i] || more->acked_bytes[i];
	}
	more->refused_bytes = meter->refused_bytes - before->refused_bytes;
	more->refused_packets = meter->refused_packets - before->refused_packets;
	more->would_refuse_bytes = meter->would_refuse_bytes - before->would_refuse_bytes;
	more->would_refuse_packets = meter->would_refuse_packets - before->would_refuse_packets;
	return differ || more->refused_packets || more->would_refuse_packets;
}

static int carry_counters(struct carry_bpf *carrier, const struct weir_carry *more)
{
	char packet[64] = ""; /* nobody looks at it */
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet));
	uint32_t zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(carrier->maps.carry_request), &zero, more, BPF_ANY) ||
	    bpf_prog_test_run_opts(bpf_program__fd(carrier->progs.weir_carry), &options))
		return -errno;
	return options.retval ? -EIO : 0;
}

static int rest_one(const void *key, const void *value, void *data)
{
	static const struct weir_meter blank;
	struct carried *carried = data;
	struct weir_carry more = {0};
	struct snapshot_entry *entry;
	struct weir_meter meter;

	memcpy(&more.key, key, sizeof(more.key));
	memcpy(carried->raw, value, carried->conversion.from_size);
	if (conversion_run(&carried->conversion, carried->raw, &meter, &carried->unknown))
		return -EPROTO;
	entry = find_entry(carried, more.key);
	if (!counters_differ(&meter, entry ? &entry->meter : &blank, &more))
		return 0;
	if (!entry && !bpf_map_update_elem(carried->to_fd, key, &meter, BPF_NOEXIST))
		return 0;
	return carry_counters(carried->carrier, &more);
}

int former_carry_rest(struct guard *guard, char **problem)
{
	struct former *former = guard->former;
	int err = former->keeps_meters ? 0 : carry_all(&former->meters, rest_one);

	return err ? problem_set(problem, err, "cannot add what was counted meanwhile: %s",
				 strerror(-err))
		   : 0;
}

/* Loaded beforehand: nothing that can fail is left for the moment of the change. */
static int load_carrier(struct guard *guard, char **problem)
{
	struct former *former = guard->former;
	struct bpf_map *map;
	int err;

	if (former->keeps_meters)
		return 0;
	former->carrier = carry_bpf__open();
	if (!former->carrier)
		return problem_libbpf(problem, -errno, "cannot read the program that carries");
	bpf_object__for_each_map(map, former->carrier->obj)
	{
		struct bpf_map *same =
			bpf_object__find_map_by_name(former->object, bpf_map__name(map));

		if (!same || bpf_map__is_internal(map))
			continue;
		err = bpf_map__reuse_fd(map, bpf_map__fd(same));
		if (err)
			return err;
	}
	former->meters.carrier = former->carrier;
	err = carry_bpf__load(former->carrier);
	return err ? problem_libbpf(problem, err, "cannot load the program that carries") : 0;
}

/* ---- all ------------------------------------------------------------------------------------ */

static bool is_kept(const struct former *former, const struct guard *guard, enum guard_map which)
{
	const struct old_map *old = former_find(former, map_layouts[which].name);
	struct bpf_map_info info;

	return old && !map_info(guard->map_fd[which], &info) && info.id == old->info.id;
}

int carry_begin(struct guard *guard, char **problem)
{
	struct former *former = guard->former;
	int err = former->keeps_policy ? 0 : convert_policy(guard, problem);

	if (!err && !is_kept(former, guard, MAP_LOSSES))
		err = convert_losses(guard, problem);
	if (!err && !former->keeps_meters)
		err = carry_first(guard, MAP_METERS, &former->meters, problem);
	former->copied_ns = boot_now();
	former->strangers.met_ns = guard->strangers_met;
	if (!err && !former->keeps_meters)
		err = carry_first(guard, MAP_STRANGERS, &former->strangers, problem);
	return err ?: load_carrier(guard, problem);
}

static void carried_free(struct carried *carried)
{
	conversion_free(&carried->conversion);
	free(carried->raw);
	free(carried->entry);
}

void carry_free(struct former *former)
{
	carried_free(&former->meters);
	carried_free(&former->strangers);
	carry_bpf__destroy(former->carrier);
}
