/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* archive.c - the signed orders that were accepted. */
#include "user/order/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"

static const char cut_name[] = "order";

const char *archive_cut(const struct document *document)
{
	return document->kind == ORDER_REOPEN ? document->cut : document->id;
}

static const char *name_of(const struct document *document)
{
	return document->kind == ORDER_REOPEN ? document->id : cut_name;
}

/* malloc'd; NULL without memory. */
static char *path_of(const char *directory, const char *cut, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s%s%s", directory, cut, name ? "/" : "", name ? name : "") < 0
		       ? NULL
		       : path;
}

int archive_has(const char *directory, const struct document *document)
{
	_cleanup_free_ char *path = path_of(directory, archive_cut(document), name_of(document));
	struct stat st;

	if (!path)
		return -ENOMEM;
	if (lstat(path, &st) == 0)
		return S_ISREG(st.st_mode);
	return errno == ENOENT ? 0 : -errno;
}

/* A directory outlives the power only when the one that names it is written. */
static int make_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, slash - path) : NULL;
	_cleanup_close_ int fd = -1;

	if (!parent)
		return -ENOMEM;
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return -errno;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int archive_keep(const char *directory, const struct document *document, const char *text,
		 size_t length)
{
	const char *cut = archive_cut(document);
	_cleanup_free_ char *of_cut = path_of(directory, cut, NULL);
	_cleanup_free_ char *path = path_of(directory, cut, name_of(document));
	int r;

	if (!of_cut || !path)
		return -ENOMEM;
	r = make_directory(directory);
	if (r == 0)
		r = make_directory(of_cut);
	return r < 0 ? r : file_write_atomic(path, text, length, 0640);
}

int archive_forget(const char *directory, const char *id)
{
	_cleanup_free_ char *of_order = path_of(directory, id, NULL);
	_cleanup_free_ char *path = path_of(directory, id, cut_name);

	if (!of_order || !path)
		return -ENOMEM;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	rmdir(of_order); /* reopenings may be in it */
	return 0;
}

/* ---- reopenings ----------------------------------------------------------------------------- */

static bool is_id(const char *name)
{
	return strlen(name) == ORDER_ID_TEXT - 1 &&
	       strspn(name, "0123456789abcdef") == ORDER_ID_TEXT - 1;
}

/* -EBADMSG: it is no reopening of this cut, or not the one that its name says. */
static int read_one(int of_cut, const char *cut, const char *name, char **text,
		    struct document *document)
{
	/* a pipe of this name, in which nobody writes, is empty and holds up nobody */
	_cleanup_close_ int fd =
		openat(of_cut, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct order_fault fault;
	size_t length;
	int r;

	if (fd < 0)
		return -errno;
	r = file_read_fd(fd, DOCUMENT_MAX_BYTES, text, &length);
	if (r == 0)
		r = document_read(*text, length, document, &fault);
	if (r == 0 && (document->kind != ORDER_REOPEN || strcmp(document->id, name) != 0 ||
		       strcmp(document->cut, cut) != 0))
		r = -EBADMSG;
	return r;
}

static int visit(int of_cut, const char *cut, const char *name,
		 int (*each)(const struct document *document, void *data), void *data,
		 size_t *damaged)
{
	_cleanup_free_ char *text = NULL;
	struct document document = {0};
	int r = read_one(of_cut, cut, name, &text, &document);

	if (r == 0)
		r = each(&document, data);
	else if (r != -ENOMEM) {
		++*damaged;
		r = 0;
	}
	document_free(&document);
	return r;
}

int archive_reopenings(const char *directory, const char *cut,
		       int (*each)(const struct document *document, void *data), void *data,
		       size_t *damaged)
{
	_cleanup_free_ char *path = path_of(directory, cut, NULL);
	DIR *of_cut = path ? opendir(path) : NULL;
	struct dirent *entry;
	int r = 0;

	*damaged = 0;
	if (!of_cut)
		return !path ? -ENOMEM : errno == ENOENT ? 0 : -errno;
	while (r == 0 && (errno = 0, entry = readdir(of_cut)) != NULL) {
		if (is_id(entry->d_name))
			r = visit(dirfd(of_cut), cut, entry->d_name, each, data, damaged);
	}
	if (r == 0 && errno)
		r = -errno;
	closedir(of_cut);
	return r;
}
