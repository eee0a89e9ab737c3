/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * totals.h - sums of the accounts, per service and per partner. They come from the kernel's
 * counters alone, so a lost event bends no sum.
 */
#ifndef WEIR_TOTALS_H
#define WEIR_TOTALS_H

#include "user/daemon/host.h"
#include "user/daemon/latches.h"

struct total {
	uint64_t sent_bytes, sent_packets, acked_bytes;
	uint64_t refused_bytes, refused_packets;
	uint64_t would_refuse_bytes, would_refuse_packets;
	uint64_t edge_packets, edge_bytes; /* dropped before the stack, inbound */
};

struct totals {
	struct total *services;			       /* by index in the image */
	struct total *partners;			       /* by index; [0]: no partner */
	struct total *strangers;		       /* by service: the part that had no grant */
	struct total former_services, former_partners; /* of names that the policy has no more */
	struct latches latches;
};

/* Whether an account's counters go into a sum: those of the others, which only hold windows, stand
 * in an account too. */
bool account_is_counted(uint64_t grant_key);
void total_add(struct total *total, const struct weir_meter *meter);

/* 0 or -errno. Free in either case. */
int totals_read(const struct host *host, struct totals *totals);
void totals_free(struct totals *totals);

#endif
