/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * in_force.h - of the kinds of orders that have versions, the one that is in force, as its signed
 * text: STATE_DIR/INSTANCE/base.order, signers.order, beat.order. It keeps the host from going
 * back.
 */
#ifndef WEIR_IN_FORCE_H
#define WEIR_IN_FORCE_H

#include "user/daemon/host.h"
#include "user/order/document.h"

struct in_force {
	struct document document; /* .version 0: none is in force */
	char *text;		  /* what it points into */
};

/*
 * 0, also when there is none; -errno with `problem`: the file cannot be read or is damaged, and
 * which version is in force is not known. To be freed in each case.
 */
int in_force_read(const struct host *host, enum order_kind kind, struct in_force *in_force,
		  char **problem);
void in_force_free(struct in_force *in_force);

/* From now on it is this one: on disk when it returns 0. -errno; -ENOENT: no state directory. */
int in_force_keep(const struct host *host, enum order_kind kind, const char *text, size_t length);

/* Whether the policy in force is, letter by letter, that of the base whose version counts: another
 * one was applied here, tried or gone back to since. False also where none is in force. */
bool in_force_base_holds(struct host *host);

/* "in_force": version, id and times of each kind that has one, into an open object; of a base also
 * whether it "holds". */
void in_force_put(struct host *host, struct json_out *reply);

#endif
