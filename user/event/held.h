/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* held.h - the lines of events that are still held, for who looks back. */
#ifndef WEIR_HELD_H
#define WEIR_HELD_H

/*
 * Calls `each` for every whole line in the two files that sink.h names, the oldest first; a value
 * that is not 0 ends the walk and is the answer. A file that is not there has no lines. 0 or
 * -errno.
 */
int held_each(const char *directory, int (*each)(const char *line, void *data), void *data);

#endif
