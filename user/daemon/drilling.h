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
 * target, drill {address, port} or null, host, kernel, policy, by, and the lifeline's connections
 * that are open. 0; -EPERM: the policy does not mark it, or it is cut already; -ENOENT; -EINVAL;
 * with `problem`.
 */
int host_drill(struct host *host, const char *target, const char *by, struct json_out *reply,
	       char **problem);

/* "lifeline": the connections that the lifeline lets pass, and whether their next packet would;
 * "sessions": how many the target has. */
int host_drill_look(struct host *host, const char *target, struct json_out *reply, char **problem);

#endif
