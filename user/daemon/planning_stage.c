/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning_stage.c - the steps of a stage: probations, opened, and closed again.
 */
#include "user/daemon/planning.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/cutting.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/overriding.h"
#include "user/policy/target.h"

enum { REASON_TEXT = sizeof(((struct weir_order *)0)->reason) };

/* ---- what is told --------------------------------------------------------------------------- */

/* The line of a step; it points into the plan. */
struct journal_order plan_line(const struct host *host, const char *kind, const char *reason)
{
	const struct plan_run *run = host->plan;

	return (struct journal_order){.kind = kind,
				      .reason = reason,
				      .since_ns = host_wall(host),
				      .until_ns = plan_watched_until(host, run),
				      .plan = run->plan.name.text,
				      .stage = plan_stage(run)->name.text,
				      .evidence = run->evidence[0] ? run->evidence : NULL};
}

void plan_tell(struct host *host, const char *kind, enum record_severity severity, const char *text)
{
	const struct plan_run *run = host->plan;
	const struct record_field field[] = {{"plan", run->plan.name.text, 0},
					     {"stage", plan_stage(run)->name.text, 0},
					     {"order_reason", text, 0}};

	host_tell(host, kind, severity, field, 3, "plan %s, stage %s: %s", run->plan.name.text,
		  plan_stage(run)->name.text, text);
}

/* The reason of the orders that a stage gives. */
static void reason_of(const struct plan_run *run, const char *why, char text[REASON_TEXT])
{
	snprintf(text, REASON_TEXT, "plan %s, stage %s: %.*s", run->plan.name.text,
		 plan_stage(run)->name.text, PLAN_REASON, why);
}

/* A disk that fails leaves what it had: the same or an earlier step, which is closed or is cut
 * again when the daemon comes back. Tried again by host_plan_tick(). */
int plan_keep(struct host *host)
{
	int r = plan_save(host);

	if (host->plan)
		host->plan->is_unsaved = r < 0;
	return r;
}

void plan_set_phase(struct host *host, enum plan_phase phase)
{
	host->plan->phase = phase;
	host->plan->since_ns = host_wall(host);
	host->plan->until_ns = 0;
}

/* ---- probations ----------------------------------------------------------------------------- */

static bool is_ours(const struct plan_run *run, const struct weir_order *order)
{
	const struct names *targets = &plan_stage(run)->targets;

	for (size_t i = 0; order->kind == WEIR_ORDER_PROBATION && i < targets->count; i++) {
		if (strcmp(targets->item[i].text, order->target) == 0)
			return true;
	}
	return false;
}

static int add_probations(const struct plan_run *run, struct orders *orders, const char *by,
			  uint64_t now_ns, char **problem)
{
	const struct plan_stage *stage = plan_stage(run);
	char reason[REASON_TEXT];
	int r = 0;

	reason_of(run, run->plan.reason.text, reason);
	for (size_t i = 0; i < stage->targets.count && r == 0; i++) {
		const struct order_text text = {.target = stage->targets.item[i].text,
						.reason = reason,
						.by = by,
						.since_ns = now_ns,
						.kind = WEIR_ORDER_PROBATION,
						.parts = stage->parts};
		uint64_t id;

		r = orders_add_override(orders, &text, &id);
		if (r == -ENOSPC)
			return tell_problem(
				problem, r,
				"there is no room for the probations of %zu targets "
				"beside %d extensions, pauses, additions and probations",
				stage->targets.count, WEIR_OVERRIDES);
		if (r < 0)
			return orders_problem(r, &text, problem);
	}
	return r;
}

/* One line for each: they are orders of their own. */
static void journal_probations(struct host *host, const struct orders *before)
{
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];
		struct journal_order line = plan_line(host, "probation", order->reason);
		const char *target = order->target;
		char id[24];

		if (orders_find(before, order->id) || order->kind != WEIR_ORDER_PROBATION)
			continue;
		override_format(order->id, id, sizeof(id));
		line.id = id;
		line.target = &target;
		line.target_count = 1;
		line.parts = order->parts;
		journaling_after(host, &line, 1);
	}
}

