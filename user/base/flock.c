/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* flock.c - flock(2) that does not wait for ever. */
#include "user/base/flock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

/* Asked again and again: when flock() waits itself, a signal alone ends that. */
int flock_take(int fd, unsigned int most_ms)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (unsigned int ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; ms++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (ms == most_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}
