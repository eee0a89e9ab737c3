/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * adopt.c - this build's programs take over a pinned guard, without a moment that has none.
 *
 * All programs are loaded first: on the pinned maps, or, when those are of another build, on maps
 * that hold the same (former.c). What is missing is attached next; all this can fail, and then
 * nothing has changed. Only then the running links get the new programs, each by one atomic update;
 * when one fails, all get their old programs back.
 */
#include "user/kernel/former.h"

#include <errno.h>
#include <fcntl.h>

#include "user/base/now.h"

enum { FREEZE_TRIES = 4 };
/* For copying, in the first try; the next ones are longer. It ends by itself, should this process
 * end. */
static const uint64_t FREEZE_NS = NS_PER_SECOND / 4;
/* For changing the programs, once the meters are copied. */
static const uint64_t CHANGE_NS = NS_PER_SECOND;

struct adoption {
	struct guard *guard;
	const struct guard_options *options;
	struct bpf_object *object;
	int cgroup_fd;
	struct links fresh;   /* attached now, not pinned yet */
	struct links running; /* pinned; get the new program */
	char **problem;
};

static int keep_running(struct adoption *adoption, const char *pin, int *fd)
{
	struct links *running = &adoption->running;
	struct link *item = reallocarray(running->item, running->count + 1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	running->item = item;
	item += running->count++;
	snprintf(item->pin, sizeof(item->pin), "%s", pin);
	item->fd = TAKE_FD(*fd);
	return 0;
}

/* The pinned link if it still holds its place; *fd stays -1 when it does not. */
static int open_running(struct adoption *adoption, const char *pin, int *fd)
{
	_cleanup_free_ char *path = pin_path(adoption->guard->instance, pin);
	_cleanup_close_ int link = path ? bpf_obj_get(path) : -1;
	struct link_place place;

	if (!path)
		return -ENOMEM;
	if (link < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!link_place(link, &place) && place.is_attached)
		*fd = TAKE_FD(link);
	return 0;
}

static int adopt_hook(struct adoption *adoption, const struct hook *hook)
{
	_cleanup_close_ int fd = -1;
	char pin[64];
	int err;

	snprintf(pin, sizeof(pin), PIN_LINK "%s", hook->name);
	err = open_running(adoption, pin, &fd);
	if (err)
		return err;
	if (fd < 0)
		return attach_hook(adoption->object, hook, adoption->cgroup_fd, &adoption->fresh,
				   adoption->problem);
	return keep_running(adoption, pin, &fd);
}

static int adopt_edge(struct adoption *adoption, const char *ifname)
{
	_cleanup_close_ int fd = -1;
	char pin[64];
	int err;

	pin_edge_name(ifname, pin);
	err = open_running(adoption, pin, &fd);
	if (err)
		return err;
	if (fd < 0)
		return attach_edge(adoption->object, ifname, &adoption->fresh, adoption->problem);
	return keep_running(adoption, pin, &fd);
}

static const char *program_of(const char *pin)
{
	for (size_t i = 0; i < hook_count; i++)
		if (!strcmp(pin + strlen(PIN_LINK), hooks[i].name))
			return hooks[i].program;
	return "weir_edge";
}

/* What runs behind a link now; -1 when the kernel does not give it (CAP_SYS_ADMIN). */
static int program_behind(int link_fd)
{
	struct bpf_link_info info = {};
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(link_fd, &info, &length)
		       ? -1
		       : bpf_prog_get_fd_by_id(info.prog_id);
}

/* The programs that ran before, to put them back. */
struct before {
	int *fd;
	size_t count;
};

static void before_close(struct before *before)
{
	for (size_t i = 0; i < before->count; i++)
		cleanup_close(&before->fd[i]);
	free(before->fd);
	*before = (struct before){0};
}

static int before_open(const struct adoption *adoption, struct before *before)
{
	before->fd = calloc(adoption->running.count + 1, sizeof(*before->fd));
	if (!before->fd)
		return -ENOMEM;
	before->count = adoption->running.count;
	for (size_t i = 0; i < before->count; i++)
		before->fd[i] = program_behind(adoption->running.item[i].fd);
	return 0;
}

static void put_back(const struct adoption *adoption, const struct before *before, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (before->fd[i] >= 0)
			bpf_link_update(adoption->running.item[i].fd, before->fd[i], NULL);
	}
}

/* All of them, or none. -ETIME: it is until_ns (boot) already. An interface's link may wait for
 * whatever else changes interfaces, and the programs that come after it would charge by then. */
static int update_running(struct adoption *adoption, const struct before *before, uint64_t until_ns)
{
	for (size_t i = 0; i < adoption->running.count; i++) {
		const struct link *link = &adoption->running.item[i];
		const char *name = program_of(link->pin);
		struct bpf_program *program =
			bpf_object__find_program_by_name(adoption->object, name);
		int err;

		if (boot_now() >= until_ns) {
			put_back(adoption, before, i);
			return -ETIME;
		}
		if (!bpf_link_update(link->fd, bpf_program__fd(program), NULL))
			continue;
		err = -errno;
		put_back(adoption, before, i);
		return problem_set(adoption->problem, err, "cannot replace %s: %s", name,
				   strerror(-err));
	}
	return 0;
}

/* Dead links' pins make room for the fresh ones. */
static int pin_fresh(struct adoption *adoption)
{
	for (size_t i = 0; i < adoption->fresh.count; i++)
		if (unlinkat(adoption->guard->dir_fd, adoption->fresh.item[i].pin, 0) &&
		    errno != ENOENT)
			return -errno;
	return links_pin(&adoption->fresh, adoption->guard->instance, adoption->problem);
}

