/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning_tick.c - what becomes of a stage by itself, and after a restart.
 */
#include "user/daemon/planning.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/recovering.h"

/* At least so often; and sooner when an event woke the daemon, but no more often than each walk
 * over all meters can be afforded. */
static const uint64_t look_every_ns = NS_PER_SECOND, look_apart_ns = NS_PER_SECOND / 10;

/* ---- what happens by itself ------------------------------------------------------------------ */

static int end_stage(struct host *host, char **problem)
{
	const struct journal_order line = plan_line(host, "plan-passed", "its watch time is over");
	int r = journaling_before(host, &line, problem);

	return r < 0 ? r : plan_end_probations(host, problem);
}

/* Told once; the next look tries again. */
static void tell_stuck(struct host *host, const char *problem)
{
	if (!host->plan->is_stuck)
		plan_tell(host, "plan-stuck", RECORD_HIGH, problem);
	host->plan->is_stuck = true;
	host->plan->has_looked = false;
}

/* The watch is over, and nothing was refused. */
static void pass_stage(struct host *host)
{
	struct plan_run *run = host->plan;
	_cleanup_free_ char *problem = NULL;

	if (plan_locked(host, end_stage, &problem) < 0) {
		tell_stuck(host, problem ? problem : "its end failed");
		return;
	}
	run->is_stuck = false;
	plan_tell(host, "plan-passed", RECORD_MEDIUM, "passed");
	run->approvals = 0;
	run->evidence[0] = '\0';
	if (run->stage + 1 == run->plan.count) {
		plan_tell(host, "plan-end", RECORD_MEDIUM, "the last one passed: the plan is done");
		plan_forget(host);
		return;
	}
	run->stage++;
	plan_set_phase(host, PLAN_WAITS);
	plan_keep(host);
}

/* Fewer than before: the guard was loaded anew, and counted from nothing. */
static bool has_risen(uint64_t was, uint64_t is)
{
	return is < was ? is > 0 : is > was;
}

/* NULL: nothing. Otherwise what, in a few words; malloc'd. */
static char *breach_of(const struct plan_run *run, const struct plan_look *look)
{
	const struct plan_sum *was = &run->base, *is = &look->sum;
	char *text = NULL;
	const char *what = is->severed > was->severed			    ? "severed"
			   : has_risen(was->refused, is->refused)	    ? "refused"
			   : has_risen(was->would_refuse, is->would_refuse) ? "over, in observe"
			   : is->alerted > was->alerted			    ? "over its budget"
									    : NULL;

	if (!what || asprintf(&text, "%s: %s", what, look->account ? look->account : "?") < 0)
		return NULL;
	return text;
}

static void breach(struct host *host, const char *why, const struct plan_look *look)
{
	_cleanup_free_ char *problem = NULL;
	int r;

	if (plan_stage(host->plan)->on_breach == PLAN_TELL) {
		struct journal_order line = plan_line(host, "plan-breach", why);

		plan_take_base(host, &look->sum);
		journaling_after(host, &line, 1);
		plan_tell(host, "plan-breach", RECORD_HIGH, why);
		plan_keep(host);
		return;
	}
	r = plan_close_stage(host, "plan-breach", why, "guard", &problem);
	if (r < 0 && r != DONE_IN_PART)
		tell_stuck(host, problem ? problem : "the stage could not be cut again");
	else
		host->plan->is_stuck = false;
}

/* When no packet met a meter since the last look, nothing was refused. */
static bool is_quiet(struct host *host)
{
	struct plan_run *run = host->plan;
	uint32_t charges;

	if (guard_charges(host->guard, &charges) < 0)
		return false;
	if (run->has_looked && charges == run->charges)
		return true;
	run->charges = charges;
	run->has_looked = true;
	return false;
}

/* False: there was a breach. */
static bool look_at_stage(struct host *host)
{
	_cleanup_free_ char *account = NULL, *why = NULL;
	struct plan_look look;

	bool is_same = strcmp(host->plan->digest, host->digest) == 0;

	if (is_same && is_quiet(host))
		return true;
	if (plan_look(host, host->plan, &look) < 0) {
		host->plan->has_looked = false;
		return false; /* nobody can say that there was none: the watch goes on */
	}
	account = look.account;
	if (!is_same) { /* the targets mean other accounts */
		look.sum.severed = host->plan->base.severed;
		look.sum.alerted = host->plan->base.alerted;
		plan_take_base(host, &look.sum);
		plan_keep(host);
		host->plan->has_looked = false;
		return true;
	}
	why = breach_of(host->plan, &look);
	if (why)
		breach(host, why, &look);
	return !why;
}

