/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * run.h - the daemon: brings the guard up or takes over the one that is there, then answers, writes
 * events, and waits.
 */
#ifndef WEIR_RUN_H
#define WEIR_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "user/policy/host_config.h"

struct run_options {
	const char *instance;
	const char *policy_file; /* NULL: none given */
	const char *cgroup;	 /* NULL: the root of the hierarchy */
	char **uplinks;
	size_t uplink_count;
	bool any_uplink;	/* and those that come later */
	bool waits_for_uplinks; /* those that are not there yet */
	bool observe;
	const struct host_config *config; /* borrowed */
};

/*
 * Runs until SIGTERM, SIGINT or an unload; the guard stays on after a signal. Says `weir: guarding
 * ...` on stdout when it judges. 0; or -errno with one line in `problem` (malloc'd): then nothing
 * was attached that was not before, or the line says that the guard stays on.
 */
int daemon_run(const struct run_options *options, char **problem);

#endif
