/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * returning.h - a policy that is on trial, or in force for a while, stays or goes back; and the way
 * back to one that was applied before.
 */
#ifndef WEIR_RETURNING_H
#define WEIR_RETURNING_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/* The policy on trial, or in force for a while, becomes the applied one. 0; -ENOENT with `problem`:
 * none is; -ETIME: it came too late; -errno: it stays on trial; DONE_IN_PART. Writes into an open
 * object of `reply`. */
int host_confirm(struct host *host, const char *by, struct json_out *reply, char **problem);

/*
 * Back from such a one to the applied policy, or else from that to the one before it; with `digest`
 * (of which it is the beginning) to that one, whenever it was applied. 0; -errno with `problem`:
 * the policy in force stays; DONE_IN_PART. Writes into an open object of `reply`.
 *
 * When somebody asks, a policy that lacks the object of an active cut is refused. When nobody does
 * (host->asker NULL: the time is over), what that cut covers stays cut: outliving.h.
 */
int host_rollback(struct host *host, const char *by, const char *digest, struct json_out *reply,
		  char **problem);

/* The time of such a one is over, and nobody asks: the guard goes back. What keeps it from that is
 * told, and it is tried again in 10 seconds; meanwhile nobody can confirm the policy any more. */
void host_return(struct host *host);
/* When that is due (boot); 0: there is no such policy. */
uint64_t host_return_due(const struct host *host);

/* An ended policy's file that was kept because the orders could not be saved: they are now. */
void host_forget_ended(struct host *host);

/* The same policy once more, with hours from now on for two years. 0, or -errno with `problem`. */
int host_renew(struct host *host, char **problem);

#endif
