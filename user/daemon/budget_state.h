/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * budget_state.h - one budget, as the next packet would find it.
 */
#ifndef WEIR_BUDGET_STATE_H
#define WEIR_BUDGET_STATE_H

#include "user/daemon/budgets.h"
#include "user/daemon/meters_file.h"

struct budget_state {
	struct weir_limits limits; /* of the policy; a stranger's slot may have longer windows */
	struct kept_meter kept;	   /* its windows are those, as of now_ns */
	uint64_t now_ns;	   /* boot */
	uint64_t told_ns;	   /* boot; of its meter's last event about a refusal */
	uint8_t on_breach;
	uint64_t overrule; /* weir_limit(): of extensions, of a probation; in `limits` already */
	bool is_observed;  /* it refuses nothing */
};

const struct weir_limits *budget_limits(const struct image *image, const struct budget_use *budget);

/* A meter that was never charged is empty. 0 or -errno. */
int budget_read(struct host *host, const uint8_t peer[16], const struct budget_use *budget,
		struct budget_state *state);

/* The share of its limit that is used in the window where that is most. */
double budget_used(const struct budget_state *state);
/* Whether a grant is open at this hour; *edge: when that changes (wall), UINT64_MAX: it does not.
 * What is no grant is always open. */
bool budget_is_open(const struct host *host, const struct budget_use *budget, uint64_t *edge);
/* Whether a packet of so many bytes is refused. */
bool budget_refuses(const struct budget_state *state, uint32_t bytes);

#endif
