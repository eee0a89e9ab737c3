/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent_run.h - `weir agent`: one loop between the brokers and the daemon. */
#ifndef WEIR_FLEET_AGENT_RUN_H
#define WEIR_FLEET_AGENT_RUN_H

#include "user/fleet/config.h"

/* Whether one could begin: -errno with `problem` (malloc'd) without its key, or a name for its
 * socket. */
int agent_check(const struct fleet_config *config, const char *instance, char **problem);

/* Until SIGTERM or SIGINT: 0; or -errno with `problem` (malloc'd). */
int agent_run(const struct fleet_config *config, const char *instance, char **problem);

#endif
