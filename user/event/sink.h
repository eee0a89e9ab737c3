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

struct sink {
	int directory; /* borrowed; -1: lines are counted as unwritten */
	int file;      /* -1: not open */
	size_t lines;  /* in the open file */
	size_t most;   /* turned over at this many */
	uint64_t unwritten;
};

/* Takes over an existing file. It cannot fail: a file that does not open is tried again with each
 * line, which counts as unwritten until then. */
void sink_open(struct sink *sink, int directory);
void sink_close(struct sink *sink);

/* Appends a whole line, its newline included; a NULL line counts as unwritten. */
void sink_write(struct sink *sink, const char *line);

#endif
