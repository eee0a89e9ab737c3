/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * former.c - the guard of another build, opened to be taken over.
 *
 * This build's programs are loaded beside the running ones. They get those maps of the running
 * guard that look the same in both builds; for the others they have fresh ones, and what a fresh
 * one must know is copied field by field. Meters change while they are copied: so they are copied
 * once at leisure, and what changed once more while the running programs refuse whatever a budget
 * would be charged for (control.freeze_until_ns). What they still count then - lifeline, refusals,
 * acknowledgements - is added afterwards.
 *
 * What is known of connections (sockets, openers, spoke, holders) cannot be copied from here. Where
 * it looks different, the connections that are open are taken for called, like ones that are older
 * than the guard.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <sys/mman.h>

#include "user/base/array.h"
#include "user/kernel/layout.h"

#include "carry.skel.h"

struct old_map {
	char name[BPF_OBJ_NAME_LEN];
	int fd;
	struct bpf_map_info info;
};

struct snapshot_entry {
	uint64_t key;
	struct weir_meter meter; /* in this build's layout */
};

/* Meters on their way from one map to another. */
struct carried {
	int from_fd, to_fd;
	uint32_t key_size;
	struct conversion conversion;
	char *raw; /* one value, aligned */
	struct snapshot_entry *entry;
	size_t count, sorted;	   /* the first `sorted` by key */
	struct carry_bpf *carrier; /* adds to what runs already; borrowed */
	const char *unknown;	   /* a field in use that this build does not have */
};

struct former {
	struct old_map *map;
	size_t count;
	struct bpf_object *object;
	void *control; /* of the running programs */
	size_t control_size;
	uint64_t *freeze_until_ns;
	uint64_t abi;
	bool keeps_policy, keeps_meters;
	struct carried meters, strangers;
	struct carry_bpf *carrier;
	char loss[128];
};

/* ---- the maps of the running programs ---------------------------------------------------------
 */

static int fd_of_link(const char *instance, const char *pin, struct bpf_link_info *info)
{
	_cleanup_free_ char *path = pin_path(instance, pin);
	uint32_t length = sizeof(*info);
	int fd = path ? bpf_obj_get(path) : -1;

	memset(info, 0, sizeof(*info));
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, info, &length)) {
		close(fd);
		return -1;
	}
	return fd;
}

enum { MOST_MAPS = 64 };

/* The maps of the program behind the egress link. 0 when it cannot be told. */
static uint32_t maps_running(const char *instance, uint32_t id[MOST_MAPS])
{
	struct bpf_link_info link;
	_cleanup_close_ int link_fd = fd_of_link(instance, PIN_LINK "egress", &link);
	_cleanup_close_ int fd = link_fd < 0 ? -1 : bpf_prog_get_fd_by_id(link.prog_id);
	struct bpf_prog_info info = {.map_ids = (uint64_t)(uintptr_t)id, .nr_map_ids = MOST_MAPS};
	uint32_t length = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length))
		return 0;
	return info.nr_map_ids < MOST_MAPS ? info.nr_map_ids : MOST_MAPS;
}

static int open_by_id(uint32_t id, struct old_map *map)
{
	map->fd = bpf_map_get_fd_by_id(id);
	if (map->fd < 0)
		return -errno;
	if (map_info(map->fd, &map->info)) {
		close(map->fd);
		return -EIO;
	}
	snprintf(map->name, sizeof(map->name), "%s", map->info.name);
	return 0;
}

bool running_on_pinned(const char *instance)
{
	_cleanup_free_ char *path = pin_path(instance, PIN_MARKER);
	_cleanup_close_ int fd = path ? bpf_obj_get(path) : -1;
	uint32_t id[MOST_MAPS], count = maps_running(instance, id);
	struct bpf_map_info pinned;
	bool has_other = false;

	if (fd < 0 || map_info(fd, &pinned))
		return true;
	for (uint32_t i = 0; i < count; i++) {
		struct old_map map;

		if (id[i] == pinned.id)
			return true;
		if (open_by_id(id[i], &map))
			continue;
		has_other = has_other || !strcmp(map.name, PIN_MARKER);
		close(map.fd);
	}
	return !has_other; /* a foreign program in our place has no such map */
}

static struct old_map *find_old(const struct former *former, const char *name)
{
	for (size_t i = 0; i < former->count; i++) {
		if (!strcmp(former->map[i].name, name))
			return &former->map[i];
	}
	return NULL;
}

