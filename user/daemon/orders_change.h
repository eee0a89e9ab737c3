/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders_change.h - the steps that the orders have in common. But for order_lock(), the caller
 * holds guard_lock(), so that no other process changes the orders meanwhile.
 */
#ifndef WEIR_ORDERS_CHANGE_H
#define WEIR_ORDERS_CHANGE_H

#include "user/daemon/host.h"

#define _cleanup_orders_ __attribute__((cleanup(orders_free)))

/* How long a command may wait for the daemon, and then for whoever has the guard (ask.c, lock.c).
 */
#define ASKING_LONGEST_NS (60 * NS_PER_SECOND)

/* guard_lock(), for what loosens: -ECANCELED where whoever asked for it hung up while the guard was
 * waited for, and so may have done it itself, and somebody else may have taken it back. */
int order_lock(struct host *host, char **problem);

/*
 * The first of the orders in force that are what was added to a copy of them, and was asked for at
 * `asked_ns` (boot time; 0: not told): who gets no answer from the daemon in time carries the order
 * out itself, and the daemon may have come to it, or yet come to it. 0: nobody has done it.
 */
uint64_t order_find_done(const struct host *host, const struct orders *orders, uint64_t asked_ns);

/* A copy of the orders in force, to be changed. */
int orders_begin(struct host *host, struct orders *orders, char **problem);

/* Compiles a changed set. Where the policy's names are not known, no order may get lost over it. */
int orders_compile_for(struct host *host, const struct orders *orders, struct order_table *table,
		       char **problem);

/* Keeps the texts in the kernel; what it said. */
int orders_keep_texts(struct host *host, const struct orders *orders);
/* The kernel has the cuts: keeps the texts there and in `host`, which takes them over. Returns what
 * the kernel said; `host` has them in either case. */
int orders_keep(struct host *host, struct orders *orders);
/* The same for orders that the kernel has already; `orders` is taken over. */
void orders_hold(struct host *host, struct orders *orders);

/* 0, or -errno (-ENOENT: there is no state directory). */
int orders_to_disk(struct host *host);
int orders_save_set(const struct host *host, const struct orders *orders);
/* What could not be saved is: the daemon, once in a while. 0, also when all is saved; -errno. */
int orders_save_late(struct host *host);

/*
 * What loosens: the disk, then the kernel. `orders` is taken over. 0; -errno with `problem`: it is
 * not done, and the disk says so too; DONE_IN_PART: it is, but its texts are not kept in the
 * kernel.
 */
int orders_loosen(struct host *host, struct orders *orders, char **problem);
/* What tightens: the kernel, then the disk. As orders_loosen(), but for a disk that fails:
 * DONE_IN_PART, and it is tried again. */
int orders_tighten(struct host *host, struct orders *orders, char **problem);

/* What letting a target back did to a cut. */
enum let_back { LET_NOTHING, LET_WHOLE, LET_PART };
/*
 * Lets `text->target` back from a cut: the whole of it when that is its target (or of the cut that
 * it stands for), or an exception when both mean some packet. *exception gets its id. -ENOENT
 * without such a cut, else as orders_add_exception().
 */
int orders_let_back(const struct host *host, struct orders *orders, uint64_t cut,
		    const struct order_text *text, enum let_back *how, uint64_t *exception);

/* Why orders_add_*() refused. */
int orders_problem(int error, const struct order_text *text, char **problem);

#endif
