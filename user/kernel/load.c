/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * load.c - a new guard: programs and maps, then the policy, then the links, then the pins. All or
 * nothing: until the last pin stands, closing what is open takes everything off again.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "user/base/now.h"

/* CLOCK_MONOTONIC_COARSE moves with the jiffies (kernel/time/posix-timers.c posix_get_coarse_res).
 */
uint64_t tick_ns(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec)
		return 0;
	return tick.tv_nsec;
}

static int fill_control(struct guard *guard, const struct guard_options *options, uint64_t cgroup)
{
	struct weir_control *control = guard->control;

	if (options->secret)
		memcpy(control->secret, options->secret, sizeof(control->secret));
	else if (getrandom(control->secret, sizeof(control->secret), 0) != sizeof(control->secret))
		return -EIO;
	control->wall_offset_ns = wall_now() - boot_now();
	control->root_cgroup = cgroup;
	control->observe = options->observe;
	control->hours_closed = options->hours_closed;
	control->abi = WEIR_ABI_ID;
	control->tick_ns = tick_ns();
	__atomic_store_n(&control->active, weir_active(1, 0, 0), __ATOMIC_SEQ_CST);
	return 0;
}

static int fill(struct guard *guard, const struct guard_options *options, const struct image *image,
		uint64_t cgroup, char **problem)
{
	_cleanup_tables_ struct tables tables = {};
	int err = guard_map_shared(guard, problem);

	if (err)
		return err;
	err = tables_build(image, &tables, problem);
	if (!err)
		err = tables_install(guard, &tables, &image->head, 0, problem);
	if (!err)
		err = cuts_fill(guard, options->cuts, 0);
	if (!err)
		err = map_fill_array(guard->map_fd[MAP_ORDERS], 0, options->orders,
				     sizeof(*options->orders), options->order_count);
	if (!err && options->fill_meters)
		err = options->fill_meters(guard, options->fill_data);
	if (!err)
		err = fill_control(guard, options, cgroup);
	if (err)
		return problem_set(problem, err, "cannot fill the guard's maps: %s",
				   strerror(-err));
	return 0;
}

static int attach(struct bpf_object *object, const struct guard_options *options, int cgroup_fd,
		  struct links *links, char **problem)
{
	int err = 0;

	for (size_t i = 0; !err && i < options->uplink_count; i++)
		err = attach_uplink(object, options, options->uplinks[i], links, problem);
	for (size_t i = 0; !err && i < hook_count; i++)
		err = attach_hook(object, &hooks[i], cgroup_fd, links, problem);
	return err;
}

static int pin_map(struct bpf_map *map, const char *instance, char **problem)
{
	_cleanup_free_ char *path = pin_path(instance, bpf_map__name(map));

	if (!path)
		return -ENOMEM;
	if (bpf_obj_pin(bpf_map__fd(map), path))
		return problem_set(problem, -errno, "cannot pin %s: %s", path, strerror(errno));
	return 0;
}

/* The marker comes last: without it the rest counts as remains of a load that never ended. */
static int pin_all(struct bpf_object *object, const struct links *links, const char *instance,
		   char **problem)
{
	struct bpf_map *map, *marker = bpf_object__find_map_by_name(object, PIN_MARKER);
	int err;

	bpf_object__for_each_map(map, object)
	{
		if (map == marker || bpf_map__is_internal(map))
			continue;
		err = pin_map(map, instance, problem);
		if (err)
			return err;
	}
	err = settle_pin(object, instance, problem);
	if (!err)
		err = links_pin(links, instance, problem);
	return err ? err : pin_map(marker, instance, problem);
}

/* The instance's directory, locked and empty of what a killed process left. */
static int claim(struct guard *guard, char **problem)
{
	int err = -ENOENT;

	/* -ENOENT: an unload took the directory between opening and locking it */
	for (int i = 0; err == -ENOENT && i < 10; i++) {
		cleanup_close(&guard->dir_fd);
		guard->dir_fd = -1;
		err = pins_create(guard->instance, &guard->dir_fd, problem);
		if (err)
			return err;
		err = guard_lock(guard);
	}
	if (err)
		return lock_problem(guard, err, problem);
	if (!guard_is_pinned(guard->instance))
		return 0;
	guard_unlock(guard);
	return problem_set(problem, -EEXIST, "a guard is loaded already (%s/%s)", PIN_HOME,
			   guard->instance);
}

