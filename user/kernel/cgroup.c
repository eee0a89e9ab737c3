/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cgroup.c - the cgroup v2 hierarchy: where it is, what a directory's id is, which path an id has.
 */
#include "user/kernel/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static void close_mounts(FILE **mounts)
{
	if (*mounts)
		endmntent(*mounts);
}

int cgroup_mount_point(char **path)
{
	_cleanup_(close_mounts) FILE *mounts = setmntent("/proc/mounts", "re");
	struct mntent *entry;

	if (!mounts)
		return -errno;
	while ((entry = getmntent(mounts))) {
		if (strcmp(entry->mnt_type, "cgroup2"))
			continue;
		*path = strdup(entry->mnt_dir);
		return *path ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

/* kernfs hands out file handles that are the node's id, as bpf_get_current_cgroup_id() gives it. */
static int cgroup_id(int fd, uint64_t *id)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = {.head.handle_bytes = sizeof(uint64_t)};
	int mount_id;

	if (name_to_handle_at(fd, "", &handle.head, &mount_id, AT_EMPTY_PATH))
		return -errno;
	memcpy(id, handle.head.f_handle, sizeof(*id));
	return 0;
}

static int open_root(char **path, char **problem)
{
	int err = cgroup_mount_point(path);

	if (err)
		return problem_set(problem, err, "no cgroup v2 hierarchy is mounted");
	return 0;
}

int cgroup_open(const char *path, int *fd, char **real_path, uint64_t *id, char **problem)
{
	_cleanup_free_ char *root = NULL, *real = NULL;
	_cleanup_close_ int dir = -1;
	struct statfs fs;
	int err = open_root(&root, problem);

	if (err)
		return err;
	path = path ?: root;
	real = realpath(path, NULL);
	dir = real ? open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0)
		return problem_set(problem, -errno, "cgroup %s: %s", path, strerror(errno));
	if (fstatfs(dir, &fs) || (uint32_t)fs.f_type != CGROUP2_SUPER_MAGIC)
		return problem_set(problem, -EINVAL,
				   "%s is not a directory of the cgroup v2 hierarchy (%s)", path,
				   root);
	err = cgroup_id(dir, id);
	if (err)
		return problem_set(problem, err, "cgroup %s: no id: %s", path, strerror(-err));
	*fd = TAKE_FD(dir);
	*real_path = TAKE_PTR(real);
	return 0;
}

struct walk {
	int (*each)(int fd, const char *below, uint64_t id, void *data);
	void *data;
	char below[PATH_MAX];
	int err; /* the first cgroup that could not be read: the others are walked all the same */
};

static void close_directory(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Makes "below" the child's; false when it does not fit. */
static bool walk_enter(struct walk *walk, size_t length, const char *name)
{
	if (length + strlen(name) + 2 > sizeof(walk->below))
		return false;
	sprintf(walk->below + length, "%s%s", length ? "/" : "", name);
	return true;
}

static void walk_note(struct walk *walk, int err)
{
	if (!walk->err)
		walk->err = err;
}

/*
 * Whoever owns a cgroup can nest others in it as deep as he likes. What that makes unreadable (a
 * path that is too long, too many open directories) must not hide the rest from an order. True:
 * the walk is over.
 */
static bool walk_directory(struct walk *walk, int parent, const char *name, const char *below)
{
	_cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_directory) DIR *dir = NULL;
	size_t length = strlen(walk->below);
	struct dirent *entry;
	bool is_over = false;
	uint64_t id = 0;
	int r;

	if (fd < 0 || cgroup_id(fd, &id)) {
		if (errno != ENOENT && errno != ENODEV) /* they come and go during a walk */
			walk_note(walk, -errno);
		return false;
	}
	r = walk->each(fd, below, id, walk->data);
	if (r < 0)
		walk_note(walk, r);
	if (r > 0)
		return true;
	dir = fdopendir(fd);
	if (!dir) {
		walk_note(walk, -errno);
		return false;
	}
	TAKE_FD(fd);
	while (!is_over && (entry = readdir(dir))) {
		bool fits;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		fits = below && walk_enter(walk, length, entry->d_name);
		is_over =
			walk_directory(walk, dirfd(dir), entry->d_name, fits ? walk->below : NULL);
		walk->below[length] = 0;
	}
	return is_over;
}

int cgroup_walk(const char *path, int (*each)(int fd, const char *below, uint64_t id, void *data),
		void *data)
{
	_cleanup_free_ struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return -ENOMEM;
	walk->each = each;
	walk->data = data;
	walk_directory(walk, AT_FDCWD, path, walk->below);
	return walk->err;
}

struct search {
	const char *root;
	uint64_t id;
	char *path;
};

static int search_one(int fd, const char *below, uint64_t id, void *data)
{
	struct search *search = data;

	(void)fd;
	if (id != search->id || !below)
		return 0;
	if (asprintf(&search->path, "%s%s%s", search->root, *below ? "/" : "", below) < 0) {
		search->path = NULL;
		return -ENOMEM;
	}
	return 1;
}

int cgroup_path_of(const char *root, uint64_t id, char **path)
{
	struct search search = {.root = root, .id = id};
	int err = cgroup_walk(root, search_one, &search);

	if (!search.path)
		return err ? err : -ENOENT;
	*path = search.path;
	return 0;
}
