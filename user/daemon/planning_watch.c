/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning_watch.c - what became of a stage: by the kernel's counters, and the cuts in force.
 */
#include "user/daemon/planning.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/budget_state.h"
#include "user/daemon/cover.h"
#include "user/daemon/orders_tell.h"
#include "user/policy/target.h"

/* ---- the accounts in a stage ---------------------------------------------------------------- */

struct walk {
	struct host *host;
	struct weir_cut_entry entry[PLAN_MAX_TARGETS];
	size_t count;
	struct plan_look *look;
	uint64_t told_ns;

	/* plan_has_room() */
	uint32_t parts;
	char **problem;
};

struct account {
	uint32_t service, partner, grant; /* indices; WEIR_ANY: the policy does not have it */
};

/* What the policy has no more is nobody's. */
static void resolve(struct walk *walk, const struct plan_stage *stage)
{
	for (size_t i = 0; i < stage->targets.count; i++) {
		if (target_resolve(&walk->host->image, stage->targets.item[i].text,
				   &walk->entry[walk->count], NULL) == 0)
			walk->count++;
	}
}

static bool is_of_grant(const struct weir_meter *meter)
{
	return meter->grant_key >= 256; /* bpf/abi.h, enum weir_pseudo_key */
}

static bool is_in(const struct walk *walk, const struct weir_meter *meter, struct account *account)
{
	const struct names_of_keys *names = &walk->host->names;

	*account = (struct account){names_service_index(names, meter->service_key),
				    names_partner_index(names, meter->partner_key),
				    names_grant_index(names, meter->grant_key)};
	for (size_t i = 0; i < walk->count; i++) {
		if (target_holds_account(&walk->host->image, &walk->entry[i], account->service,
					 account->partner, account->grant, !is_of_grant(meter)))
			return true;
	}
	return false;
}

static char *account_text(const struct host *host, const struct weir_meter *meter)
{
	const char *grant = names_grant(&host->names, meter->grant_key);
	const char *service = names_service(&host->names, meter->service_key);
	const char *partner = names_partner(&host->names, meter->partner_key);
	char *text;

	if (asprintf(&text, "%s, service %s, partner %s", grant ? grant : "?",
		     service ? service : "?", partner && *partner ? partner : "-") < 0)
		return NULL;
	return text;
}

/* Whose breach only alerts refuses nothing, however much is used. */
static bool only_alerts(const struct walk *walk, const struct weir_meter *meter)
{
	uint32_t grant = names_grant_index(&walk->host->names, meter->grant_key);

	return grant != WEIR_ANY && walk->host->image.grants[grant].on_breach == WEIR_ALERT;
}

static bool is_over(struct walk *walk, const struct account *account)
{
	const struct budget_use budget = {.kind = BUDGET_GRANT,
					  .service = account->service,
					  .partner = account->partner,
					  .grant = account->grant};
	struct budget_state state;

	if (account->service == WEIR_ANY || account->partner == WEIR_ANY ||
	    budget_read(walk->host, NULL, &budget, &state) < 0)
		return false;
	for (size_t i = 0; i < WEIR_WINDOWS && state.limits.window[i].window_ns; i++) {
		if (state.kept.meter.window[i].used_bytes > state.limits.window[i].bytes)
			return true;
	}
	return false;
}

/* Of several, the one that was told last. */
static void note_account(struct walk *walk, const struct weir_meter *meter)
{
	uint64_t at_ns = meter->severed_ns > meter->told_ns ? meter->severed_ns : meter->told_ns;

	if (walk->look->account && at_ns < walk->told_ns)
		return;
	walk->told_ns = at_ns;
	free(walk->look->account);
	walk->look->account = account_text(walk->host, meter);
}

static int add(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct walk *walk = data;
	struct plan_sum *sum = &walk->look->sum;
	bool is_grant = is_of_grant(meter), alerts = is_grant && only_alerts(walk, meter);
	bool has_refused = is_grant && (meter->refused_packets || meter->would_refuse_packets);
	struct account account;

	(void)key;
	if ((!meter->severed_ns && !has_refused && !alerts) || !is_in(walk, meter, &account))
		return 0;
	alerts = alerts && is_over(walk, &account);
	sum->severed += meter->severed_ns != 0;
	sum->alerted += alerts;
	if (has_refused) {
		sum->refused += meter->refused_packets;
		sum->would_refuse += meter->would_refuse_packets;
	}
	if (meter->severed_ns || has_refused || alerts)
		note_account(walk, meter);
	return 0;
}

