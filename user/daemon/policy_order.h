/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy_order.h - another policy in force, as an order: whose word it takes, and its line in the
 * journal.
 */
#ifndef WEIR_POLICY_ORDER_H
#define WEIR_POLICY_ORDER_H

#include "user/daemon/host.h"

struct order_origin;

struct policy_order {
	const char *kind;   /* apply, trial, interim, base, confirm, rollback */
	const char *reason; /* NULL: it takes none */
	const struct image *image;
	const struct sources *sources;	   /* its texts; NULL: the default's */
	uint64_t until_ns;		   /* wall; 0: it does not go back by itself */
	const struct order_origin *origin; /* the signed order; NULL: a local one */
};

/* As second_person(), where the policy may let more leave than the one in force; or, while that one
 * goes back by itself, than the one before it: what two people let in for a while, one alone
 * neither keeps nor prolongs. A signed one has its two principals. */
int policy_order_ask(struct host *host, const struct policy_order *order, char **problem);
/* The same of the policy on trial, against the one that it would go back to; also while that one
 * alone says `four_eyes: true`. */
int policy_order_ask_to_stay(struct host *host, const struct policy_order *order, char **problem);

/* As journaling_before(): whatever it changes, it may loosen. */
int policy_order_journal(struct host *host, const struct policy_order *order, char **problem);

#endif
