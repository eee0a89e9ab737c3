/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * former_maps.c - the maps of a guard of another build: which they are, and which of them this
 * build's programs can use as they are.
 */
#include "user/kernel/former.h"

#include <errno.h>

#include "user/base/array.h"

/* ---- the maps of the running programs ------------------------------------------------------- */

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

bool former_is_control(uint32_t map_id)
{
	struct old_map map;

	if (open_by_id(map_id, &map))
		return false;
	close(map.fd);
	return !strcmp(map.name, PIN_MARKER);
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
		if (id[i] == pinned.id)
			return true;
		has_other = has_other || former_is_control(id[i]);
	}
	return !has_other; /* a foreign program in our place has no such map */
}

struct old_map *former_find(const struct former *former, const char *name)
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

	if (!strncmp(name, PIN_LINK, strlen(PIN_LINK)) || !strcmp(name, PIN_SETTLE) ||
	    strlen(name) >= BPF_OBJ_NAME_LEN)
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
		map = former_find(opening->former, running.name);
		if (!map) { /* .rodata and the like */
			close(running.fd);
			continue;
		}
		close(map->fd);
		*map = running;
	}
	return 0;
}

int former_open_maps(struct guard *guard, struct former *former)
{
	struct opening opening = {former, guard->instance};
	int err = pins_each(guard->dir_fd, open_pinned, &opening);

	if (!err && !running_on_pinned(guard->instance))
		err = open_running(&opening);
	return err;
}

/* ---- comparing ------------------------------------------------------------------------------ */

int former_layout(const struct old_map *map, uint32_t type, struct layout *layout)
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

	if (old_type && type && !former_layout(old, old_type, &before) &&
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
	const struct old_map *old = former_find(former, bpf_map__name(map));
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
						MAP_CUTS,    MAP_OVERRIDES,    MAP_ORDERS};

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
	return !strcmp(name, "meters") || !strcmp(name, "strangers") ||
	       !strcmp(name, "strangers_met") || !strcmp(name, "leases");
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

static bool is_kept(const struct former *former, const struct bpf_object *object, const char *name)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	return map && map_is_same(former, object, map);
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
	/* What a connection counted there only its socket's storage knows, and takes back. */
	if (!strcmp(name, "holders") && !is_kept(former, object, "sockets"))
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

int former_choose(struct bpf_object *object, void *data, char **problem)
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
		err = bpf_map__reuse_fd(map, former_find(former, name)->fd);
		if (err)
			return err;
	}
	return 0;
}
