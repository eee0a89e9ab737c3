/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drilling.h - what a drill needs to know: whether its target may be drilled on, where, and on what
 * host. The cut and the reopening themselves are orders like any other.
 */
#ifndef WEIR_DRILLING_H
#define WEIR_DRILLING_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/*
 * `target`: partner:NAME; NULL: the one partner that the policy marks. Writes into an open object:
 * target, drill {address, port} or null, host, instance, kernel, weir, by, policy. 0; or with
 * `problem` -EPERM: the policy does not mark it, it is cut already, or no cut would stop what goes
 * to its address; -ENOENT; -EINVAL.
 */
int host_drill(struct host *host, const char *target, const char *by, struct json_out *reply,
	       char **problem);

/* "lifeline": the connections that the lifeline lets pass, and whether their next packet would;
 * "sessions": how many the target has; "sessions_problem": why some could not be read, or null.
 * 0 or -errno, of an unknown target with `problem`. */
int host_drill_look(struct host *host, const char *target, struct json_out *reply, char **problem);

#endif
