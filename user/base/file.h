/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* file.h - whole files: bounded reading, and writing that a crash cannot tear. */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Reads all of a file, at most `max` bytes. `*text` is the caller's to free; a NUL follows the
 * `*length` bytes, which may hold NULs themselves. -EFBIG when there is more: a regular file is
 * refused by its size, before anything is read. -EISDIR for a directory.
 */
int file_read(const char *path, size_t max, char **text, size_t *length);

/* The same from an open descriptor, from where it stands. */
int file_read_fd(int fd, size_t max, char **text, size_t *length);

/*
 * Replaces a file as a whole: written beside it, fsync, rename, fsync of the directory. After a
 * crash the old content or the new one is there. On failure the old file is untouched and nothing
 * is left behind; but when the directory cannot be synced, the last step, the new file is in place
 * and only may be gone after a crash. Who must not have it there then writes the old content again.
 */
int file_write_atomic(const char *path, const void *data, size_t length, mode_t mode);

/* Whether it is the name of what file_write_atomic() wrote beside a file and, killed before the
 * rename, left there. */
bool file_is_part(const char *name);

/* Writes all of it, also past short writes and signals. */
int file_write_all(int fd, const void *data, size_t length);

#endif
