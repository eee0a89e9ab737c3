/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * agent_each.h - an agent for each broker, in a process of its own: what a broker sends may end the
 * one that reads it (libmosquitto asserts that some packets do not come), and no other.
 */
#ifndef WEIR_FLEET_AGENT_EACH_H
#define WEIR_FLEET_AGENT_EACH_H

#include "user/fleet/config.h"

/* Until SIGTERM or SIGINT: 0; or -errno with `problem` (malloc'd). One that a signal ends is begun
 * again, after 1 s at first and a minute at most; when one gives up, so does this. */
int agent_each(const struct fleet_config *config, const char *instance, char **problem);

#endif
