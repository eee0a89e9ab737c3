/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * netns.c - the network namespaces of the processes in a cgroup: sockets are found only from
 * inside.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static bool is_known(const struct namespaces *namespaces, uint64_t id)
{
	for (size_t i = 0; i < namespaces->count; i++)
		if (namespaces->id[i] == id)
			return true;
	return false;
}

/* A process that has just ended has none: that is no error. */
static int add(struct namespaces *namespaces, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	uint64_t *id;
	int *fds;

	/* stat() first: most processes share one */
	if (stat(path, &st) || is_known(namespaces, st.st_ino))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -errno : 0;
	fds = reallocarray(namespaces->fd, namespaces->count + 1, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	namespaces->fd = fds;
	id = reallocarray(namespaces->id, namespaces->count + 1, sizeof(*id));
	if (!id)
		return -ENOMEM;
	namespaces->id = id;
	namespaces->id[namespaces->count] = st.st_ino;
	namespaces->fd[namespaces->count++] = TAKE_FD(fd);
	return 0;
}

static int add_processes(int cgroup_fd, const char *below, uint64_t id, void *data)
{
	int fd = openat(cgroup_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *procs = fd < 0 ? NULL : fdopen(fd, "r");
	char path[64];
	int pid, err = 0;

	(void)below;
	(void)id;
	if (!procs)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	/* the hierarchy's root has the file too; a threaded cgroup's processes are its parent's */
	while (!err && fscanf(procs, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
		err = add(data, path);
	}
	return err;
}

int namespaces_find(const char *cgroup, struct namespaces *namespaces)
{
	int err = add(namespaces, "/proc/thread-self/ns/net");

	if (!err && !namespaces->count)
		err = -ENOENT; /* /proc is not there */
	if (!err && cgroup)
		err = cgroup_walk(cgroup, add_processes, namespaces);
	return err;
}

void namespaces_close(struct namespaces *namespaces)
{
	while (namespaces->count)
		cleanup_close(&namespaces->fd[--namespaces->count]);
	free(namespaces->fd);
	free(namespaces->id);
	memset(namespaces, 0, sizeof(*namespaces));
}
