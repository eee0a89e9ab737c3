/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pins.c - the directory in bpffs that keeps a guard in the kernel when no process has it open.
 */
#include "user/kernel/internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

bool instance_is_valid(const char *instance)
{
	size_t length = instance ? strlen(instance) : 0;

	if (!length || length > 64)
		return false;
	for (const char *c = instance; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	return true;
}

char *pin_path(const char *instance, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s%s%s", PIN_HOME, instance, name ? "/" : "", name ?: "") < 0)
		return NULL;
	return path;
}

void pin_edge_name(const char *ifname, char name[64])
{
	snprintf(name, 64, PIN_EDGE "%.15s", ifname);
	for (char *c = name; *c; c++)
		if (*c == '.')
			*c = ':';
}

void pin_edge_ifname(const char *name, char ifname[16])
{
	snprintf(ifname, 16, "%.15s", name + strlen(PIN_EDGE));
	for (char *c = ifname; *c; c++)
		if (*c == ':')
			*c = '.';
}

static bool bpffs_is_mounted(void)
{
	struct statfs fs;

	return !statfs(PIN_ROOT, &fs) && (uint32_t)fs.f_type == BPF_FS_MAGIC;
}

/* Readable by root only: a pinned map is as good as the right to change it. */
static int make_directory(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* Some hosts mount bpffs for everybody to write (mode 1777): who made the home rules the pins. */
static int check_home(void)
{
	struct stat st;

	if (lstat(PIN_HOME, &st))
		return -errno;
	return S_ISDIR(st.st_mode) && !st.st_uid && !(st.st_mode & 022) ? 0 : -EPERM;
}

int pins_open(const char *instance, int *dir_fd)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (!instance_is_valid(instance))
		return -EINVAL;
	path = pin_path(instance, NULL);
	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*dir_fd = fd;
	return 0;
}

int pins_create(const char *instance, int *dir_fd, char **problem)
{
	_cleanup_free_ char *path = NULL;
	int err;

	if (!instance_is_valid(instance))
		return problem_set(problem, -EINVAL,
				   "an instance's name is made of letters, digits, - and _");
	if (!bpffs_is_mounted() &&
	    mount("bpf", PIN_ROOT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"))
		return problem_set(problem, -errno, "cannot mount bpffs on %s: %s", PIN_ROOT,
				   strerror(errno));
	path = pin_path(instance, NULL);
	if (!path)
		return -ENOMEM;
	err = make_directory(PIN_HOME) ?: check_home();
	if (err == -EPERM)
		return problem_set(problem, err, "%s is not root's alone", PIN_HOME);
	err = err ?: make_directory(path);
	if (err)
		return problem_set(problem, err, "cannot make %s: %s", path, strerror(-err));
	err = pins_open(instance, dir_fd);
	return err ? problem_set(problem, err, "cannot open %s: %s", path, strerror(-err)) : 0;
}

static void close_directory(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int pins_each(int dir_fd, int (*each)(const char *name, void *data), void *data)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_directory) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = 0;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			err = each(entry->d_name, data);
	return err;
}

struct removal {
	const char *instance;
	int dir_fd;
	enum { REMOVE_LINKS, REMOVE_MAPS, REMOVE_MARKER } what;
};

static int remove_one(const char *name, void *data)
{
	struct removal *removal = data;
	bool is_link = !strncmp(name, PIN_LINK, strlen(PIN_LINK));
	bool is_marker = !strcmp(name, PIN_MARKER);

	if (is_link != (removal->what == REMOVE_LINKS) ||
	    is_marker != (removal->what == REMOVE_MARKER))
		return 0;
	if (is_link) {
		_cleanup_free_ char *path = pin_path(removal->instance, name);
		_cleanup_close_ int fd = path ? bpf_obj_get(path) : -1;

		/* also when some process still has it open */
		if (fd >= 0)
			bpf_link_detach(fd);
	}
	return unlinkat(removal->dir_fd, name, 0) && errno != ENOENT ? -errno : 0;
}

int pins_remove(const char *instance, int dir_fd)
{
	_cleanup_free_ char *path = pin_path(instance, NULL);
	struct removal removal = {.instance = instance, .dir_fd = dir_fd};
	int err = path ? 0 : -ENOMEM;

	for (int what = REMOVE_LINKS; !err && what <= REMOVE_MARKER; what++) {
		removal.what = what;
		err = pins_each(dir_fd, remove_one, &removal);
	}
	if (err)
		return err;
	if (rmdir(path) && errno != ENOENT)
		return -errno;
	rmdir(PIN_HOME); /* stays while another instance is there */
	return 0;
}

/* ---- a second set ---------------------------------------------------------------------------- */

/* No instance can have the sign in its name. */
char *pins_stage_name(const char *instance)
{
	char *name;

	return asprintf(&name, "%s+", instance) < 0 ? NULL : name;
}

static int unpin_one(const char *name, void *data)
{
	const int *dir_fd = data;

	return unlinkat(*dir_fd, name, 0) && errno != ENOENT ? -errno : 0;
}

int pins_unstage(const char *instance)
{
	_cleanup_free_ char *name = pins_stage_name(instance);
	_cleanup_free_ char *path = name ? pin_path(name, NULL) : NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int err;

	if (!path)
		return -ENOMEM;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = pins_each(fd, unpin_one, &fd);
	if (err)
		return err;
	return rmdir(path) ? -errno : 0;
}

int pins_stage(const char *instance, int *dir_fd, char **problem)
{
	_cleanup_free_ char *name = pins_stage_name(instance);
	_cleanup_free_ char *path = name ? pin_path(name, NULL) : NULL;
	int err = path ? pins_unstage(instance) : -ENOMEM, fd = -1;

	if (!err)
		err = make_directory(path);
	if (!err) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		err = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	}
	if (err) {
		cleanup_close(&fd);
		return problem_set(problem, err, "cannot make %s: %s", path ?: instance,
				   strerror(-err));
	}
	*dir_fd = fd;
	return 0;
}

/* bpffs can since 5.17 (fs/libfs.c, simple_rename_exchange()). */
int pins_exchange(const char *instance)
{
	_cleanup_free_ char *name = pins_stage_name(instance);
	_cleanup_free_ char *stage = name ? pin_path(name, NULL) : NULL;
	_cleanup_free_ char *path = pin_path(instance, NULL);

	if (!stage || !path)
		return -ENOMEM;
	return renameat2(AT_FDCWD, stage, AT_FDCWD, path, RENAME_EXCHANGE) ? -errno : 0;
}