void host_plan_look(struct host *host)
{
	const struct caller *asker = host->asker;
	uint64_t line = host->journaling.line;

	if (!host->plan || (host->plan->phase != PLAN_HELD && host->plan->phase != PLAN_WATCHED))
		return;
	host->asker = NULL; /* it is the guard that cuts */
	look_at_stage(host);
	host->asker = asker;
	host->journaling.line = line;
}

/* A crash left it between closed and open. */
static void close_interrupted(struct host *host)
{
	_cleanup_free_ char *problem = NULL;
	int r = plan_close_stage(host, "plan-cut-again", "interrupted while it was let back",
				 "guard", &problem);

	if (r < 0 && r != DONE_IN_PART)
		tell_stuck(host, problem ? problem : "the stage could not be cut again");
	else
		host->plan->is_stuck = false;
}

/* Each second. What is cut within its watch lets nothing pass that could be watched: the watch
 * begins anew once nothing holds it any more. */
static void follow_cuts(struct host *host)
{
	struct plan_run *run = host->plan;
	enum plan_phase before = run->phase;
	const char *target;
	uint64_t cut;

	if (before == PLAN_WATCHED && !plan_is_held(host, run, &cut, &target))
		return;
	plan_watch_stage(host);
	if (run->phase == before)
		return;
	plan_keep(host);
	if (run->phase == PLAN_HELD)
		plan_tell(host, "plan-held", RECORD_MEDIUM, "it was cut meanwhile, and waits");
}

/* Of what the policy in force does not have nobody knows how it would have done. */
static bool may_pass(struct host *host)
{
	const struct plan_run *run = host->plan;
	_cleanup_free_ char *problem = NULL;

	if (run->phase != PLAN_WATCHED || boot_now() < run->until_ns || !run->has_looked ||
	    guard_control(host->guard).hours_closed)
		return false;
	if (plan_check_targets(host, &problem) == 0)
		return true;
	tell_stuck(host, problem ? problem : "a target is gone");
	return false;
}

uint64_t host_plan_tick(struct host *host)
{
	struct plan_run *run = host->plan;

	if (!run)
		return 0;
	if (run->is_unsaved)
		plan_keep(host);
	if (run->phase == PLAN_WAITS) {
		uint64_t next_ns = plan_tick_approvals(host);

		return run->is_unsaved ? boot_now() + look_every_ns : next_ns;
	}
	if (boot_now() < run->look_at_ns)
		return run->look_at_ns;
	run->look_at_ns = boot_now() + look_apart_ns;
	if (run->phase == PLAN_OPENS) {
		close_interrupted(host);
	} else if (look_at_stage(host) && host_refresh_orders(host) == 0) {
		follow_cuts(host);
		if (may_pass(host))
			pass_stage(host);
	}
	return host->plan && host->plan->phase != PLAN_WAITS ? boot_now() + look_every_ns : 0;
}

/* ---- after a restart ------------------------------------------------------------------------- */

/* Of the time that passed between two boots there is only the word of a clock. */
static void watch_anew(struct host *host)
{
	plan_watch_stage(host);
	plan_keep(host);
	if (host->plan->phase == PLAN_WATCHED)
		plan_tell(host, "plan-watched-anew", RECORD_MEDIUM,
			  "another boot began its watch: it begins anew");
}

void host_plan_load(struct host *host)
{
	_cleanup_free_ char *problem = NULL;
	int r = plan_load(host, &host->plan);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		state_damaged(host, PLAN_FILE,
			      "no plan is under way: what it let back is open, what it did not is "
			      "cut, and its probations stay");
		return;
	}
	if (host->plan->phase == PLAN_OPENS)
		close_interrupted(host);
	else if (host->has_taken_over && host->plan->phase != PLAN_WAITS)
		plan_read_base(host, &problem);
	if (host->plan->phase == PLAN_WATCHED && !is_this_boot(host->plan->boot))
		watch_anew(host);
}
