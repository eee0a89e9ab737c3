/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * guard.c - struct guard itself: made, opened from its pins, closed.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <sys/mman.h>

int guard_new(const char *instance, struct guard **ret, char **problem)
{
	_cleanup_guard_ struct guard *guard = calloc(1, sizeof(*guard));
	int err;

	if (!guard)
		return -ENOMEM;
	guard->dir_fd = guard->grace_outer = guard->grace_inner = guard->settle_fd = -1;
	for (size_t i = 0; i < MAPS; i++)
		guard->map_fd[i] = -1;
	memset(guard->trie_fd, -1, sizeof(guard->trie_fd));
	guard->orders_end = WEIR_MAX_ORDERS;
	pthread_mutex_init(&guard->mutex, NULL);
	libbpf_capture();
	guard->instance = strdup(instance);
	if (!guard->instance)
		return -ENOMEM;
	err = grace_open(&guard->grace_outer, &guard->grace_inner);
	if (err == -EPERM)
		return problem_set(problem, err,
				   "not permitted: weir needs root (CAP_BPF, CAP_NET_ADMIN, "
				   "CAP_PERFMON)");
	if (err)
		return problem_set(problem, err, "cannot make a BPF map: %s", strerror(-err));
	*ret = TAKE_PTR(guard);
	return 0;
}

int guard_map_shared(struct guard *guard, char **problem)
{
	void *control = mmap(NULL, sizeof(*guard->control), PROT_READ | PROT_WRITE, MAP_SHARED,
			     guard->map_fd[MAP_CONTROL], 0);
	void *met = mmap(NULL, STRANGERS_MET_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			 guard->map_fd[MAP_STRANGERS_MET], 0);
	int err = control == MAP_FAILED || met == MAP_FAILED ? -errno : 0;

	if (control != MAP_FAILED)
		guard->control = control;
	if (met != MAP_FAILED)
		guard->strangers_met = met;
	if (err)
		return problem_set(problem, err, "cannot map the control words: %s",
				   strerror(-err));
	return 0;
}

/* The guarded cgroup's path; left NULL when the cgroup was removed. */
int guard_find_cgroup(struct guard *guard)
{
	_cleanup_free_ char *root = NULL;
	int err = cgroup_mount_point(&root);

	if (!err)
		err = cgroup_path_of(root, guard->control->root_cgroup, &guard->cgroup_path);
	return err == -ENOENT ? 0 : err;
}

bool guard_is_pinned(const char *instance)
{
	_cleanup_free_ char *path = NULL;

	if (!instance_is_valid(instance))
		return false;
	path = pin_path(instance, PIN_MARKER);
	return path && !access(path, F_OK);
}

int guard_open(const char *instance, struct guard **ret, char **problem)
{
	_cleanup_guard_ struct guard *guard = NULL;
	int err;

	if (!instance_is_valid(instance))
		return problem_set(problem, -EINVAL,
				   "an instance's name is made of letters, digits, - and _");
	err = guard_new(instance, &guard, problem);
	if (err)
		return err;
	if (!guard_is_pinned(instance))
		return problem_set(problem, -ENOENT, "no guard is loaded (%s/%s)", PIN_HOME,
				   instance);
	err = pins_open(instance, &guard->dir_fd);
	if (err)
		return problem_set(problem, err, "cannot open %s/%s: %s", PIN_HOME, instance,
				   strerror(-err));
	err = maps_open(instance, guard->map_fd, problem) ?: guard_map_shared(guard, problem);
	if (err)
		return err;
	if (guard->control->abi != WEIR_ABI_ID && guard->control->abi != WEIR_ABI_UNLOADED)
		return problem_set(problem, -EPROTO,
				   "the pinned guard is of another build (ABI %07llx, here %07x); "
				   "`weir run` takes it over",
				   (unsigned long long)guard->control->abi, WEIR_ABI_ID);
	if (!running_on_pinned(instance))
		return problem_set(problem, -EPROTO,
				   "another build was killed while it took the guard over; `weir "
				   "run` ends that");
	err = settle_open(guard, problem);
	if (err)
		return err;
	err = guard_find_cgroup(guard);
	if (err)
		return problem_set(problem, err, "cannot find the guarded cgroup: %s",
				   strerror(-err));
	*ret = TAKE_PTR(guard);
	return 0;
}

void guard_close(struct guard *guard)
{
	if (!guard)
		return;
	task_join(&guard->quiesce);
	retire_end(guard);
	sever_free(guard->sever);
	free(guard->sever_why);
	lister_free(guard->lister);
	free(guard->lister_why);
	keep_free(guard->keep);
	forgiver_free(guard->forgiver);
	former_free(guard->former);
	ring_buffer__free(guard->ring);
	if (guard->control)
		munmap(guard->control, sizeof(*guard->control));
	if (guard->strangers_met)
		munmap(guard->strangers_met, STRANGERS_MET_BYTES);
	for (size_t i = 0; i < MAPS; i++)
		cleanup_close(&guard->map_fd[i]);
	cleanup_close(&guard->settle_fd);
	cleanup_close(&guard->grace_outer);
	cleanup_close(&guard->grace_inner);
	cleanup_close(&guard->dir_fd);
	pthread_mutex_destroy(&guard->mutex);
	free(guard->cgroup_path);
	free(guard->instance);
	free(guard);
}

const char *guard_cgroup_path(const struct guard *guard)
{
	return guard->cgroup_path;
}
