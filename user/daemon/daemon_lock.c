/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* daemon_lock.c - one daemon for each instance. */
#include "user/daemon/daemon_lock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "user/base/cleanup.h"
#include "user/daemon/host.h"
#include "user/daemon/paths.h"

int daemon_lock(const char *instance, int *lock, char **problem)
{
	/* Whoever may open it may lock it, and so keep the daemon from starting: root alone. */
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	_cleanup_free_ char *path = path_run(instance, ".lock");
	_cleanup_close_ int fd = path ? open(path, flags, 0600) : -1;
	char pid[16] = "";

	if (fd < 0)
		return tell_problem(problem, -errno, "cannot open %s: %m", path ? path : "lock");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return tell_problem(problem, -errno, "cannot lock %s: %m", path);
		if (pread(fd, pid, sizeof(pid) - 1, 0) < 0)
			pid[0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		return tell_problem(problem, -EBUSY,
				    "instance %s has a daemon already (process %s)", instance,
				    pid[0] ? pid : "unknown");
	}
	snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0)
		return tell_problem(problem, -errno, "cannot write %s: %m", path);
	*lock = TAKE_FD(fd);
	return 0;
}

bool daemon_is_there(const char *instance)
{
	_cleanup_free_ char *path = path_run(instance, ".lock");
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
