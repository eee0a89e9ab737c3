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

/*
 * What tells a process's network namespace from others: the inode of a file of which each has one
 * (fs/proc/proc_net.c). Its own link, /proc/PID/ns/net, tells nothing to whom the process is
 * closed (ptrace_may_access()); this says then at least that there is one more.
 */
static int network_of(const char *process, uint64_t *id)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/net/dev", process);
	if (stat(path, &st))
		return -errno;
	*id = st.st_ino;
	return 0;
}

/* A process that has just ended has none: that is no error. */
static int unless_ended(int err)
{
	return err == -ENOENT || err == -ESRCH ? 0 : err;
}

/* Its place, made when there is none; good until the next one is made. -ENOMEM. */
static int place_of(struct namespaces *namespaces, uint64_t id, struct network **ret)
{
	struct network *item = namespaces->item;

	for (size_t i = 0; i < namespaces->count; i++) {
		if (item[i].id == id) {
			*ret = &item[i];
			return 0;
		}
	}
	item = reallocarray(item, namespaces->count + 1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	namespaces->item = item;
	*ret = &item[namespaces->count++];
	**ret = (struct network){.id = id, .fd = -1};
	return 0;
}

/* Opens the namespace that the process is in, when it is still `id`. -EAGAIN: it went to another.
 */
static int open_network(const char *process, uint64_t id, int *ret)
{
	_cleanup_close_ int fd = -1;
	uint64_t now = id;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "%s/ns/net", process);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = network_of(process, &now);
	if (err || now != id)
		return err ?: -EAGAIN;
	*ret = TAKE_FD(fd);
	return 0;
}

static int add(struct namespaces *namespaces, const char *process)
{
	struct network *network;
	uint64_t id = 0;
	int err = network_of(process, &id);

	if (!err)
		err = place_of(namespaces, id, &network);
	if (err || network->fd >= 0) /* most processes share one */
		return unless_ended(err);
	err = open_network(process, id, &network->fd);
	if (err == -EACCES || err == -EPERM)
		return 0; /* another process of it may be open to us */
	return unless_ended(err);
}

static int add_processes(int cgroup_fd, const char *below, uint64_t id, void *data)
{
	int fd = openat(cgroup_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *procs = fd < 0 ? NULL : fdopen(fd, "r");
	char path[32];
	int pid, err = 0;

	(void)below;
	(void)id;
	if (!procs)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	/* the hierarchy's root has the file too; a threaded cgroup's processes are its parent's */
	while (!err && fscanf(procs, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d", pid);
		err = add(data, path);
	}
	return err;
}

int namespaces_find(const char *cgroup, struct namespaces *namespaces)
{
	int err = add(namespaces, "/proc/thread-self");

	if (!err && (!namespaces->count || namespaces->item[0].fd < 0))
		err = -ENOENT; /* /proc is not there */
	if (!err && cgroup)
		err = cgroup_walk(cgroup, add_processes, namespaces);
	return err;
}

void namespaces_close(struct namespaces *namespaces)
{
	while (namespaces->count)
		cleanup_close(&namespaces->item[--namespaces->count].fd);
	free(namespaces->item);
	memset(namespaces, 0, sizeof(*namespaces));
}
