/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * maps.c - the maps of bpf/maps.bpf.h as user space knows them: opening, comparing, bulk access.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <fcntl.h>

#define BATCH 16384u /* entries for one system call */

#define INNER_ARRAY(map_name, value_type)                                                          \
	{                                                                                          \
		.name = map_name, .type = BPF_MAP_TYPE_ARRAY, .flags = BPF_F_INNER_MAP,            \
		.key_size = sizeof(uint32_t), .value_size = sizeof(value_type)                     \
	}
#define INNER_TRIE(map_name, key_type, value)                                                      \
	{                                                                                          \
		.name = map_name, .type = BPF_MAP_TYPE_LPM_TRIE, .flags = BPF_F_NO_PREALLOC,       \
		.key_size = sizeof(key_type), .value_size = sizeof(value)                          \
	}
#define PLAIN(map_name, map_type, key, value)                                                      \
	{                                                                                          \
		.name = map_name, .type = map_type, .key_size = key, .value_size = value           \
	}

const struct map_layout map_layouts[MAPS] = {
	[MAP_SERVICES] = INNER_ARRAY("services", struct weir_service),
	[MAP_PARTNERS] = INNER_ARRAY("partners", struct weir_partner),
	[MAP_GRANTS] = INNER_ARRAY("grants", struct weir_grant),
	[MAP_RULES] = INNER_ARRAY("rules", struct weir_rule),
	[MAP_HOURS] = INNER_ARRAY("hours", struct weir_interval),
	[MAP_LIFELINES] = INNER_ARRAY("lifelines", struct weir_lifeline_rule),
	[MAP_PREFIXES4] = INNER_TRIE("prefixes4", struct weir_prefix4, uint32_t),
	[MAP_PREFIXES6] = INNER_TRIE("prefixes6", struct weir_prefix6, uint32_t),
	[MAP_LIFELINE4] = INNER_TRIE("lifeline4", struct weir_prefix4, struct weir_span),
	[MAP_LIFELINE6] = INNER_TRIE("lifeline6", struct weir_prefix6, struct weir_span),
	[MAP_PATHS] = INNER_TRIE("paths", struct weir_path_key, struct weir_path_step),
	[MAP_PAIRS] = {.name = "pairs",
		       .type = BPF_MAP_TYPE_HASH,
		       .flags = BPF_F_NO_PREALLOC,
		       .key_size = sizeof(struct weir_pair),
		       .value_size = sizeof(struct weir_span)},
	[MAP_CONTROL] = PLAIN("control", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct weir_control)),
	[MAP_POLICY_HEADS] =
		PLAIN("policy_heads", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct weir_policy_head)),
	[MAP_CUT_HEADS] = PLAIN("cut_heads", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct weir_cut_head)),
	[MAP_CUTS] = PLAIN("cuts", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct weir_cut_entry)),
	[MAP_OVERRIDES] = PLAIN("overrides", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct weir_override)),
	[MAP_ORDERS] = PLAIN("orders", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct weir_order)),
	[MAP_METERS] = PLAIN("meters", BPF_MAP_TYPE_HASH, 8, sizeof(struct weir_meter)),
	[MAP_STRANGERS] = PLAIN("strangers", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct weir_meter)),
	[MAP_STRANGERS_MET] = PLAIN("strangers_met", BPF_MAP_TYPE_ARRAY, 4, sizeof(uint64_t)),
	[MAP_LEASES] = PLAIN("leases", BPF_MAP_TYPE_ARRAY, 4, 0),
	[MAP_METER_LOCK] = PLAIN("meter_lock", BPF_MAP_TYPE_ARRAY, 4, 0),
	[MAP_CGROUPS] = PLAIN("cgroups", BPF_MAP_TYPE_LRU_HASH, 8, sizeof(struct weir_cgroup)),
	[MAP_EVENTS] = PLAIN("events", BPF_MAP_TYPE_RINGBUF, 0, 0),
	[MAP_LOSSES] = PLAIN("losses", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(uint64_t)),
};

int map_info(int fd, struct bpf_map_info *info)
{
	uint32_t length = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &length) ? -errno : 0;
}

static int other_layout(char **problem, const char *name, const char *what)
{
	return problem_set(
		problem, -EPROTO,
		"the pinned guard is of another build: map %s %s; `weir run` takes it over", name,
		what);
}

static int map_check(enum guard_map map, int fd, char **problem)
{
	const struct map_layout *layout = &map_layouts[map];
	struct bpf_map_info info;
	bool is_same;
	int err;

	err = map_info(fd, &info);
	if (err)
		return err;
	if (map < MAPS_SLOTTED)
		is_same = info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS &&
			  info.max_entries == WEIR_POLICY_SLOTS;
	else
		is_same = info.type == layout->type && info.key_size == layout->key_size &&
			  (!layout->value_size || info.value_size == layout->value_size);
	return is_same ? 0 : other_layout(problem, layout->name, "has another layout");
}

