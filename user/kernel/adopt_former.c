/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * adopt_former.c - a takeover from another build's maps: what they hold goes over (former.c), under
 * a freeze so short that budgets are charged to one of the two at each moment.
 */
#include "user/kernel/adopt.h"

#include <errno.h>
#include <fcntl.h>

#include "user/base/now.h"

enum { FREEZE_TRIES = 4 };
/* For copying, in the first try; the next ones are longer. It ends by itself, should this process
 * end. */
static const uint64_t FREEZE_NS = NS_PER_SECOND / 4;
/* For changing the programs, once the meters are copied. */
static const uint64_t CHANGE_NS = NS_PER_SECOND;

static int pin_in_stage(const struct adoption *adoption)
{
	_cleanup_free_ char *stage = pins_stage_name(adoption->guard->instance);
	struct bpf_map *map;
	int err;

	if (!stage)
		return -ENOMEM;
	bpf_object__for_each_map(map, adoption->object)
	{
		_cleanup_free_ char *path = pin_path(stage, bpf_map__name(map));

		if (bpf_map__is_internal(map))
			continue;
		if (!path)
			return -ENOMEM;
		if (bpf_obj_pin(bpf_map__fd(map), path))
			return problem_set(adoption->problem, -errno, "cannot pin %s: %s", path,
					   strerror(errno));
	}
	err = settle_pin(adoption->object, stage, adoption->problem);
	if (!err)
		err = links_pin(&adoption->running, stage, adoption->problem);
	return err ?: links_pin(&adoption->fresh, stage, adoption->problem);
}

/* The meters a last time; *until_ns: the programs stay frozen till then. 0: they may have gone on
 * meanwhile. */
static int copy_frozen(struct adoption *adoption, uint64_t for_ns, uint64_t *until_ns)
{
	uint64_t end_ns = boot_now() + for_ns, next_end_ns;
	int err;

	former_freeze(adoption->guard, end_ns);
	err = grace_wait(adoption->guard);
	if (!err) {
		err = settle(adoption->guard->instance);
		if (err)
			problem_set(adoption->problem, err, "cannot take back what is lent: %s",
				    strerror(-err));
	}
	if (!err)
		err = former_carry(adoption->guard, adoption->problem);
	next_end_ns = boot_now() + CHANGE_NS;
	former_freeze(adoption->guard, next_end_ns);
	*until_ns = boot_now() < end_ns ? next_end_ns : 0; /* no moment between the two */
	return err;
}

/*
 * While no budget is charged, the meters are copied a last time and the programs change. The new
 * ones are frozen as well: what they charged before it is known that they stay would be lost with
 * them. What was not done before all go on by themselves is taken back and tried once more, with
 * more time.
 */
static int change_frozen(struct adoption *adoption, const struct before *before)
{
	uint64_t freeze_ns = FREEZE_NS;

	for (int i = 0; i < FREEZE_TRIES; i++, freeze_ns *= 2) {
		uint64_t until_ns;
		int err = copy_frozen(adoption, freeze_ns, &until_ns);

		if (!err && !until_ns)
			continue;
		if (!err)
			err = update_running(adoption, before, until_ns);
		if (err == -ETIME)
			continue;
		if (err)
			return err;
		if (boot_now() < until_ns)
			return 0;
		former_freeze(adoption->guard, boot_now() + CHANGE_NS);
		put_back(adoption, before, adoption->running.count);
	}
	return problem_set(adoption->problem, -ETIME,
			   "the meters take too long to copy; the running guard stays");
}

void adopt_end_stage(struct guard *guard)
{
	_cleanup_free_ char *stage = pins_stage_name(guard->instance);
	_cleanup_free_ char *path = stage ? pin_path(stage, map_layouts[MAP_EVENTS].name) : NULL;
	_cleanup_close_ int ring_fd = path ? bpf_obj_get(path) : -1;

	if (ring_fd >= 0)
		events_give_up(guard, ring_fd);
	pins_unstage(guard->instance);
}

struct staged {
	const struct guard *guard;
	const char *stage;
	int fd;
};

static int drop_staged_edge(const char *name, void *data)
{
	const struct staged *staged = data;
	_cleanup_free_ char *path = pin_path(staged->stage, name);
	_cleanup_close_ int link = -1;

	if (strncmp(name, PIN_EDGE, strlen(PIN_EDGE)) ||
	    !faccessat(staged->guard->dir_fd, name, F_OK, 0))
		return 0;
	link = path ? bpf_obj_get(path) : -1;
	if (link >= 0)
		bpf_link_detach(link); /* at once, which unpinning is not */
	unlinkat(staged->fd, name, 0);
	return 0;
}

void adopt_free_edges(const struct guard *guard)
{
	_cleanup_free_ char *stage = pins_stage_name(guard->instance);
	_cleanup_free_ char *path = stage ? pin_path(stage, NULL) : NULL;
	_cleanup_close_ int fd =
		path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct staged staged = {guard, stage, fd};

	if (fd >= 0)
		pins_each(fd, drop_staged_edge, &staged);
}

/* What the earlier programs counted to the end; their pins are in the stage now. */
static void settle_staged(const struct guard *guard)
{
	_cleanup_free_ char *stage = pins_stage_name(guard->instance);

	if (stage)
		settle(stage);
}

/* Until the directories change places, the old pins count. */
int adopt_former(struct adoption *adoption, const struct before *before)
{
	struct guard *guard = adoption->guard;
	const struct old_map *ring = former_find(guard->former, map_layouts[MAP_EVENTS].name);
	_cleanup_close_ int stage_fd = -1;
	int err = pins_stage(guard->instance, &stage_fd, adoption->problem);

	if (!err)
		err = pin_in_stage(adoption);
	if (!err)
		err = change_frozen(adoption, before);
	if (!err && pins_exchange(guard->instance)) {
		err = problem_set(adoption->problem, -errno, "cannot change the pins: %s",
				  strerror(errno));
		put_back(adoption, before, before->count);
	}
	if (!err) {
		/* A packet that is still in the earlier programs would be charged to meters that
		 * nobody reads any more. */
		former_freeze(guard, boot_now() + CHANGE_NS);
		grace_wait(guard);
	}
	former_freeze(guard, 0); /* of what does not run any more, or goes on */
	if (err) {
		pins_unstage(guard->instance);
		return err;
	}
	cleanup_close(&guard->dir_fd); /* the lock goes over: nobody else can have the new one */
	guard->dir_fd = TAKE_FD(stage_fd);
	/* counters only, and no packet waits for them: not worth taking the guard back */
	settle_staged(guard);
	former_carry_rest(guard, NULL);
	if (ring) /* of what ran, which after a takeover that was cut short is not what was pinned
		   */
		events_give_up(guard, ring->fd);
	return 0;
}