static int begin_probations(struct host *host, const char *by, char **problem)
{
	_cleanup_orders_ struct orders orders = {0}, before = {0};
	int r;

	if (plan_stage(host->plan)->parts == WEIR_WHOLE)
		return 0;
	r = orders_begin(host, &orders, problem);
	if (r == 0)
		r = orders_copy(&orders, &before);
	if (r == 0)
		r = add_probations(host->plan, &orders, by, host_wall(host), problem);
	if (r == 0)
		r = orders_tighten(host, &orders, problem);
	if (r == 0)
		journal_probations(host, &before);
	return r;
}

/* Those of the stage. The line is the step's own, before it. */
int plan_end_probations(struct host *host, char **problem)
{
	_cleanup_orders_ struct orders orders = {0};
	bool has_one = false;
	int r = orders_begin(host, &orders, problem);

	for (size_t i = 0; r == 0 && i < host->orders.count; i++) {
		if (!is_ours(host->plan, &host->orders.item[i]))
			continue;
		orders_remove(&orders, host->orders.item[i].id);
		has_one = true;
	}
	if (r == 0 && has_one)
		r = orders_loosen(host, &orders, problem);
	return r == DONE_IN_PART ? 0 : r;
}

int plan_locked(struct host *host, int (*step)(struct host *host, char **problem), char **problem)
{
	int r = guard_lock_told(host->guard, problem);

	if (r < 0)
		return r;
	r = step(host, problem);
	guard_unlock(host->guard);
	return r;
}

/* ---- closed again --------------------------------------------------------------------------- */

/* The targets of the stage, for a request; not those that the policy has no more: one of them would
 * keep the others from being cut. */
static size_t targets_of(const struct host *host, const char *target[PLAN_MAX_TARGETS])
{
	const struct names *targets = &plan_stage(host->plan)->targets;
	struct weir_cut_entry entry;
	size_t count = 0;

	for (size_t i = 0; i < targets->count; i++) {
		if (target_resolve(&host->image, targets->item[i].text, &entry, NULL) != -ENOENT)
			target[count++] = targets->item[i].text;
	}
	return count;
}

static int cut_stage(struct host *host, const char *why, const char *by, char **problem)
{
	_cleanup_free_ char *text = NULL;
	const char *target[PLAN_MAX_TARGETS];
	char reason[REASON_TEXT];
	size_t length;
	struct json_out nobody = {.out = open_memstream(&text, &length)};
	struct order_request cut = {.target = target, .reason = reason, .by = by, .is_again = true};
	int r;

	if (!nobody.out)
		return -ENOMEM;
	reason_of(host->plan, why, reason);
	cut.target_count = targets_of(host, target);
	r = cut.target_count ? host_cut(host, &cut, &nobody, problem) : 0;
	fclose(nobody.out);
	return r;
}

int plan_close_stage(struct host *host, const char *kind, const char *why, const char *by,
		     char **problem)
{
	struct plan_run *run = host->plan;
	_cleanup_free_ char *other = NULL;
	struct journal_order line;
	int r = cut_stage(host, why, by, problem);

	if (r < 0 && r != DONE_IN_PART)
		return r;
	snprintf(run->why, sizeof(run->why), "%s", why);
	run->approvals = 0;
	run->evidence[0] = '\0';
	plan_set_phase(host, PLAN_WAITS);
	plan_keep(host);
	line = plan_line(host, kind, why);
	journaling_after(host, &line, 1);
	plan_tell(host, kind, RECORD_HIGH, why);
	/* behind the cut they do nothing; one that stays is taken out with the next try */
	plan_locked(host, plan_end_probations, &other);
	return r;
}

/* ---- opened ------------------------------------------------------------------------------- */

/* What was let back, what holds still. */
static int reopen_stage(struct host *host, const char *by, struct json_out *reply, char **problem)
{
	const char *target[PLAN_MAX_TARGETS];
	char reason[REASON_TEXT];
	struct order_request reopen = {
		.target = target, .reason = reason, .by = by, .is_approved = true};
	int r;

	reason_of(host->plan, host->plan->plan.reason.text, reason);
	reopen.target_count = targets_of(host, target);
	json_open(reply, "reopening", '{');
	r = host_reopen(host, &reopen, reply, problem);
	json_close(reply, '}');
	/* nothing was cut any more, or nothing but what a signed order takes back */
	if (r == -ENOENT || r == -EPERM) {
		free(TAKE_PTR(*problem));
		return 0;
	}
	return r;
}

