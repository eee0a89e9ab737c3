/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * interim.h - a policy that is in force for a while (`weir apply --for`): trial.json with a wall
 * time and a reason. At its end the guard goes back to the applied policy, as from a trial that
 * nobody confirmed; but unlike a trial it goes on over a reboot, for what is left of its span.
 *
 * Within a boot the end is a boot time, which nobody sets. After a reboot what is left comes from
 * the wall clock, or from the last time that clock.json knows when that is later: a clock that was
 * set back prolongs nothing.
 */
#ifndef WEIR_INTERIM_H
#define WEIR_INTERIM_H

#include "user/base/json_out.h"
#include "user/base/units.h"
#include "user/daemon/host.h"

#define TRIAL_FILE	 "trial.json"
#define INTERIM_LEAST_NS NS_PER_MINUTE
#define INTERIM_MOST_NS	 (30 * NS_PER_DAY)

struct apply_request;

/* Whether this may come into force for a while, or on trial, now. 0 or -errno with `problem`. */
int interim_check(const struct host *host, const struct apply_request *request, char **problem);

/* Reads the one whose time is not over; applied->trial_until_ns is of this boot. -ENOENT: there is
 * none, or its time is over, or it is a trial; -ENOMEM. One that is damaged is taken from those
 * that are kept (store.h), or told, and then is none. */
int interim_load(struct host *host, struct applied *applied);

/* It is in force, as `applied` says: also after a restart, from when on its end is one of this
 * boot. -ENOMEM. */
int interim_take(struct host *host, const struct applied *applied);
/* There is none any more. */
void interim_clear(struct host *host);

/* Writes the end of this boot into the file. 0 or -errno. */
int interim_save(const struct host *host, const struct applied *applied);

/* Tells, once, that it ends soon: ten minutes before, or a tenth of its span. Boot time when that
 * is due, 0: it is not. */
uint64_t interim_tell_due(struct host *host, uint64_t now_ns);

/* "interim": until, seconds_left, reason, and what it goes back to. Nothing when there is none. */
void interim_put(const struct host *host, struct json_out *reply);

#endif
