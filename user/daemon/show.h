/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * show.h - one target, or one address: what holds it, its budgets, its connections, and what to
 * type next. As JSON; user/view/show.h makes a page of it.
 */
#ifndef WEIR_SHOW_H
#define WEIR_SHOW_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/* Into an open object of `reply`. 0 or -errno with `problem`; -ENOENT for a name that the policy
 * does not have, with near ones. */
int host_show(struct host *host, const char *target, struct json_out *reply, char **problem);
int host_who(struct host *host, const uint8_t address[16], struct json_out *reply, char **problem);

#endif
