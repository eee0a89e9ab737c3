/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning_approve.c - who approved the stage that is next, and whose approval counts.
 */
#include "user/daemon/planning.h"

#include <string.h>

#include "user/base/units.h"
#include "user/daemon/caller.h"
#include "user/daemon/cover.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/orders_tell.h"
#include "user/policy/target.h"

/* ---- how long one counts --------------------------------------------------------------------- */

/* What the guard adds to boot time is another number after each reboot, and once somebody confirmed
 * the clock. */
uint64_t plan_approval_until(const struct host *host, const struct plan_approval *approval)
{
	uint64_t now = boot_now(), offset_ns = approval->at_ns - approval->boot_ns;

	if (!host->guard || offset_ns != (uint64_t)guard_control(host->guard).wall_offset_ns ||
	    now < approval->boot_ns || now - approval->boot_ns >= PLAN_APPROVAL_NS)
		return 0;
	return approval->boot_ns + PLAN_APPROVAL_NS;
}

static void tell_over(struct host *host, const struct plan_approval *approval)
{
	char text[160], span[SPAN_TEXT];

	span_format(PLAN_APPROVAL_NS, span, sizeof(span));
	snprintf(text, sizeof(text), "the approval by %s is over: it counts for %s", approval->by,
		 span);
	plan_tell(host, "plan-approvals-void", RECORD_MEDIUM, text);
}

uint64_t plan_tick_approvals(struct host *host)
{
	struct plan_run *run = host->plan;
	uint64_t next_ns = 0;
	bool is_changed = false;

	for (size_t i = 0; i < run->approvals; i++) {
		struct plan_approval *approval = &run->approval[i];
		uint64_t until_ns = plan_approval_until(host, approval);

		if (until_ns && (!next_ns || until_ns < next_ns))
			next_ns = until_ns;
		if (until_ns || approval->is_over)
			continue;
		approval->is_over = is_changed = true;
		tell_over(host, approval);
	}
	if (is_changed)
		plan_keep(host);
	return next_ns;
}

/* ---- those that do not count ----------------------------------------------------------------- */

/* When something of the stage was cut last; 0: nothing of it is. */
static uint64_t last_cut_ns(const struct host *host)
{
	const struct names *targets = &plan_stage(host->plan)->targets;
	struct weir_cut_entry entry;
	enum cover let_back;
	uint64_t last_ns = 0;

	for (size_t i = 0; i < targets->count; i++) {
		if (target_resolve(&host->image, targets->item[i].text, &entry, NULL) < 0)
			continue;
		for (size_t j = 0; j < host->orders.count; j++) {
			const struct weir_order *order = &host->orders.item[j];

			if (order_is_cut(order) && order->since_ns > last_ns &&
			    cut_holds(host, order, &entry, &let_back) != COVER_NONE)
				last_ns = order->since_ns;
		}
	}
	return last_ns;
}

/* Who approved has not seen what was cut since. */
static int drop_unseen(struct host *host, char **problem)
{
	struct plan_run *run = host->plan;
	uint64_t last_ns;
	size_t kept = 0;
	int r = host_refresh_orders(host);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the orders: %s", strerror(-r));
	last_ns = last_cut_ns(host);
	for (size_t i = 0; i < run->approvals; i++) {
		if (run->approval[i].at_ns >= last_ns)
			run->approval[kept++] = run->approval[i];
	}
	if (kept < run->approvals)
		plan_tell(host, "plan-approvals-void", RECORD_MEDIUM,
			  "something of it was cut since it was approved: it takes its approvals "
			  "anew");
	run->approvals = kept;
	return 0;
}

static int tell_lacking(const struct host *host, const struct plan_approval *over, char **problem)
{
	const struct plan_stage *stage = plan_stage(host->plan);
	char span[SPAN_TEXT];

	span_format(PLAN_APPROVAL_NS, span, sizeof(span));
	return tell_problem(problem, -EPERM,
			    "stage %s does not begin: the approval by %s is over (one counts for "
			    "%s), and it takes %u; weir plan next approves it anew",
			    stage->name.text, over->by, span, plan_approvals(host, stage));
}

static uint32_t login_of(const struct caller *asker)
{
	return asker && asker->has_login ? asker->login : UINT32_MAX;
}

/* Who would begin the stage with one of them thinks that it counts, and is told; for anybody else
 * they are only gone. */
static int drop_over(struct host *host, char **problem)
{
	struct plan_run *run = host->plan;
	size_t kept = 0, over = 0, needed = plan_approvals(host, plan_stage(run));
	struct plan_approval one;

	for (size_t i = 0; i < run->approvals; i++) {
		if (plan_approval_until(host, &run->approval[i])) {
			run->approval[kept++] = run->approval[i];
		} else if (run->approval[i].login != login_of(host->asker)) {
			one = run->approval[i];
			over++;
		}
	}
	if (kept == run->approvals)
		return 0;
	run->approvals = kept;
	if (!over || kept + 1 >= needed || kept + 1 + over < needed)
		return 0;
	plan_keep(host);
	return tell_lacking(host, &one, problem);
}

int plan_drop_approvals(struct host *host, char **problem)
{
	int r = drop_unseen(host, problem);

	if (r < 0)
		return r;
	plan_tick_approvals(host);
	return drop_over(host, problem);
}

/* ---- one more -------------------------------------------------------------------------------- */

/* Of more than one approval, each is a login of its own: who became another user since stays
 * whoever logged in. */
int plan_take_approval(struct host *host, const char *by, char **problem)
{
	struct plan_run *run = host->plan;
	struct plan_approval approval = {.login = login_of(host->asker), .boot_ns = boot_now()};

	approval.at_ns = approval.boot_ns + guard_control(host->guard).wall_offset_ns;
	if (plan_approvals(host, plan_stage(run)) > 1 && approval.login == UINT32_MAX)
		return tell_problem(problem, -EPERM,
				    "stage %s takes %u approvals, each of somebody who logged in: "
				    "this caller did not",
				    plan_stage(run)->name.text,
				    plan_approvals(host, plan_stage(run)));
	for (size_t i = 0; i < run->approvals; i++) {
		if (run->approval[i].login == approval.login)
			return tell_problem(problem, -EPERM,
					    "%s has approved stage %s already: it takes somebody "
					    "else",
					    run->approval[i].by, plan_stage(run)->name.text);
	}
	if (run->approvals == PLAN_MAX_APPROVALS)
		return tell_problem(problem, -EPERM, "stage %s has all approvals that it can have",
				    plan_stage(run)->name.text);
	snprintf(approval.by, sizeof(approval.by), "%s", by);
	run->approval[run->approvals++] = approval;
	return 0;
}