int maps_open(const char *instance, int fd[MAPS], char **problem)
{
	int err;

	for (enum guard_map map = 0; map < MAPS; map++) {
		_cleanup_free_ char *path = pin_path(instance, map_layouts[map].name);

		if (!path)
			return -ENOMEM;
		fd[map] = bpf_obj_get(path);
		if (fd[map] < 0 && errno == ENOENT)
			return other_layout(problem, map_layouts[map].name, "is missing");
		if (fd[map] < 0)
			return problem_set(problem, -errno, "cannot open %s: %s", path,
					   strerror(errno));
		err = map_check(map, fd[map], problem);
		if (err)
			return err;
	}
	return 0;
}

int maps_take(struct bpf_object *object, int fd[MAPS], char **problem)
{
	for (enum guard_map map = 0; map < MAPS; map++) {
		int of_object = bpf_object__find_map_fd_by_name(object, map_layouts[map].name);

		if (of_object < 0)
			return problem_set(problem, -EPROTO, "the programs have no map %s",
					   map_layouts[map].name);
		fd[map] = fcntl(of_object, F_DUPFD_CLOEXEC, 3);
		if (fd[map] < 0)
			return -errno;
	}
	return 0;
}

int maps_size(struct bpf_object *object)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, map_layouts[MAP_LEASES].name);
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return cpus;
	return map ? bpf_map__set_max_entries(map, cpus * WEIR_LEASES) : 0;
}

static int reuse_one(struct bpf_map *map, const char *instance, char **problem)
{
	const char *name = bpf_map__name(map);
	_cleanup_free_ char *path = pin_path(instance, name);
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info;
	int err;

	if (!path)
		return -ENOMEM;
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT)
		return other_layout(problem, name, "is missing");
	if (fd < 0)
		return -errno;
	err = map_info(fd, &info);
	if (err)
		return err;
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    info.max_entries != bpf_map__max_entries(map))
		return other_layout(problem, name, "has another layout");
	return bpf_map__reuse_fd(map, fd);
}

int maps_reuse(struct bpf_object *object, const char *instance, const char *private, char **problem)
{
	struct bpf_map *map;
	int err = maps_size(object);

	if (err)
		return err;
	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__is_internal(map))
			continue; /* .rodata and the like belong to the programs */
		if (private && !strcmp(bpf_map__name(map), private))
			continue;
		err = reuse_one(map, instance, problem);
		if (err)
			return err;
	}
	return 0;
}

/* What a kernel answers when it has no batch operation for this type of map. */
static bool has_no_batch(int err)
{
	return err == -EINVAL || err == -EOPNOTSUPP || err == -524 /* ENOTSUPP */;
}

static int fill_one_by_one(int fd, const char *keys, uint32_t key_size, const char *values,
			   uint32_t value_size, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, keys + i * key_size, values + i * value_size, BPF_ANY))
			return -errno;
	return 0;
}

int map_fill(int fd, const void *keys, uint32_t key_size, const void *values, uint32_t value_size,
	     size_t count)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	const char *key = keys, *value = values;

	for (size_t done = 0; done < count;) {
		uint32_t n = count - done < BATCH ? count - done : BATCH;
		int err = bpf_map_update_batch(fd, key + done * key_size, value + done * value_size,
					       &n, &options)
				  ? -errno
				  : 0;

		if (has_no_batch(err))
			return fill_one_by_one(fd, key + done * key_size, key_size,
					       value + done * value_size, value_size, count - done);
		if (err)
			return err;
		done += n;
	}
	return 0;
}

int map_fill_array(int fd, uint32_t first, const void *values, uint32_t value_size, size_t count)
{
	size_t chunk = count < BATCH ? count : BATCH;
	_cleanup_free_ uint32_t *keys = calloc(chunk ?: 1, sizeof(*keys));
	int err = keys ? 0 : -ENOMEM;

	for (size_t done = 0; !err && done < count; done += chunk) {
		size_t n = count - done < chunk ? count - done : chunk;

		for (size_t i = 0; i < n; i++)
			keys[i] = first + done + i;
		err = map_fill(fd, keys, sizeof(*keys), (const char *)values + done * value_size,
			       value_size, n);
	}
	return err;
}

int map_read_array(int fd, uint32_t first, void *values, uint32_t value_size, size_t count)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	_cleanup_free_ uint32_t *keys = calloc(count ?: 1, sizeof(*keys));
	uint32_t n = count, at = first ? first - 1 : 0, next;

	if (!keys)
		return -ENOMEM;
	if (!bpf_map_lookup_batch(fd, first ? &at : NULL, &next, keys, values, &n, &options) ||
	    (errno == ENOENT && n == count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t key = first + i;

		if (bpf_map_lookup_elem(fd, &key, (char *)values + i * value_size))
			return -errno;
	}
	return 0;
}