/* Removes remains, but keeps the directory that holds the lock. */
static int remove_pin(const char *name, void *data)
{
	const struct guard *guard = data;

	return unlinkat(guard->dir_fd, name, 0) ? -errno : 0;
}

bool wants_edge(const struct guard_options *options)
{
	return options->uplink_count > 0 || options->any_uplink;
}

static int build(struct guard *guard, const struct guard_options *options,
		 const struct image *image, int cgroup_fd, uint64_t cgroup, char **problem)
{
	_cleanup_object_ struct bpf_object *object = NULL;
	_cleanup_links_ struct links links = {};
	int err;

	err = pins_each(guard->dir_fd, remove_pin, guard);
	if (!err)
		err = object_load(NULL, wants_edge(options), &object, problem);
	if (!err)
		err = maps_take(object, guard->map_fd, problem);
	if (!err)
		err = fill(guard, options, image, cgroup, problem);
	if (!err)
		err = attach(object, options, cgroup_fd, &links, problem);
	if (!err)
		err = pin_all(object, &links, guard->instance, problem);
	if (!err)
		err = settle_open(guard, problem);
	return err ? err : keep_take(guard, TAKE_PTR(object), cgroup_fd, options);
}

int guard_load(const struct guard_options *options, const struct image *image, struct guard **ret,
	       char **problem)
{
	_cleanup_guard_ struct guard *guard = NULL;
	_cleanup_close_ int cgroup_fd = -1;
	_cleanup_free_ char *path = NULL;
	uint64_t cgroup = 0;
	int err;

	if (!instance_is_valid(options->instance))
		return problem_set(problem, -EINVAL,
				   "an instance's name is made of letters, digits, - and _");
	err = guard_new(options->instance, &guard, problem);
	if (!err)
		err = cgroup_open(options->cgroup, &cgroup_fd, &path, &cgroup, problem);
	if (!err)
		err = uplinks_check(options, !options->waits_for_uplinks, problem);
	if (!err)
		err = claim(guard, problem);
	if (err)
		return err;
	guard->cgroup_path = TAKE_PTR(path);
	err = build(guard, options, image, cgroup_fd, cgroup, problem);
	if (err)
		pins_remove(guard->instance, guard->dir_fd);
	guard_unlock(guard);
	if (err)
		return err;
	sever_load(guard, NULL); /* the first cut must not wait for it; it is tried again there */
	*ret = TAKE_PTR(guard);
	return 0;
}

int guard_prepare(struct guard *guard, char **problem)
{
	int err = sever_load(guard, &guard->sever_why), other = forgiver_load(guard, problem);
	guard->lister_err = lister_load(guard, &guard->lister_why);
	guard->sever_err = err;
	if (err)
		problem_set(problem, err, "%s", guard->sever_why ?: strerror(-err));
	return err ?: other;
}

int guard_take_off(struct guard *guard, char **problem)
{
	int err = guard_lock(guard);

	if (err == -ENOENT)
		return problem_set(problem, err, "no guard is loaded (%s/%s)", PIN_HOME,
				   guard->instance);
	if (err)
		return lock_problem(guard, err, problem);
	/* its daemon shall not put it back */
	if (guard->control)
		guard->control->abi = WEIR_ABI_UNLOADED;
	else
		former_note_unloaded(guard);
	pins_unstage(guard->instance);
	err = pins_remove(guard->instance, guard->dir_fd);
	guard_unlock(guard);
	if (err)
		problem_set(problem, err, "cannot unpin %s/%s: %s", PIN_HOME, guard->instance,
			    strerror(-err));
	guard->is_off = !err;
	grace_wait(guard);
	return err;
}

int guard_unload(const char *instance, char **problem)
{
	_cleanup_guard_ struct guard *guard = NULL;
	int err;

	if (!instance_is_valid(instance))
		return problem_set(problem, -EINVAL,
				   "an instance's name is made of letters, digits, - and _");
	err = guard_new(instance, &guard, problem);
	if (err)
		return err;
	err = pins_open(instance, &guard->dir_fd);
	if (err)
		return problem_set(problem, err, "no guard is loaded (%s/%s)", PIN_HOME, instance);
	/* of whatever build the guard is: it must come off */
	if (!maps_open(instance, guard->map_fd, NULL))
		guard_map_shared(guard, NULL);
	return guard_take_off(guard, problem);
}
