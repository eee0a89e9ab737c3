/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* brief.h - what a host tells its fleet of itself: which policy, which orders, how many cuts. */
#ifndef WEIR_BRIEF_H
#define WEIR_BRIEF_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/*
 * Into an open object of `reply`: "instance", "policy" (its digest), "in_force" (in_force.h),
 * "cuts" (how many), "groups" (of this host), "clock_is_trusted". No names of partners, no
 * addresses: it goes to brokers. 0, or -errno with `problem`.
 */
int host_brief(struct host *host, struct json_out *reply, char **problem);

#endif
