/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning_tell.c - the plan for people.
 */
#include "user/daemon/planning.h"

#include "user/base/hex.h"
#include "user/base/units.h"
#include "user/daemon/cutting.h"

/* Where the stage at `index` is; of the one that is next or under way, the phase. */
static const char *state_of(const struct plan_run *run, size_t index)
{
	if (index != run->stage)
		return index < run->stage ? "done" : "later";
	switch (run->phase) {
	case PLAN_HELD:
		return "held";
	case PLAN_WATCHED:
		return "watched";
	case PLAN_OPENS:
		return "interrupted";
	case PLAN_WAITS:
		break;
	}
	return run->why[0] ? "cut again" : "next";
}

/* Once the stage has begun with it, an approval has no end any more. */
static bool has_counted(const struct host *host, const struct plan_run *run, size_t index)
{
	return run->phase != PLAN_WAITS || plan_approval_until(host, &run->approval[index]);
}

static void put_approvals(const struct host *host, const struct plan_run *run, bool that_count,
			  struct json_out *reply)
{
	json_open(reply, that_count ? "approved" : "approvals_over", '[');
	for (size_t i = 0; i < run->approvals; i++) {
		const struct plan_approval *approval = &run->approval[i];

		if (has_counted(host, run, i) != that_count)
			continue;
		json_open(reply, NULL, '{');
		json_put_text(reply, "by", approval->by);
		json_put_uint(reply, "at", approval->at_ns / NS_PER_SECOND);
		if (that_count && run->phase == PLAN_WAITS)
			json_put_uint(reply, "until",
				      (approval->at_ns + PLAN_APPROVAL_NS) / NS_PER_SECOND);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

/* The cut that a held stage waits for, and whether a signed order takes it back. */
static void put_held(const struct host *host, const struct plan_run *run, struct json_out *reply)
{
	char id[24], body[HEX_TEXT(32)];
	const struct weir_order *order;
	const char *target;
	uint64_t cut;

	if (run->phase != PLAN_HELD || !plan_is_held(host, run, &cut, &target))
		return;
	order = orders_find(&host->orders, cut);
	json_open(reply, "held", '{');
	order_format(cut, id, sizeof(id));
	json_put_text(reply, "id", id);
	json_put_text(reply, "target", target);
	if (order && order_is_signed(order))
		json_put_text(reply, "order", hex_format(order->body, sizeof(order->body), body));
	json_close(reply, '}');
}

static void put_under_way(const struct host *host, const struct plan_run *run,
			  struct json_out *reply)
{
	uint64_t until_ns = plan_watched_until(host, run);

	json_put_uint(reply, "since", run->since_ns / NS_PER_SECOND);
	if (until_ns)
		json_put_uint(reply, "until", until_ns / NS_PER_SECOND);
	if (run->evidence[0])
		json_put_text(reply, "evidence_given", run->evidence);
	if (run->why[0])
		json_put_text(reply, "why", run->why);
	put_approvals(host, run, true, reply);
	put_approvals(host, run, false, reply);
	put_held(host, run, reply);
}

static void put_stage(const struct host *host, const struct plan_run *run, size_t index,
		      struct json_out *reply)
{
	const struct plan_stage *stage = &run->plan.stage[index];

	json_open(reply, NULL, '{');
	json_put_text(reply, "name", stage->name.text);
	json_put_text(reply, "state", state_of(run, index));
	json_open(reply, "targets", '[');
	for (size_t i = 0; i < stage->targets.count; i++)
		json_put_text(reply, NULL, stage->targets.item[i].text);
	json_close(reply, ']');
	json_put_uint(reply, "approvals", plan_approvals(host, stage));
	json_put_bool(reply, "evidence", stage->needs_evidence);
	json_put_uint(reply, "parts", stage->parts);
	json_put_uint(reply, "watch_seconds", stage->watch_ns / NS_PER_SECOND);
	json_put_text(reply, "on_breach", plan_breach_name(stage->on_breach));
	if (index == run->stage)
		put_under_way(host, run, reply);
	json_close(reply, '}');
}

void plan_put(const struct host *host, const struct plan_run *run, struct json_out *reply)
{
	if (!run) {
		json_put_null(reply, "plan");
		return;
	}
	json_open(reply, "plan", '{');
	json_put_text(reply, "name", run->plan.name.text);
	json_put_text(reply, "reason", run->plan.reason.text);
	json_put_text(reply, "by", run->by);
	json_put_uint(reply, "started", run->started_ns / NS_PER_SECOND);
	json_put_bool(reply, "is_saved", !run->is_unsaved);
	json_open(reply, "stages", '[');
	for (size_t i = 0; i < run->plan.count; i++)
		put_stage(host, run, i, reply);
	json_close(reply, ']');
	json_close(reply, '}');
}

void host_plan_put(const struct host *host, struct json_out *reply)
{
	struct plan_run *saved = NULL;

	if (!host->is_daemon)
		plan_load(host, &saved); /* one that is damaged the next daemon tells */
	plan_put(host, host->is_daemon ? host->plan : saved, reply);
	plan_run_free(saved);
}