/* An uplink that the options do not name any more. */
static int drop_edge(const char *name, void *data)
{
	struct adoption *adoption = data;
	char pin[64];

	if (strncmp(name, PIN_EDGE, strlen(PIN_EDGE)))
		return 0;
	for (size_t i = 0; i < adoption->options->uplink_count; i++) {
		pin_edge_name(adoption->options->uplinks[i], pin);
		if (!strcmp(name, pin))
			return 0;
	}
	unlinkat(adoption->guard->dir_fd, name, 0); /* what stays is shown by `weir status` */
	return 0;
}

static int find_places(struct adoption *adoption)
{
	const struct guard_options *options = adoption->options;
	int err = 0;

	for (size_t i = 0; !err && i < options->uplink_count; i++)
		err = adopt_edge(adoption, options->uplinks[i]);
	for (size_t i = 0; !err && i < hook_count; i++)
		err = adopt_hook(adoption, &hooks[i]);
	return err;
}

/* On the same maps. */
static int replace(struct adoption *adoption, const struct before *before)
{
	int err = pin_fresh(adoption);

	if (!err)
		err = settle_pin(adoption->object, adoption->guard->instance, adoption->problem);
	return err ?: update_running(adoption, before, UINT64_MAX);
}

/* ---- from another build's maps -------------------------------------------------------------- */

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

/* What the change has left over, also one whose process was killed in its middle: the pins that
 * were replaced, and a ring that nobody will read. */
static void end_stage(struct guard *guard)
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

/* An uplink that a takeover attached before it was killed is pinned in its stage alone, and takes
 * no second program: it would keep every later takeover from beginning. */
static void free_edges(const struct guard *guard)
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
static int succeed(struct adoption *adoption, const struct before *before)
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

/* ---- all ------------------------------------------------------------------------------------ */

static int take_over(struct adoption *adoption)
{
	struct before before = {0};
	int err;

	free_edges(adoption->guard);
	err = find_places(adoption);
	if (!err)
		err = before_open(adoption, &before);
	if (!err)
		err = adoption->guard->former ? succeed(adoption, &before)
					      : replace(adoption, &before);
	before_close(&before);
	if (!err)
		pins_each(adoption->guard->dir_fd, drop_edge, adoption);
	if (!err)
		end_stage(adoption->guard);
	return err;
}

/* Another cgroup is another guard, unless the guarded one is gone and was made again. */
static int check_cgroup(const struct guard *guard, const struct guard_options *options, int *fd,
			char **path, uint64_t *id, char **problem)
{
	int err = cgroup_open(options->cgroup, fd, path, id, problem);

	if (err || *id == guard->control->root_cgroup || !guard->cgroup_path)
		return err;
	return problem_set(problem, -EBUSY,
			   "the pinned guard is on %s, not on %s; take it off with `weir unload` "
			   "first",
			   guard->cgroup_path, *path);
}

static int load(struct guard *guard, const struct guard_options *options,
		struct bpf_object **object, char **problem)
{
	if (!guard->former)
		return object_load(guard->instance, wants_edge(options), object, problem);
	*object = former_take_object(guard);
	return 0;
}

static int adopt_locked(struct guard *guard, const struct guard_options *options, char **problem)
{
	_cleanup_object_ struct bpf_object *object = NULL;
	_cleanup_close_ int cgroup_fd = -1;
	_cleanup_free_ char *path = NULL;
	struct adoption adoption = {.guard = guard, .options = options, .problem = problem};
	uint64_t cgroup = 0;
	int err = uplinks_check(options, problem);

	if (!err)
		err = check_cgroup(guard, options, &cgroup_fd, &path, &cgroup, problem);
	if (!err)
		err = load(guard, options, &object, problem);
	if (err)
		return err;
	adoption.object = object;
	adoption.cgroup_fd = cgroup_fd;
	if (!guard->cgroup_path) { /* it was gone: nothing runs on it */
		guard->control->root_cgroup = cgroup;
		guard->cgroup_path = TAKE_PTR(path);
	}
	guard->control->tick_ns = tick_ns();
	if (guard->former)
		guard->control->observe = options->observe;
	err = take_over(&adoption);
	links_close(&adoption.fresh);
	links_close(&adoption.running);
	if (err)
		return err;
	cleanup_close(&guard->settle_fd); /* the earlier programs' */
	guard->settle_fd = -1;
	err = settle_open(guard, problem);
	if (err)
		return err;
	__atomic_store_n(&guard->control->observe, options->observe, __ATOMIC_SEQ_CST);
	guard->control->abi = WEIR_ABI_ID; /* also of one whose unloading was cut short */
	err = keep_take(guard, TAKE_PTR(object), cgroup_fd, options);
	return err ? err : guard_raise(guard);
}

int guard_adopt(struct guard *guard, const struct guard_options *options, char **problem)
{
	int err = guard_lock_told(guard, problem);

	if (err)
		return err;
	err = adopt_locked(guard, options, problem);
	guard_unlock(guard);
	if (guard->former) { /* that held the lock too */
		former_free(TAKE_PTR(guard->former));
		guard_unlock(guard);
	}
	if (!err) { /* this build's iterators, before the first cut needs them */
		sever_free(TAKE_PTR(guard->sever));
		sever_load(guard, NULL);
	}
	if (err && problem && !*problem)
		problem_set(problem, err, "cannot take the guard over: %s", strerror(-err));
	return err;
}
