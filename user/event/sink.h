/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sink.h - where the lines go: DIRECTORY/events.jsonl, turned over to events.jsonl.1 when it is
 * full, so that at least the last SINK_LINES lines are there.
 *
 * Nothing waits for it: a line that cannot be written is counted, and is gone.
 */
#ifndef WEIR_SINK_H
#define WEIR_SINK_H

#include <stddef.h>
#include <stdint.h>

enum { SINK_LINES = 16384 }; /* of one file; the last 10,000 are promised */

#define SINK_FILE     "events.jsonl"
#define SINK_OLD_FILE "events.jsonl.1"

/* Beside the file. */
enum sink_more { SINK_NOTHING_MORE, SINK_STDOUT, SINK_JOURNALD };

struct sink {
	int directory; /* borrowed; -1: lines are counted as unwritten */
	int file;      /* -1: not open */
	size_t lines;  /* in the open file */
	size_t most;   /* turned over at this many */
	uint64_t unwritten;
	enum sink_more more; /* stdout both times; journald wants a priority before the line */
};

/* Takes over an existing file. It cannot fail: a file that does not open is tried again with each
 * line, which counts as unwritten until then. */
void sink_open(struct sink *sink, int directory);
void sink_close(struct sink *sink);

/* Appends a whole line, its newline included; a NULL line counts as unwritten. One that stdout does
 * not take at once is lost there, and counts as unwritten too. `priority` as in syslog(3). */
void sink_write(struct sink *sink, int priority, const char *line);

#endif
