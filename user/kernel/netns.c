/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * netns.c - the network namespaces of the processes in a cgroup: sockets are found only from
 * inside. An iterator sees the network namespace of the thread that opens it, so each namespace
 * gets a thread that enters it.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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

/* ---- doing something in each ----------------------------------------------------------------- */

struct visit {
	int (*inside)(void *data); /* NULL: it is entered, nothing is done there */
	void *data;
	int fd;
	bool is_inside;
	int err;
};

static int visit_inside(const struct visit *visit)
{
	return visit->inside ? visit->inside(visit->data) : 0;
}

static void *visit_thread(void *data)
{
	struct visit *visit = data;

	visit->is_inside = !setns(visit->fd, CLONE_NEWNET);
	visit->err = visit->is_inside ? visit_inside(visit) : -errno;
	return NULL;
}

/* A thread of its own: entering a namespace must not move the caller. */
static int visit_one(struct visit *visit, const struct namespaces *namespaces, size_t index,
		     struct guard_reach *reach)
{
	pthread_t thread;
	int err;

	if (index == 0) /* the caller's own: a host without others needs no CAP_SYS_ADMIN */
		return visit_inside(visit);
	visit->fd = namespaces->item[index].fd;
	if (visit->fd >= 0) {
		err = pthread_create(&thread, NULL, visit_thread, visit);
		if (err)
			return -err;
		pthread_join(thread, NULL);
		if (visit->is_inside || visit->err != -EPERM)
			return visit->err;
	}
	reach->closed++;
	return 0;
}

/* One namespace that cannot be entered must not keep the others' sockets alive: all are tried, the
 * first error is told. */
int namespaces_each(const char *cgroup, int (*inside)(void *data), void *data,
		    struct guard_reach *reach)
{
	struct namespaces namespaces = {};
	struct visit visit = {.inside = inside, .data = data};
	int err = namespaces_find(cgroup, &namespaces);

	*reach = (struct guard_reach){};
	if (err == -EACCES || err == -EPERM) {
		reach->unread = err;
		err = 0;
	}
	reach->namespaces = namespaces.count;
	for (size_t i = 0; i < namespaces.count; i++) {
		int one = visit_one(&visit, &namespaces, i, reach);

		if (one && !err)
			err = one;
	}
	namespaces_close(&namespaces);
	return err;
}

/* ---- reading an iterator --------------------------------------------------------------------- */

static int room_for(struct records *records, size_t more)
{
	size_t capacity = records->capacity ?: 1024;
	void *item;

	while (capacity < records->count + more)
		capacity *= 2;
	if (capacity == records->capacity)
		return 0;
	item = reallocarray(records->item, capacity, records->size);
	if (!item)
		return -ENOMEM;
	records->item = item;
	records->capacity = capacity;
	return 0;
}

int records_read(struct records *records, int link_fd)
{
	const size_t step = 512;
	_cleanup_close_ int fd = bpf_iter_create(link_fd);
	size_t part = 0; /* bytes of a record that was cut in two */

	if (fd < 0)
		return -errno;
	for (;;) {
		int err = room_for(records, step + 1);
		ssize_t got;

		if (err)
			return err;
		got = read(fd, (char *)records->item + records->count * records->size + part,
			   step * records->size);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return got ? -errno : 0;
		part += got;
		records->count += part / records->size;
		part %= records->size;
	}
}
