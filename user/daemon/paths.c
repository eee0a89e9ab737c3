/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * paths.c - where the files of an instance are.
 */
#include "user/daemon/paths.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"

static char *join(const char *variable, const char *fallback, const char *instance,
		  const char *suffix)
{
	const char *root = secure_getenv(variable);
	char *path;

	if (!root || !root[0])
		root = fallback;
	return asprintf(&path, "%s/%s%s", root, instance, suffix) < 0 ? NULL : path;
}

char *path_config(const char *name)
{
	return join("WEIR_CONFIG_DIR", "/etc/weir", name, "");
}

char *path_run(const char *instance, const char *suffix)
{
	return join("WEIR_RUN_DIR", "/run/weir", instance, suffix);
}

char *path_state(const char *instance, const char *suffix)
{
	return join("WEIR_STATE_DIR", "/var/lib/weir", instance, suffix);
}

/* A directory that was just made outlives the power only when the one that names it is written. */
static int make_one(const char *path, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = NULL;
	_cleanup_close_ int fd = -1;

	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : -errno;
	parent = slash ? strndup(path, slash + 1 - path) : strdup(".");
	if (!parent)
		return -ENOMEM;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || (fsync(fd) < 0 && errno != EINVAL) ? -errno : 0;
}

/* mkdir -p; `mode` is for the last component. */
static int make_directory(char *path, mode_t mode)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = make_one(path, 0755);
		*slash = '/';
		if (r < 0)
			return r;
	}
	return make_one(path, mode);
}

static int make_or_tell(char *path, mode_t mode, char **problem)
{
	int r = path ? make_directory(path, mode) : -ENOMEM;

	if (r < 0 &&
	    asprintf(problem, "cannot make %s: %s", path ? path : "a directory", strerror(-r)) < 0)
		*problem = NULL;
	return r;
}

int paths_make(const char *instance, char **problem)
{
	_cleanup_free_ char *run = path_run("", "");
	_cleanup_free_ char *state = path_state(instance, "");
	int r;

	if (run)
		run[strlen(run) - 1] = '\0'; /* the slash before the empty instance */
	r = make_or_tell(run, 0755, problem);
	return r < 0 ? r : make_or_tell(state, 0750, problem);
}
