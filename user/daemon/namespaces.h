/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * namespaces.h - which network namespaces a cut can end sockets in. In those that are closed to the
 * daemon they go on until they time out: that is told before a cut needs it.
 */
#ifndef WEIR_NAMESPACES_H
#define WEIR_NAMESPACES_H

#include "user/base/json_out.h"
#include "user/kernel/guard.h"

struct namespaces_seen {
	struct guard_reach reach;
	uint64_t checked_ns; /* boot; 0: not by this process */
};

struct host;

/* Looks, and tells when it became less than all, or all again. */
void namespaces_check(struct host *host);
/* The same with what guard_sever() saw; of a command nothing is kept. */
void namespaces_note(struct host *host, const struct guard_reach *reach);

/* "namespaces": {...}, or null without a daemon */
void namespaces_put(const struct host *host, struct json_out *reply);

#endif
