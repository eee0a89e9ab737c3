/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* program.c - finds a program of weir's and becomes it. */
#include "user/base/program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "user/base/cleanup.h"

static const char *const directories[] = {"", "../libexec/weir/"};

/* The directory of this program, with its slash. Where /proc is not mounted, as it was named to the
 * kernel: a link there is not followed. */
static void own_directory(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (length < 0)
		length = snprintf(path, PATH_MAX, "%.*s", PATH_MAX - 1,
				  (const char *)getauxval(AT_EXECFN));
	path[length] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash ? slash + 1 : path, 3, "%s", slash ? "" : "./");
}

int program_become(const char *name, char *const *words)
{
	char own[PATH_MAX];
	int r = 0;

	own_directory(own);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]) && r == 0; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s%s%s", own, directories[i], name) < 0)
			return -ENOMEM;
		execv(path, words);
		if (errno != ENOENT)
			r = -errno;
	}
	return r < 0 ? r : -ENOENT;
}
