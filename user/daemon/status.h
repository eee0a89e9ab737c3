/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * status.h - the state of a guarded host, and the cgroups that sent something, as JSON.
 */
#ifndef WEIR_STATUS_H
#define WEIR_STATUS_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/* Into an open object of `reply`. 0 or -errno with `problem`. */
int host_status(struct host *host, struct json_out *reply, char **problem);
int host_services(struct host *host, struct json_out *reply, char **problem);

#endif
