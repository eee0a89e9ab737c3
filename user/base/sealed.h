/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sealed.h - state files of two lines: what is kept, on one line, and {"sha256":"..."} over that
 * line and its end, so that a reader sees damage.
 */
#ifndef WEIR_SEALED_H
#define WEIR_SEALED_H

#include <stddef.h>

/* Writes `text`, whose only end of line is its last byte, and its seal, with file_write_atomic().
 * 0 or -errno; -EIO when libcrypto fails. */
int sealed_write(const char *path, const char *text, size_t length);

/*
 * Reads a file of at most `max` bytes: *text (malloc'd) is the first line without its end, *length
 * that of it. -EBADMSG for a seal that does not fit; a file of one line is from before there were
 * seals. -errno.
 */
int sealed_read(const char *path, size_t max, char **text, size_t *length);

#endif
