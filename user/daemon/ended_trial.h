/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ended_trial.h - a trial, or while, whose end no daemon saw: what was before it comes back when
 * one starts, also when that is the default. It is a way back that nobody asks for: outliving.h.
 */
#ifndef WEIR_ENDED_TRIAL_H
#define WEIR_ENDED_TRIAL_H

#include "user/daemon/host.h"

struct ended_trial {
	bool was_on_trial;
	bool is_known;
	struct image image;
	uint64_t first;	  /* id of the first cut that was made in place of another's names */
	size_t lost;	  /* cuts that cover nothing */
	bool has_no_room; /* for what it cut or held back */
};

/* The file of a trial is in the state directory. */
bool ended_trial_is_there(const struct host *host);

/* Reads it; its texts, if they are damaged, from those that are kept (store.h). 0, also when they
 * cannot be read; -ENOMEM. The image is to be freed. */
int ended_trial_read(struct host *host, struct ended_trial *ended);

/* Compiles host->orders, which were read a moment ago, against the policy that comes into force;
 * first it adds to them what stands for others. As host_compile_orders(). */
int ended_trial_compile(struct host *host, const struct image *image, struct ended_trial *ended,
			struct order_table *cuts, char **problem);

/* The policy is in force: events, and lines of the journal, of what was added, and of the cuts that
 * cover nothing. */
void ended_trial_tell(struct host *host, const struct ended_trial *ended);

/* It is over. The orders are on the disk: without them its file says what to cut in place of its
 * names. */
void ended_trial_forget(struct host *host);

#endif
