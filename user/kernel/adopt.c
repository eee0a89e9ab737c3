/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * adopt.c - this build's programs take over a pinned guard, without a moment that has none.
 *
 * All programs are loaded first: on the pinned maps, or, when those are of another build, on maps
 * that hold the same (former.c). What is missing is attached next; all this can fail, and then
 * nothing has changed. Only then the running links get the new programs, each by one atomic update;
 * when one fails, all get their old programs back.
 */
#include "user/kernel/adopt.h"

#include <errno.h>
#include <fcntl.h>

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

/* *fd is negative when none is pinned. */
static int open_pinned(const struct adoption *adoption, const char *pin, int *fd)
{
	_cleanup_free_ char *path = pin_path(adoption->guard->instance, pin);

	if (!path)
		return -ENOMEM;
	*fd = bpf_obj_get(path);
	return *fd < 0 && errno != ENOENT ? -errno : 0;
}

void adopt_tell_past(const struct adoption *adoption, const char *what, const char *where,
		     const char *detail)
{
	struct guard_finding finding = {.is_open = true};

	snprintf(finding.what, sizeof(finding.what), "%s", what);
	snprintf(finding.where, sizeof(finding.where), "%s", where);
	snprintf(finding.detail, sizeof(finding.detail), "%s", detail);
	if (adoption->tells_past && adoption->options->tell_past)
		adoption->options->tell_past(&finding, adoption->options->tell_data);
}

static void note_lost(const struct adoption *adoption, const char *where)
{
	adopt_tell_past(adoption, "detached", where,
			"it had lost its place while no daemon looked");
}

/* Another build may have had fewer hooks, but not without these. */
static bool is_of_all_builds(const struct hook *hook)
{
	return hook->type == BPF_CGROUP_INET_EGRESS || hook->type == BPF_CGROUP_INET_INGRESS;
}

static int adopt_hook(struct adoption *adoption, const struct hook *hook)
{
	_cleanup_close_ int fd = -1;
	char pin[64];
	int err;

	snprintf(pin, sizeof(pin), PIN_LINK "%s", hook->name);
	err = open_pinned(adoption, pin, &fd);
	if (err)
		return err;
	if (link_is_at_hook(fd, hook, adoption->guard->control->root_cgroup))
		return keep_running(adoption, pin, &fd);
	if (fd >= 0 || !adoption->guard->former || is_of_all_builds(hook))
		note_lost(adoption, hook->name);
	return attach_hook(adoption->object, hook, adoption->cgroup_fd, &adoption->fresh,
			   adoption->problem);
}

struct edge_search {
	const struct guard *guard;
	uint32_t ifindex;
	char pin[64];
};

static int find_edge(const char *name, void *data)
{
	struct edge_search *search = data;
	_cleanup_free_ char *path = pin_path(search->guard->instance, name);
	_cleanup_close_ int fd = -1;

	if (strncmp(name, PIN_EDGE, strlen(PIN_EDGE)) || !path)
		return 0;
	fd = bpf_obj_get(path);
	if (!link_is_at_interface(fd, search->ifindex))
		return 0;
	snprintf(search->pin, sizeof(search->pin), "%s", name);
	return 1;
}

/* The interface had another name when it got its edge: the pin gets the new one. */
static void follow_name(const struct adoption *adoption, const char *pin, uint32_t ifindex)
{
	struct edge_search search = {.guard = adoption->guard, .ifindex = ifindex};
	int dir_fd = adoption->guard->dir_fd;

	if (pins_each(dir_fd, find_edge, &search) == 1 && strcmp(search.pin, pin) != 0)
		renameat(dir_fd, search.pin, dir_fd,
			 pin); /* else it is attached anew, or refused */
}

static int attach_lost_edge(struct adoption *adoption, const char *ifname, const char *pin,
			    bool was_pinned)
{
	size_t fresh = adoption->fresh.count;
	int err;

	if (was_pinned)
		note_lost(adoption, ifname);
	err = attach_uplink(adoption->object, adoption->options, ifname, &adoption->fresh,
			    adoption->problem);
	if (!err && was_pinned && adoption->fresh.count == fresh) /* it goes without */
		unlinkat(adoption->guard->dir_fd, pin, 0);
	/* One that came after the guard and could not have the edge: the look tells it, as before.
	 */
	if (err && !was_pinned && adoption->options->waits_for_uplinks) {
		if (adoption->problem)
			free(TAKE_PTR(*adoption->problem));
		return 0;
	}
	return err;
}

static int adopt_edge(struct adoption *adoption, const char *ifname)
{
	_cleanup_close_ int fd = -1;
	struct link_place place = {};
	uint32_t ifindex;
	char pin[64];
	int err;

	pin_edge_name(ifname, pin);
	ifindex = interface_index(ifname, 0);
	if (ifindex)
		follow_name(adoption, pin, ifindex);
	err = open_pinned(adoption, pin, &fd);
	if (err)
		return err;
	if (fd >= 0)
		link_place(fd, &place);
	ifindex = interface_index(ifname, place.ifindex);
	if (place.ifindex && (!ifindex || place.ifindex == ifindex))
		return keep_running(adoption, pin, &fd);
	if (!ifindex)
		return 0; /* away: guard_inspect() waits for it, as in a daemon that runs */
	return attach_lost_edge(adoption, ifname, pin, fd >= 0);
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

/* ---- all ------------------------------------------------------------------------------------ */

static int take_over(struct adoption *adoption)
{
	struct before before = {0};
	int err;

	adopt_free_edges(adoption->guard);
	err = find_places(adoption);
	if (!err)
		err = before_open(adoption, &before);
	if (!err)
		err = adoption->guard->former ? adopt_former(adoption, &before)
					      : replace(adoption, &before);
	before_close(&before);
	if (!err)
		pins_each(adoption->guard->dir_fd, drop_edge, adoption);
	if (!err)
		adopt_end_stage(adoption->guard);
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
	uint64_t abi = guard->former ? guard->former->abi : guard->control->abi;
	int err = uplinks_check(options, false, problem);

	if (!err)
		err = check_cgroup(guard, options, &cgroup_fd, &path, &cgroup, problem);
	if (!err)
		err = load(guard, options, &object, problem);
	if (err)
		return err;
	adoption.object = object;
	adoption.cgroup_fd = cgroup_fd;
	/* not of what is gone, or was to be taken off */
	adoption.tells_past = guard->cgroup_path && abi != WEIR_ABI_UNLOADED;
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
	if (!err) {
		cleanup_close(&guard->settle_fd); /* the earlier programs' */
		guard->settle_fd = -1;
		err = settle_open(guard, problem);
	}
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
