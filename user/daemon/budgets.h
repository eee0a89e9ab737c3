/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * budgets.h - the budgets that apply to a target: what is used of them, and when there is room
 * again.
 */
#ifndef WEIR_BUDGETS_H
#define WEIR_BUDGETS_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"
#include "user/daemon/latches.h"
#include "user/daemon/totals.h"

enum budget_kind {
	BUDGET_GRANT,
	BUDGET_SERVICE,
	BUDGET_PARTNER,
	BUDGET_STRANGERS,
	BUDGET_STRANGER
};

struct budget_use {
	enum budget_kind kind;
	uint32_t service, partner, grant; /* WEIR_ANY: it has none */
	uint8_t direction;		  /* BUDGET_STRANGER */
	double used;			  /* share of the window that is nearest to its limit */
	bool is_full;  /* it holds back: the next packet has no room, or a large one had none lately
			*/
	bool is_tight; /* a large packet (64 KiB: what TCP sends at once) has no room */
	bool is_closed; /* a grant, at this hour */
};

struct budgets {
	struct budget_use *item; /* the fullest first */
	size_t count;
	struct total total;			/* of all accounts in the target */
	uint64_t last_sent_ns, last_refused_ns; /* boot; 0: never */
	struct latches latches;			/* all there are */
	bool *as_stranger; /* by service: somebody of the target was treated as a stranger there */
	uint8_t peer[16];  /* BUDGET_STRANGER: whose */
};

/*
 * Those of a target; for an address that is one of a partner's give the partner, for any other
 * address `peer` too. For one partner each budget is there that a rule can lead to, for others
 * those that were charged. 0 or -errno. Free in either case.
 */
int budgets_read(struct host *host, const struct weir_cut_entry *target, const uint8_t *peer,
		 struct budgets *budgets);
void budgets_free(struct budgets *budgets);

/* ---- for people ------------------------------------------------------------------------------ */

/* "budgets": the fullest of them; "budget_count"; "assumed_bytes": of the listed ones. The
 * metering, if there is one, knows which bytes were only assumed. Returns those. */
uint64_t budgets_put(struct host *host, const struct budgets *budgets, struct json_out *reply);

/* "sent_bytes", "acked_bytes", ..., "last_sent_at", "last_refused_at" (null: never). */
void budgets_put_total(const struct host *host, const struct budgets *budgets,
		       struct json_out *reply);

#endif