struct opening {
	struct former *former;
	const char *instance;
};

static int open_pinned(const char *name, void *data)
{
	struct opening *opening = data;
	struct former *former = opening->former;
	_cleanup_free_ char *path = pin_path(opening->instance, name);
	struct old_map *map;

	if (!strncmp(name, PIN_LINK, strlen(PIN_LINK)) || strlen(name) >= BPF_OBJ_NAME_LEN)
		return 0;
	map = ARRAY_ADD(former->map, former->count);
	if (!map || !path)
		return -ENOMEM;
	map->fd = bpf_obj_get(path);
	if (map->fd < 0)
		return -errno;
	former->count++;
	strcpy(map->name, name);
	return map_info(map->fd, &map->info);
}

/* Those that are in use instead of the pinned ones, after a takeover that was cut short. */
static int open_running(struct opening *opening)
{
	uint32_t id[MOST_MAPS], count = maps_running(opening->instance, id);

	for (uint32_t i = 0; i < count; i++) {
		struct old_map running, *map;
		int err = open_by_id(id[i], &running);

		if (err)
			return err;
		map = find_old(opening->former, running.name);
		if (!map) { /* .rodata and the like */
			close(running.fd);
			continue;
		}
		close(map->fd);
		*map = running;
	}
	return 0;
}

static int open_maps(struct guard *guard, struct former *former)
{
	struct opening opening = {former, guard->instance};
	int err = pins_each(guard->dir_fd, open_pinned, &opening);

	if (!err && !running_on_pinned(guard->instance))
		err = open_running(&opening);
	return err;
}

/* ---- comparing --------------------------------------------------------------------------------
 */

static int layout_of_old(const struct old_map *map, uint32_t type, struct layout *layout)
{
	struct btf *btf = btf__load_from_kernel_by_id(map->info.btf_id);
	int err = btf ? layout_of(btf, type, layout) : -errno;

	btf__free(btf);
	return err;
}

static bool type_is_same(const struct old_map *old, uint32_t old_type,
			 const struct bpf_object *object, uint32_t type)
{
	struct layout before = {0}, now = {0};
	bool is_same = !old_type && !type;

	if (old_type && type && !layout_of_old(old, old_type, &before) &&
	    !layout_of(bpf_object__btf(object), type, &now))
		is_same = layout_is_same(&before, &now);
	layout_free(&before);
	layout_free(&now);
	return is_same;
}

/* A ring, or an array of maps, has no types: there the ABI's number has to say it. */
static bool map_is_same(const struct former *former, const struct bpf_object *object,
			const struct bpf_map *map)
{
	const struct old_map *old = find_old(former, bpf_map__name(map));
	const struct bpf_map_info *info = old ? &old->info : NULL;

	if (!info || info->type != bpf_map__type(map) || info->key_size != bpf_map__key_size(map) ||
	    info->value_size != bpf_map__value_size(map) ||
	    info->max_entries != bpf_map__max_entries(map) ||
	    info->map_flags != bpf_map__map_flags(map))
		return false;
	if (!info->btf_value_type_id && former->abi != WEIR_ABI_ID)
		return false;
	return type_is_same(old, info->btf_value_type_id, object,
			    bpf_map__btf_value_type_id(map)) &&
	       type_is_same(old, info->btf_key_type_id, object, bpf_map__btf_key_type_id(map));
}

/* These make sense only together: control says which of the slots counts. */
static bool is_of_policy(const char *name)
{
	static const enum guard_map others[] = {MAP_CONTROL, MAP_POLICY_HEADS, MAP_CUT_HEADS,
						MAP_CUTS, MAP_ORDERS};

	for (size_t i = 0; i < MAPS_SLOTTED; i++) {
		if (!strcmp(name, map_layouts[i].name))
			return true;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (!strcmp(name, map_layouts[others[i]].name))
			return true;
	}
	return false;
}

static bool is_of_meters(const char *name)
{
	return !strcmp(name, "meters") || !strcmp(name, "strangers");
}

static void choose_groups(struct former *former, const struct bpf_object *object)
{
	struct bpf_map *map;

	former->keeps_policy = former->abi == WEIR_ABI_ID;
	former->keeps_meters = true;
	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);

		if (bpf_map__is_internal(map) || map_is_same(former, object, map))
			continue;
		if (is_of_policy(name))
			former->keeps_policy = false;
		if (is_of_meters(name))
			former->keeps_meters = false;
	}
}

