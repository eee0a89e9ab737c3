/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sink.c - the file of events, turned over when it is full.
 */
#include "user/event/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* How many lines it holds already; a torn last line (power loss) is ended first. */
static size_t count_lines(int file)
{
	char buffer[65536], last = '\n';
	size_t lines = 0;
	off_t at = 0;
	ssize_t length;

	while ((length = pread(file, buffer, sizeof(buffer), at)) > 0) {
		for (ssize_t i = 0; i < length; i++)
			lines += buffer[i] == '\n';
		last = buffer[length - 1];
		at += length;
	}
	if (last != '\n' && write(file, "\n", 1) == 1)
		lines++;
	return lines;
}

static bool open_file(struct sink *sink)
{
	if (sink->file >= 0)
		return true;
	if (sink->directory < 0)
		return false;
	sink->file =
		openat(sink->directory, SINK_FILE, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (sink->file < 0)
		return false;
	sink->lines = count_lines(sink->file);
	return true;
}

void sink_open(struct sink *sink, int directory)
{
	*sink = (struct sink){.directory = directory, .file = -1, .most = SINK_LINES};
	open_file(sink);
}

void sink_close(struct sink *sink)
{
	if (sink->file >= 0)
		close(sink->file);
	sink->file = -1;
}

static void turn_over(struct sink *sink)
{
	if (renameat(sink->directory, SINK_FILE, sink->directory, SINK_OLD_FILE) < 0)
		return;
	sink_close(sink);
	open_file(sink);
}

/* Takes back what a full disk left of a line, so that the next one starts on its own. */
static void take_back(struct sink *sink, size_t written)
{
	struct stat status;

	if (written > 0 && fstat(sink->file, &status) == 0 && status.st_size >= (off_t)written &&
	    ftruncate(sink->file, status.st_size - written) < 0)
		sink_close(sink); /* opening it again ends the torn line */
}

/* Whoever reads stdout may be slow, or stopped: the daemon does not wait. */
static void write_more(struct sink *sink, int priority, const char *line)
{
	struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
	struct iovec part[2];
	char prefix[8] = "";
	size_t length;
	ssize_t written;

	if (sink->more == SINK_NOTHING_MORE)
		return;
	if (sink->more == SINK_JOURNALD) /* sd-daemon(3) */
		snprintf(prefix, sizeof(prefix), "<%d>", priority & 7);
	part[0] = (struct iovec){prefix, strlen(prefix)};
	part[1] = (struct iovec){(char *)line, strlen(line)};
	length = part[0].iov_len + part[1].iov_len;
	written = poll(&ready, 1, 0) == 1 && ready.revents & POLLOUT
			  ? writev(STDOUT_FILENO, part, 2)
			  : -1;
	if (written != (ssize_t)length)
		sink->unwritten++;
}

static void write_file(struct sink *sink, const char *line)
{
	size_t length = strlen(line);
	ssize_t written;

	if (!open_file(sink)) {
		sink->unwritten++;
		return;
	}
	if (sink->lines >= sink->most) {
		turn_over(sink);
		if (!open_file(sink)) {
			sink->unwritten++;
			return;
		}
	}
	do
		written = write(sink->file, line, length);
	while (written < 0 && errno == EINTR);
	if (written == (ssize_t)length) {
		sink->lines++;
		return;
	}
	take_back(sink, written > 0 ? written : 0);
	sink->unwritten++;
}

void sink_write(struct sink *sink, int priority, const char *line)
{
	if (!line) {
		sink->unwritten++;
		return;
	}
	write_file(sink, line);
	write_more(sink, priority, line);
}
