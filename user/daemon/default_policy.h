/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * default_policy.h - what holds when there is no policy: it observes everything, and blocks
 * nothing. But a cut holds also then, and under it the admins' way in is no lifeline, nor has it a
 * name of its own: so a guard that comes back to it from a policy that was on trial keeps the
 * lifeline of that one, and what its services are. STATE/lifeline.json is that policy.
 */
#ifndef WEIR_DEFAULT_POLICY_H
#define WEIR_DEFAULT_POLICY_H

#include "user/daemon/host.h"

#define LIFELINE_FILE "lifeline.json"

/* Of TRIAL_FILE, if it is there; it goes thereafter. What cannot be kept is told: it holds up
 * neither the way back nor a start. */
void default_keep_lifeline(struct host *host);

/* 0; -ENOMEM; -EBADMSG. With a file that cannot be read there is no lifeline, which is told. */
int default_image(struct host *host, uint64_t wall_ns, struct image *image);

#endif
