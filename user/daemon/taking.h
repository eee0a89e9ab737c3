/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * taking.h - a signed order under way, shared by the files that take one: signed_order.c judges it,
 * signed_cut.c, signed_reopening.c, signed_override.c and signed_base.c carry it out.
 */
#ifndef WEIR_TAKING_H
#define WEIR_TAKING_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"
#include "user/order/document.h"

struct taking {
	struct host *host;
	const char *text;
	size_t length;
	struct document document;
	char *archive; /* path; NULL: nothing can be kept */
	char by[sizeof(((struct weir_order *)0)->by)];
	struct journal_signature signature[DOCUMENT_MAX_SIGNATURES]; /* those that count */
	size_t signatures;
	bool is_dry_run; /* nothing is to be done */
	bool is_known;	 /* it was accepted once */
	/* One principal has signed an extension: it is carried out if the grant's reserve has that
	 * much left, and else refused, since it takes two. */
	bool is_alone;
	char why_two[200];
	bool is_accepted; /* with the signatures that it has now, by those who count now */
	uint64_t version; /* in force of this kind; 0: none is */
	struct json_out *reply;
	char **problem, **details; /* host_apply() gives these */
};

/* The journal's line about it; it points into `taking`. */
struct journal_order taking_line(const struct taking *taking);

/* The first of the orders in force that came from it, or NULL. */
const struct weir_order *taking_in_force(const struct taking *taking);

/* The caller holds guard_lock() and has read the orders anew. As host_take_order(). */
int take_cut(struct taking *taking);
int take_reopening(struct taking *taking);
int take_override(struct taking *taking);
int take_base(struct taking *taking);

/* Before it is looked up whether an order is known: one that was not done is not. */
void taking_forget_undone(struct host *host);

#endif