/* What a cut by another order holds is not open; the rest is, and is watched. */
void plan_watch_stage(struct host *host)
{
	struct plan_run *run = host->plan;
	const char *target;
	uint64_t cut;

	if (plan_is_held(host, run, &cut, &target)) {
		if (run->phase != PLAN_HELD)
			plan_set_phase(host, PLAN_HELD);
		return;
	}
	plan_set_phase(host, PLAN_WATCHED);
	run->until_ns = boot_now() + plan_stage(run)->watch_ns;
	if (boot_id(run->boot) < 0) /* then a restart begins it anew */
		run->boot[0] = '\0';
}

uint64_t plan_watched_until(const struct host *host, const struct plan_run *run)
{
	if (run->phase != PLAN_WATCHED || !host->guard || !is_this_boot(run->boot))
		return 0;
	return run->until_ns + guard_control(host->guard).wall_offset_ns;
}

void plan_take_base(struct host *host, const struct plan_sum *sum)
{
	host->plan->base = *sum;
	snprintf(host->plan->digest, sizeof(host->plan->digest), "%s", host->digest);
}

/* What is latched is opened with the stage, and nothing may be over. */
int plan_read_base(struct host *host, char **problem)
{
	struct plan_look look;
	int r = plan_look(host, host->plan, &look);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the meters: %s", strerror(-r));
	free(look.account);
	plan_take_base(host, &look.sum);
	host->plan->base.severed = host->plan->base.alerted = 0;
	host->plan->has_looked = false;
	return 0;
}

/* Closed: nothing of it was let back. The caller keeps it, as it was before. */
static int give_up(struct host *host, int error)
{
	_cleanup_free_ char *other = NULL;

	plan_locked(host, plan_end_probations, &other);
	plan_set_phase(host, PLAN_WAITS);
	return error;
}

/* Nothing is let back that could not be cut again. */
static int check_spare(const struct host *host, char **problem)
{
	size_t most = WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED;

	if (host->orders.count + plan_spare(host) <= most)
		return 0;
	return tell_problem(problem, -ENOSPC,
			    "there would be no room to cut stage %s again: %zu of %zu cuts, "
			    "exceptions and other orders are there",
			    plan_stage(host->plan)->name.text, host->orders.count, most);
}

int plan_open_stage(struct host *host, const char *by, struct json_out *reply, char **problem)
{
	struct plan_run *run = host->plan;
	struct journal_order line;
	int r, in_part;

	plan_set_phase(host, PLAN_OPENS);
	r = plan_keep(host);
	if (r < 0)
		return give_up(host,
			       tell_problem(problem, r,
					    "cannot save the plan, so nothing is let back: %s",
					    strerror(-r)));
	r = guard_lock_told(host->guard, problem);
	if (r == 0) {
		r = plan_end_probations(host, problem); /* of an earlier try */
		if (r == 0)
			r = begin_probations(host, by, problem);
		guard_unlock(host->guard);
	}
	if (r == 0)
		r = check_spare(host, problem);
	if (r == 0)
		r = plan_read_base(host, problem);
	if (r < 0) /* probations that are not on the disk are none: nothing was done in part */
		return give_up(host, r == DONE_IN_PART ? -EIO : r);
	in_part = reopen_stage(host, by, reply, problem);
	if (in_part < 0 && in_part != DONE_IN_PART)
		return give_up(host, in_part);
	run->why[0] = '\0';
	plan_watch_stage(host);
	line = plan_line(host, "plan-next", run->plan.reason.text);
	journaling_after(host, &line, 1);
	plan_tell(host, "plan-next", RECORD_MEDIUM, "begins");
	r = plan_keep(host);
	if (r < 0 && in_part == 0)
		in_part = tell_problem(problem, DONE_IN_PART,
				       "the stage is open, but the plan could not be saved: %s",
				       strerror(-r));
	return in_part;
}
