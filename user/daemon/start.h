/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * start.h - from nothing to a guard that judges, in the daemon.
 */
#ifndef WEIR_START_H
#define WEIR_START_H

#include "user/daemon/host.h"
#include "user/daemon/run.h"

/*
 * Loads a new guard with the applied policy, else the one of `--policy`, else the default; or takes
 * over the pinned one without a moment that has no verdict. Then `host` is whole, and the guard
 * judges. 0, or -errno with `problem`.
 */
int daemon_start(struct host *host, const struct run_options *options, char **problem);

#endif
