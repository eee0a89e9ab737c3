/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * held.c - the lines of events that are still held.
 */
#include "user/event/held.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/base/cleanup.h"
#include "user/event/sink.h"

static int each_line(const char *path, int (*each)(const char *line, void *data), void *data)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int r = 0;

	if (!file)
		return errno == ENOENT ? 0 : -errno;
	/* one without its end is being written, or was torn */
	while (r == 0 && (length = getline(&line, &size, file)) > 0 && line[length - 1] == '\n')
		r = each(line, data);
	return r;
}

int held_each(const char *directory, int (*each)(const char *line, void *data), void *data)
{
	static const char *const files[] = {SINK_OLD_FILE, SINK_FILE};
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && r == 0; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", directory, files[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = each_line(path, each, data);
	}
	return r;
}
