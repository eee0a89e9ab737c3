/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * events.c - `weir events`: the lines of the file of events, also without a daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/cmd/call.h"
#include "user/daemon/paths.h"
#include "user/event/sink.h"

struct reader {
	bool as_json;
	FILE *file;  /* the current one; NULL: not there yet */
	ino_t inode; /* of `file` */
	char *line;  /* what came of a line so far */
	size_t used, size;
};

/* Time, how bad, what. */
static void print_line(const struct reader *reader, const char *line)
{
	json_object *event;
	char when[32];

	if (reader->as_json) {
		fputs(line, stdout);
		return;
	}
	event = json_tokener_parse(line);
	if (event) {
		/* programs choose their names, and the message has them */
		_cleanup_free_ char *message = field_plain(event, "message");

		printf("%s  %-13s %s\n", time_text(field_number(event, "time") / 1000, when),
		       field_text(event, "severity"), message ? message : "");
	}
	json_object_put(event);
}

/* Prints the whole lines that are there; a torn last one waits for its rest. */
static int print_new(struct reader *reader)
{
	char chunk[65536];

	while (reader->file && fgets(chunk, sizeof(chunk), reader->file)) {
		size_t length = strlen(chunk);

		if (reader->used + length + 1 > reader->size) {
			size_t size = (reader->used + length + 1) * 2;
			char *larger = realloc(reader->line, size);

			if (!larger)
				return -ENOMEM;
			reader->line = larger;
			reader->size = size;
		}
		memcpy(reader->line + reader->used, chunk, length + 1);
		reader->used += length;
		if (chunk[length - 1] != '\n')
			continue;
		print_line(reader, reader->line);
		reader->used = 0;
	}
	if (reader->file)
		clearerr(reader->file);
	return 0;
}

static void open_file(struct reader *reader, const char *path)
{
	struct stat status;

	reader->file = fopen(path, "re");
	reader->used = 0;
	if (reader->file && fstat(fileno(reader->file), &status) == 0)
		reader->inode = status.st_ino;
}

/* After a turn-over the path is another file. What the old one still got was read before. */
static bool was_turned_over(const struct reader *reader, const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && (!reader->file || status.st_ino != reader->inode);
}

static int follow(struct reader *reader, const char *directory, const char *path)
{
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char buffer[4096];

	if (watch < 0 ||
	    inotify_add_watch(watch, directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return -errno;
	while (!ferror(stdout)) {
		struct pollfd pollfd = {.fd = watch, .events = POLLIN};
		bool turned = was_turned_over(reader, path);
		int r = print_new(reader);

		if (r < 0)
			return r;
		if (turned) {
			if (reader->file)
				fclose(reader->file);
			open_file(reader, path);
			continue;
		}
		fflush(stdout);
		if (poll(&pollfd, 1, 1000) > 0 && read(watch, buffer, sizeof(buffer)) < 0 &&
		    errno != EAGAIN)
			return -errno;
	}
	return 0;
}

static int print_old(struct reader *reader, const char *path)
{
	int r;

	open_file(reader, path);
	r = print_new(reader);
	if (reader->file)
		fclose(reader->file);
	reader->file = NULL;
	return r;
}

static int run(const struct arguments *arguments)
{
	_cleanup_free_ char *directory = path_state(arguments->instance, "");
	_cleanup_free_ char *path = path_state(arguments->instance, "/" SINK_FILE);
	_cleanup_free_ char *old = path_state(arguments->instance, "/" SINK_OLD_FILE);
	struct reader reader = {.as_json = arguments_has(arguments, "--json")};
	int r;

	if (!directory || !path || !old)
		return command_refuse(arguments, "out of memory");
	if (access(directory, R_OK | X_OK) < 0)
		return command_refuse(arguments, "cannot read %s: %s", directory, strerror(errno));
	r = print_old(&reader, old);
	open_file(&reader, path);
	if (r == 0)
		r = print_new(&reader);
	if (r == 0 && arguments_has(arguments, "--follow"))
		r = follow(&reader, directory, path);
	if (reader.file)
		fclose(reader.file);
	free(reader.line);
	if (r < 0)
		return command_refuse(arguments, "cannot read %s: %s", path, strerror(-r));
	return CMD_DONE;
}

const struct command command_events = {
	.name = "events",
	.arguments = "",
	.help = "Print what happened, as far as it is still held",
	.options =
		{
			{"--follow", NULL, "go on with what happens next", false},
			{"--json", NULL, "the lines themselves: OCSF 1.8, class 4001", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
