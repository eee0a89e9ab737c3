/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * privileges.h - what the daemon may do: little to begin with, less once the guard judges.
 *
 * The guard stays on whatever becomes of the daemon, so a daemon that cannot give up what it does
 * not need ends rather than go on with it.
 */
#ifndef WEIR_PRIVILEGES_H
#define WEIR_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include "user/base/json_out.h"

struct privilege {
	int capability;
	const char *name;
	bool stays; /* false: until the guard judges */
	const char *why;
};

/* All that the daemon starts with at most. packaging/systemd/weir.service grants it without what
 * only hosts with containers need; weir-containers.conf adds that. */
extern const struct privilege privileges[];
extern const size_t privilege_count;

/* First of all, and before there is another thread: nothing beyond the table, nothing through
 * execve. 0, or -errno with `problem`. */
int privileges_limit(char **problem);

/* After a failure to load: what is missing that each load needs, at the end of `problem`. The
 * kernel tells of it in many ways, such as of a helper that a program cannot use. */
void privileges_blame(char **problem);

/*
 * When the guard judges: only what stays, and a filter on system calls (filter.h). The capabilities
 * are the calling thread's and those of the threads that it starts from now on; the filter is on
 * all threads. *is_filtered: false on a kernel without such filters, and in a sanitized build.
 * 0, or -errno with `problem`.
 */
int privileges_drop(bool *is_filtered, char **problem);

/* "privileges": what the kernel says that this process has, and what of the table it lacks;
 * `is_filtered` as privileges_drop() set it, since a service manager's filter is not ours. */
void privileges_put(bool is_filtered, struct json_out *reply);

#endif
