/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* flock.h - flock(2) that does not wait for ever. */
#ifndef WEIR_FLOCK_H
#define WEIR_FLOCK_H

/*
 * Takes the exclusive lock on what `fd` is open on, which may be a directory; flock(fd, LOCK_UN) or
 * the last close gives it back. 0; -ETIMEDOUT: another process, which may be stopped, has held it
 * for `most_ms` milliseconds; -errno.
 */
int flock_take(int fd, unsigned int most_ms);

#endif
