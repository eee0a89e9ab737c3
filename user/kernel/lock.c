/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * lock.c - one process at a time changes a guard, and no slot is written that a packet still reads.
 *
 * The lock is an flock on the directory of the pins. It nests within a process. Whoever switches
 * slots keeps it until a grace period is over: then each slot that is not active is quiet whenever
 * the lock is free, also for the next process. Since a cut must not take longer for that, the
 * waiting goes on in a thread, and the same guard may meanwhile change what is not a slot.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "user/base/file.h"
#include "user/base/flock.h"
#include "user/base/text.h"

/* Longer than whoever holds it properly needs it (loading the programs), and not for ever: a
 * process that was stopped while it held the lock must not hang an emergency. */
enum { LOCK_MOST_MS = 15000 };

/* A pinned guard's directory has a link, unless it was taken away: by `weir unload` in another
 * process, which says so first, or by hand. Then no process but the one that attached the guard can
 * open it, and that one goes on. */
static int check_still_there(const struct guard *guard)
{
	struct stat st;

	if (fstat(guard->dir_fd, &st))
		return -errno;
	if (st.st_nlink)
		return 0;
	return guard->keep && guard->control->abi != WEIR_ABI_UNLOADED ? 0 : -ENOENT;
}

/* The mutex is held while waiting for another process: the thread of grace_begin() needs it only
 * while the flock is ours. */
static int lock_within(struct guard *guard, unsigned int most_ms)
{
	int err = 0;

	pthread_mutex_lock(&guard->mutex);
	if (!guard->lock_depth && !guard->is_quiescing)
		err = flock_take(guard->dir_fd, most_ms);
	if (!err)
		guard->lock_depth++;
	pthread_mutex_unlock(&guard->mutex);
	if (err)
		return err;
	err = check_still_there(guard);
	if (err)
		guard_unlock(guard);
	return err;
}

int guard_lock(struct guard *guard)
{
	return lock_within(guard, LOCK_MOST_MS);
}

int guard_try_lock(struct guard *guard)
{
	return lock_within(guard, 0);
}

void guard_unlock(struct guard *guard)
{
	pthread_mutex_lock(&guard->mutex);
	if (!--guard->lock_depth && !guard->is_quiescing)
		flock(guard->dir_fd, LOCK_UN);
	pthread_mutex_unlock(&guard->mutex);
}

/* ---- who else ------------------------------------------------------------------------------- */

/* The process with an flock on what `fd` is open on, from /proc/locks:
 * "7: FLOCK  ADVISORY  WRITE 21187 00:27:903188 0 EOF". 0: none that is seen from here. */
static pid_t holder_of(int fd)
{
	_cleanup_fclose_ FILE *locks = fopen("/proc/locks", "re");
	char line[256], file[64];
	struct stat st;
	pid_t pid;

	if (!locks || fstat(fd, &st))
		return 0;
	snprintf(file, sizeof(file), " %02x:%02x:%lu ", major(st.st_dev), minor(st.st_dev),
		 (unsigned long)st.st_ino);
	while (fgets(line, sizeof(line), locks))
		if (strstr(line, "FLOCK") && !strstr(line, "->") && strstr(line, file) &&
		    sscanf(line, "%*d: FLOCK %*s %*s %d", &pid) == 1)
			return pid;
	return 0;
}

/* Its name is its own choice: no control characters. */
static void name_process(pid_t pid, char *text, size_t size)
{
	_cleanup_free_ char *name = NULL;
	char path[32];
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!pid || file_read(path, 256, &name, &length)) {
		snprintf(text, size, "another process");
		return;
	}
	name[strcspn(name, "\n")] = 0;
	text_make_plain(name);
	snprintf(text, size, "process %d (%.32s)", pid, name);
}

int lock_problem(const struct guard *guard, int err, char **problem)
{
	char who[64];

	if (err == -ENOENT)
		return problem_set(problem, err, "the guard was taken off");
	if (err != -ETIMEDOUT)
		return problem_set(problem, err, "cannot lock the guard: %s", strerror(-err));
	name_process(holder_of(guard->dir_fd), who, sizeof(who));
	return problem_set(problem, err, "%s has held the guard's lock for more than %d s", who,
			   LOCK_MOST_MS / 1000);
}

int guard_lock_told(struct guard *guard, char **problem)
{
	int err = guard_lock(guard);

	return err ? lock_problem(guard, err, problem) : 0;
}

/* ---- quiet slots ----------------------------------------------------------------------------- */

int lock_quiet(struct guard *guard)
{
	int err = guard_lock(guard);

	if (!err)
		task_join(&guard->quiesce);
	return err;
}

/*
 * An update of an array of maps returns after synchronize_rcu(): kernel/bpf/syscall.c,
 * maybe_wait_bpf_programs(), "so that userspace, when we return to it, knows that all non-sleepable
 * programs that could be running use the new map value". A map of our own serves for that.
 */
int grace_open(int *outer, int *inner)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	_cleanup_close_ int in = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 4, 1, NULL);
	int out;

	if (in < 0)
		return -errno;
	options.inner_map_fd = in;
	out = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", 4, 4, 1, &options);
	if (out < 0)
		return -errno;
	*outer = out;
	*inner = TAKE_FD(in);
	return 0;
}

int grace_wait(struct guard *guard)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(guard->grace_outer, &zero, &guard->grace_inner, BPF_ANY) ? -errno
											    : 0;
}

static void *quiesce(void *data)
{
	struct guard *guard = data;

	grace_wait(guard);
	pthread_mutex_lock(&guard->mutex);
	guard->is_quiescing = false;
	if (!guard->lock_depth)
		flock(guard->dir_fd, LOCK_UN);
	pthread_mutex_unlock(&guard->mutex);
	return NULL;
}

void grace_begin(struct guard *guard)
{
	task_join(&guard->quiesce);
	guard->is_quiescing = true; /* the caller holds the lock, and no thread runs */
	if (pthread_create(&guard->quiesce.thread, NULL, quiesce, guard))
		quiesce(guard);
	else
		guard->quiesce.is_running = true;
}
