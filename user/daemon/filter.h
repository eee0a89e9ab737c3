/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * filter.h - which system calls the daemon can make while it runs (seccomp).
 */
#ifndef WEIR_FILTER_H
#define WEIR_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/* A command of bpf(2) that stays open, and what later work needs it for. All others are refused
 * with EPERM: among them BPF_PROG_LOAD and BPF_BTF_LOAD. */
struct filter_command {
	int command;
	const char *why;
};
extern const struct filter_command filter_commands[];
extern const size_t filter_command_count;

/*
 * Puts the filter on all threads of this process, for good. A call that is not needed gets ENOSYS,
 * and a line in the kernel's audit log; one that only an intruder makes (execve, mount, ptrace, a
 * kernel module, ...) ends the process. -EOPNOTSUPP: this kernel has no filters, or this build is
 * sanitized (its runtime makes calls of its own). Else -errno.
 */
int filter_install(void);

#endif