static bool keeps(const struct former *former, const struct bpf_object *object,
		  const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	if (is_of_policy(name))
		return former->keeps_policy;
	if (is_of_meters(name))
		return former->keeps_meters;
	if (!strcmp(name, "meter_lock") && !former->keeps_meters)
		return false;
	return map_is_same(former, object, map);
}

/* What the open connections lose without it. */
static void note_loss(struct former *former, const char *name)
{
	static const char *const known[] = {"sockets", "openers", "spoke", "holders"};
	size_t length = strlen(former->loss);

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!strcmp(name, known[i]))
			snprintf(former->loss + length, sizeof(former->loss) - length, "%s%s",
				 length ? ", " : "", name);
	}
}

static int choose_maps(struct bpf_object *object, void *data, char **problem)
{
	struct former *former = data;
	struct bpf_map *map;

	(void)problem;
	choose_groups(former, object);
	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);
		int err;

		if (bpf_map__is_internal(map))
			continue;
		if (!keeps(former, object, map)) {
			note_loss(former, name);
			continue;
		}
		err = bpf_map__reuse_fd(map, find_old(former, name)->fd);
		if (err)
			return err;
	}
	return 0;
}

/* ---- control ----------------------------------------------------------------------------------
 */

static uint64_t *word_of(void *control, const struct layout *layout, const char *path)
{
	const struct layout_field *field = layout_find(layout, path);

	return field && field->size == sizeof(uint64_t) && field->offset % sizeof(uint64_t) == 0
		       ? (uint64_t *)((char *)control + field->offset)
		       : NULL;
}

static int map_old_control(struct former *former, char **problem)
{
	const struct old_map *old = find_old(former, PIN_MARKER);
	struct layout layout = {0};
	uint64_t *abi = NULL;
	void *at = MAP_FAILED;
	int err = old ? layout_of_old(old, old->info.btf_value_type_id, &layout) : -ENOENT;

	if (!err) {
		at = mmap(NULL, old->info.value_size, PROT_READ | PROT_WRITE, MAP_SHARED, old->fd,
			  0);
		err = at == MAP_FAILED ? -errno : 0;
	}
	if (!err) {
		former->control = at;
		former->control_size = old->info.value_size;
		former->freeze_until_ns = word_of(at, &layout, "freeze_until_ns");
		abi = word_of(at, &layout, "abi");
	}
	layout_free(&layout);
	if (err || !abi || !former->freeze_until_ns)
		return problem_set(
			problem, -EPROTO,
			"the pinned guard is of a build that cannot be taken over; `weir "
			"unload` takes it off");
	former->abi = *abi;
	return 0;
}

void former_freeze(struct guard *guard, uint64_t until_ns)
{
	__atomic_store_n(guard->former->freeze_until_ns, until_ns, __ATOMIC_SEQ_CST);
}

/* ---- converting -------------------------------------------------------------------------------
 */

static int conversion_for(const struct former *former, const char *name,
			  struct conversion *conversion)
{
	const struct old_map *old = find_old(former, name);
	struct bpf_map *map = bpf_object__find_map_by_name(former->object, name);
	struct layout before = {0}, now = {0};
	int err = old && map ? layout_of_old(old, old->info.btf_value_type_id, &before) : -ENOENT;

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
	const struct old_map *old = find_old(guard->former, name);
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
	conversion_free(&conversion);
	if (field)
		return unknown(problem, name, field);
	return err ? problem_set(problem, err, "cannot take over the map %s: %s", name,
				 strerror(-err))
		   : 0;
}

