/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* file.c - whole files: bounded reading, and writing that a crash cannot tear. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"

/* One spare byte beyond `max` tells "exactly max" from "more than max"; one more is for the NUL. */
static int read_to_end(int fd, size_t max, size_t first, char **text, size_t *length)
{
	_cleanup_free_ char *buffer = NULL;
	size_t size = first, used = 0;
	char *larger;
	ssize_t got;

	if (size > max + 1)
		size = max + 1;
	buffer = malloc(size + 1);
	if (!buffer)
		return -ENOMEM;
	for (;;) {
		if (used == size) {
			if (used > max)
				return -EFBIG;
			size = size > max / 2 ? max + 1 : size * 2;
			larger = realloc(buffer, size + 1);
			if (!larger)
				return -ENOMEM;
			buffer = larger;
		}
		got = read(fd, buffer + used, size - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += got;
	}
	if (used > max)
		return -EFBIG;
	buffer[used] = '\0';
	*text = TAKE_PTR(buffer);
	*length = used;
	return 0;
}

int file_read_fd(int fd, size_t max, char **text, size_t *length)
{
	size_t first = 4096;
	struct stat st;

	if (max > SIZE_MAX / 4)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode)) {
		if ((uint64_t)st.st_size > max)
			return -EFBIG;
		first = (size_t)st.st_size + 1;
	}
	return read_to_end(fd, max, first, text, length);
}

int file_read(const char *path, size_t max, char **text, size_t *length)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return file_read_fd(fd, max, text, length);
}

int file_write_all(int fd, const void *data, size_t length)
{
	const char *from = data;
	ssize_t put;

	while (length > 0) {
		put = write(fd, from, length);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		from += put;
		length -= put;
	}
	return 0;
}

static int fill(int fd, const void *data, size_t length, mode_t mode)
{
	int r = file_write_all(fd, data, length);

	if (r < 0)
		return r;
	/* fchmod, since the umask has had its say in mkostemp's mode. */
	if (fchmod(fd, mode) < 0)
		return -errno;
	if (fsync(fd) < 0)
		return -errno;
	return 0;
}

/* A rename is on disk only when its directory is. */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *dir = NULL;

	if (!slash)
		dir = strdup(".");
	else if (slash == path)
		dir = strdup("/");
	else
		dir = strndup(path, slash - path);
	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

#define PART ".part-"

bool file_is_part(const char *name)
{
	const size_t length = strlen(name), end = strlen(PART "XXXXXX");

	return length > end && strncmp(name + length - end, PART, strlen(PART)) == 0;
}

int file_write_atomic(const char *path, const void *data, size_t length, mode_t mode)
{
	_cleanup_free_ char *beside = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (asprintf(&beside, "%s" PART "XXXXXX", path) < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(fd, data, length, mode);
	if (r == 0 && rename(beside, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(beside);
		return r;
	}
	return sync_directory(path);
}
