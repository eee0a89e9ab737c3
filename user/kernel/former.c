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
 * than the guard. `flows` is filled anew from `sockets`; the bytes that one of another layout held
 * are missing in the totals of their connections, and in no meter.
 */
#include "user/kernel/former.h"

#include <errno.h>
#include <sys/mman.h>

/* ---- control -------------------------------------------------------------------------------- */

static uint64_t *word_of(void *control, const struct layout *layout, const char *path)
{
	const struct layout_field *field = layout_find(layout, path);

	return field && field->size == sizeof(uint64_t) && field->offset % sizeof(uint64_t) == 0
		       ? (uint64_t *)((char *)control + field->offset)
		       : NULL;
}

static int map_old_control(struct former *former, char **problem)
{
	const struct old_map *old = former_find(former, PIN_MARKER);
	struct layout layout = {0};
	void *at = MAP_FAILED;
	int err = old ? former_layout(old, old->info.btf_value_type_id, &layout) : -ENOENT;

	if (!err) {
		at = mmap(NULL, old->info.value_size, PROT_READ | PROT_WRITE, MAP_SHARED, old->fd,
			  0);
		err = at == MAP_FAILED ? -errno : 0;
	}
	if (!err) {
		former->control = at;
		former->control_size = old->info.value_size;
		former->freeze_until_ns = word_of(at, &layout, "freeze_until_ns");
		former->abi_at = word_of(at, &layout, "abi");
	}
	layout_free(&layout);
	if (err == -EPERM)
		return problem_set(problem, err,
				   "the pinned guard is of another build: to read what its maps "
				   "look like takes CAP_SYS_ADMIN; it stays as it is");
	if (err || !former->abi_at || !former->freeze_until_ns)
		return problem_set(
			problem, -EPROTO,
			"the pinned guard is of a build that cannot be taken over; `weir "
			"unload` takes it off");
	former->abi = *former->abi_at;
	return 0;
}

/* Where the running programs note which strangers' slots they meet. Without it all are copied. */
static void map_old_met(struct former *former)
{
	const struct old_map *old = former_find(former, map_layouts[MAP_STRANGERS_MET].name);
	void *at;

	if (!old || old->info.type != BPF_MAP_TYPE_ARRAY ||
	    old->info.value_size != sizeof(*former->met_ns) ||
	    old->info.max_entries != WEIR_STRANGER_SLOTS)
		return;
	at = mmap(NULL, STRANGERS_MET_BYTES, PROT_READ, MAP_SHARED, old->fd, 0);
	former->met_ns = at == MAP_FAILED ? NULL : at;
}

void former_note_unloaded(struct guard *guard)
{
	struct former *former = calloc(1, sizeof(*former));

	if (!former)
		return;
	guard->former = former;
	if (!former_open_maps(guard, former))
		map_old_control(former, NULL);
	if (former->abi_at)
		__atomic_store_n(former->abi_at, WEIR_ABI_UNLOADED, __ATOMIC_SEQ_CST);
	former_free(TAKE_PTR(guard->former));
}

void former_freeze(struct guard *guard, uint64_t until_ns)
{
	__atomic_store_n(&guard->control->freeze_until_ns, until_ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(guard->former->freeze_until_ns, until_ns, __ATOMIC_SEQ_CST);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int take_over(struct guard *guard, const struct guard_options *options, char **problem)
{
	struct former *former = guard->former;
	int err = former_open_maps(guard, former);

	if (err)
		return problem_set(problem, err, "cannot open the running guard's maps: %s",
				   strerror(-err));
	err = map_old_control(former, problem);
	map_old_met(former);
	if (!err)
		err = object_load_with(former_choose, former, wants_edge(options), &former->object,
				       problem);
	if (!err)
		err = maps_take(former->object, guard->map_fd, problem);
	if (!err)
		err = guard_map_shared(guard, problem);
	return err ?: carry_begin(guard, problem);
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

void former_free(struct former *former)
{
	if (!former)
		return;
	carry_free(former);
	bpf_object__close(former->object);
	if (former->control)
		munmap(former->control, former->control_size);
	if (former->met_ns)
		munmap((void *)former->met_ns, STRANGERS_MET_BYTES);
	for (size_t i = 0; i < former->count; i++)
		cleanup_close(&former->map[i].fd);
	free(former->map);
	free(former);
}