/* One value for each CPU; an entry that only the other build has is dropped. */
static int convert_losses(struct guard *guard, char **problem)
{
	const struct old_map *old = find_old(guard->former, "losses");
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

/* ---- meters -----------------------------------------------------------------------------------
 */

static int by_key(const void *a, const void *b)
{
	const struct snapshot_entry *left = a, *right = b;

	return left->key < right->key ? -1 : left->key > right->key;
}

static struct snapshot_entry *find_entry(const struct carried *carried, uint64_t key)
{
	struct snapshot_entry wanted = {.key = key}, *found = NULL;

	if (carried->sorted)
		found = bsearch(&wanted, carried->entry, carried->sorted, sizeof(wanted), by_key);
	for (size_t i = carried->sorted; !found && i < carried->count; i++) {
		if (carried->entry[i].key == key)
			found = &carried->entry[i];
	}
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
	return bpf_map_update_elem(carried->to_fd, key, &meter, BPF_ANY) ? -errno : 0;
}

static int carry_all(struct carried *carried, int (*each)(const void *, const void *, void *))
{
	const struct map_walk walk = {.fd = carried->from_fd,
				      .key_size = carried->key_size,
				      .value_size = carried->conversion.from_size,
				      .each = each,
				      .data = carried};
	int err = map_walk(&walk);

	if (carried->count && !carried->sorted) {
		qsort(carried->entry, carried->count, sizeof(*carried->entry), by_key);
		carried->sorted = carried->count;
	}
	return err;
}

static int carry_begin(struct guard *guard, enum guard_map which, struct carried *carried,
		       char **problem)
{
	const char *name = map_layouts[which].name;
	const struct old_map *old = find_old(guard->former, name);
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
		err = carry_all(&former->strangers, carry_one);
	if (former->meters.unknown || former->strangers.unknown)
		return unknown(problem, "meters",
			       former->meters.unknown ?: former->strangers.unknown);
	return err ? problem_set(problem, err, "cannot take over the meters: %s", strerror(-err))
		   : 0;
}

/* ---- what was counted after the last copy -----------------------------------------------------
 */

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

/* ---- opening ----------------------------------------------------------------------------------
 */

static bool is_kept(const struct former *former, const struct guard *guard, enum guard_map which)
{
	const struct old_map *old = find_old(former, map_layouts[which].name);
	struct bpf_map_info info;

	return old && !map_info(guard->map_fd[which], &info) && info.id == old->info.id;
}

static int take_over(struct guard *guard, const struct guard_options *options, char **problem)
{
	struct former *former = guard->former;
	int err = open_maps(guard, former);

	if (err)
		return problem_set(problem, err, "cannot open the running guard's maps: %s",
				   strerror(-err));
	err = map_old_control(former, problem);
	if (!err)
		err = object_load_with(choose_maps, former, wants_edge(options), &former->object,
				       problem);
	if (!err)
		err = maps_take(former->object, guard->map_fd, problem);
	if (!err && !former->keeps_policy)
		err = convert_policy(guard, problem);
	if (!err)
		err = guard_map_control(guard, problem);
	if (!err && !is_kept(former, guard, MAP_LOSSES))
		err = convert_losses(guard, problem);
	if (!err && !former->keeps_meters)
		err = carry_begin(guard, MAP_METERS, &former->meters, problem);
	if (!err && !former->keeps_meters)
		err = carry_begin(guard, MAP_STRANGERS, &former->strangers, problem);
	return err ?: load_carrier(guard, problem);
}

int guard_open_former(const struct guard_options *options, struct guard **ret, char **problem)
{
	_cleanup_guard_ struct guard *guard = NULL;
	int err = guard_new(options->instance, &guard, problem);

	if (!err)
		err = pins_open(options->instance, &guard->dir_fd);
	if (!err)
		err = guard_lock(guard);
	if (err)
		return problem && *problem
			       ? err
			       : problem_set(problem, err, "cannot open %s/%s: %s", PIN_HOME,
					     options->instance, strerror(-err));
	guard->former = calloc(1, sizeof(*guard->former));
	err = guard->former ? take_over(guard, options, problem) : -ENOMEM;
	if (!err)
		err = guard_find_cgroup(guard);
	if (!err)
		guard->control->abi = WEIR_ABI_ID;
	if (err)
		return problem && *problem
			       ? err
			       : problem_set(problem, err, "cannot take the guard over: %s",
					     strerror(-err));
	*ret = TAKE_PTR(guard);
	return 0;
}

const char *guard_former_loss(const struct guard *guard)
{
	return guard->former ? guard->former->loss : NULL;
}

struct bpf_object *former_take_object(struct guard *guard)
{
	return TAKE_PTR(guard->former->object);
}

static void carried_free(struct carried *carried)
{
	conversion_free(&carried->conversion);
	free(carried->raw);
	free(carried->entry);
}

void former_free(struct former *former)
{
	if (!former)
		return;
	carried_free(&former->meters);
	carried_free(&former->strangers);
	carry_bpf__destroy(former->carrier);
	bpf_object__close(former->object);
	if (former->control)
		munmap(former->control, former->control_size);
	for (size_t i = 0; i < former->count; i++)
		cleanup_close(&former->map[i].fd);
	free(former->map);
	free(former);
}