int plan_look(struct host *host, const struct plan_run *run, struct plan_look *look)
{
	_cleanup_free_ struct walk *walk = calloc(1, sizeof(*walk));
	int r;

	*look = (struct plan_look){0};
	if (!walk)
		return -ENOMEM;
	walk->host = host;
	walk->look = look;
	resolve(walk, plan_stage(run));
	r = guard_meters(host->guard, add, walk);
	if (r < 0)
		free(TAKE_PTR(look->account));
	return r;
}

/* ---- what it has used already --------------------------------------------------------------- */

/* The windows as of now; the share is not in force yet. */
static int compare(struct walk *walk, const struct budget_use *budget,
		   const struct weir_meter *meter)
{
	_cleanup_free_ char *account = NULL;
	struct budget_state state;
	char used[BYTES_TEXT], left[BYTES_TEXT], span[SPAN_TEXT];
	int r = budget_read(walk->host, NULL, budget, &state);

	for (size_t i = 0; r == 0 && i < WEIR_WINDOWS && state.limits.window[i].window_ns; i++) {
		const struct weir_limit *limit =
			&walk->host->image.grants[budget->grant].budget.window[i];
		uint64_t share = weir_limit(limit->bytes, WEIR_PROBATION | walk->parts);

		if (state.kept.meter.window[i].used_bytes <= share)
			continue;
		account = account_text(walk->host, meter);
		bytes_format(state.kept.meter.window[i].used_bytes, used, sizeof(used));
		bytes_format(share, left, sizeof(left));
		span_format(limit->window_ns, span, sizeof(span));
		return tell_problem(walk->problem, -EAGAIN,
				    "%s has used %s in %s, and the stage leaves it %s: its first "
				    "packet would be a breach",
				    account ? account : "an account", used, span, left);
	}
	return r;
}

static int has_room(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct walk *walk = data;
	struct account account;
	struct budget_use budget = {.kind = BUDGET_GRANT};

	(void)key;
	if (!is_of_grant(meter) || !is_in(walk, meter, &account) || account.grant == WEIR_ANY ||
	    account.service == WEIR_ANY || account.partner == WEIR_ANY)
		return 0;
	budget.service = account.service;
	budget.partner = account.partner;
	budget.grant = account.grant;
	return compare(walk, &budget, meter);
}

int plan_has_room(struct host *host, const struct plan_run *run, char **problem)
{
	const struct plan_stage *stage = plan_stage(run);
	_cleanup_free_ struct walk *walk = NULL;

	if (stage->parts == WEIR_WHOLE || stage->on_breach != PLAN_CUT)
		return 0;
	walk = calloc(1, sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	walk->host = host;
	walk->parts = stage->parts;
	walk->problem = problem;
	resolve(walk, stage);
	return guard_meters(host->guard, has_room, walk);
}

/* ---- what holds it -------------------------------------------------------------------------- */

bool plan_is_held(const struct host *host, const struct plan_run *run, uint64_t *cut,
		  const char **target)
{
	const struct plan_stage *stage = plan_stage(run);

	for (size_t i = 0; i < stage->targets.count; i++) {
		struct weir_cut_entry entry;

		if (target_resolve(&host->image, stage->targets.item[i].text, &entry, NULL) < 0)
			continue;
		for (size_t j = 0; j < host->orders.count; j++) {
			const struct weir_order *order = &host->orders.item[j];
			enum cover let_back;

			if (!order_is_cut(order) ||
			    cut_holds(host, order, &entry, &let_back) != COVER_WHOLE ||
			    let_back != COVER_NONE)
				continue;
			*cut = order->id;
			*target = stage->targets.item[i].text;
			return true;
		}
	}
	return false;
}

/* ---- the room to cut it again ---------------------------------------------------------------- */

size_t plan_spare(const struct host *host)
{
	const struct plan_run *run = host->plan;

	return run && run->phase != PLAN_WAITS ? plan_stage(run)->targets.count : 0;
}

/* ---- another policy ------------------------------------------------------------------------- */

int plan_allows(const struct host *host, const struct image *image, char **problem)
{
	const struct plan_run *run = host->plan;
	struct weir_cut_entry entry;

	for (size_t i = 0; run && run->phase != PLAN_WAITS && i < plan_stage(run)->targets.count;
	     i++) {
		const char *target = plan_stage(run)->targets.item[i].text;

		if (target_resolve(image, target, &entry, NULL) == -ENOENT)
			return tell_problem(
				problem, -ENOENT,
				"stage %s of plan %s is watched, and lets %s back, which "
				"this policy does not have: weir plan abort",
				plan_stage(run)->name.text, run->plan.name.text, target);
	}
	return 0;
}
