/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signed_order.h - takes an order as a signed text (user/order/document.h): judges it by the list
 * of signers, carries it out, keeps its bytes, and writes it into the journal.
 *
 * What is cut is a function of the set of orders that were accepted, in whatever order they came
 * and however often: a cut that was let back and comes again cuts nothing; a reopening that comes
 * before its cut waits for it. A cut is in the kernel before it is on disk; a reopening is on disk
 * first. An extension, a pause or an addition is carried out once. It was judged when it came: a
 * key that runs out later takes nothing back.
 *
 * That holds under one policy. An exception is made where both targets may mean a packet by the
 * policy in force when it is made; one that changes what they mean later makes none, and so leaves
 * more cut. A policy that keeps a name and gives it other addresses moves the cut with the name.
 */
#ifndef WEIR_SIGNED_ORDER_H
#define WEIR_SIGNED_ORDER_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/*
 * Takes the order, and writes the fields of the answer into an open object of `reply`: "order" (its
 * id), "kind", "known" (it had been taken before), "is_for_us", and of a cut those of host_cut().
 * 0; -errno with `problem`, and of a base perhaps `details` (several lines): nothing was done;
 * DONE_IN_PART: it holds, and `problem` says what failed.
 */
int host_take_order(struct host *host, const char *text, size_t length, struct json_out *reply,
		    char **problem, char **details);

/*
 * What a signed cut would do here: the same fields, of a cut those of cut_dry_run(), "by_daemon"
 * (or else the groups of this host are not known), and "refused": why it would be, as it is signed
 * now. It need not be signed: who plans a cut wants to see this first. 0, DONE_IN_PART or -errno
 * with `problem`; -EOPNOTSUPP: it is of another kind.
 */
int host_try_order(struct host *host, const char *text, size_t length, struct json_out *reply,
		   char **problem);

#endif
