/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning.c - a plan from its start to its end: what people ask for, and the steps of a stage.
 */
#include "user/daemon/planning.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/base/units.h"
#include "user/daemon/caller.h"
#include "user/daemon/cover.h"
#include "user/daemon/cutting.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/orders_tell.h"
#include "user/daemon/overriding.h"
#include "user/daemon/recovering.h"
#include "user/policy/target.h"

enum { REASON_TEXT = sizeof(((struct weir_order *)0)->reason) };

static const uint64_t look_every_ns = NS_PER_SECOND;

/* ---- what is told --------------------------------------------------------------------------- */

/* The line of a step; it points into the plan. */
static struct journal_order line_of(const struct host *host, const char *kind, const char *reason)
{
	const struct plan_run *run = host->plan;

	return (struct journal_order){.kind = kind,
				      .reason = reason,
				      .since_ns = host_wall(host),
				      .until_ns = run->phase == PLAN_WATCHED ? run->until_ns : 0,
				      .plan = run->plan.name.text,
				      .stage = plan_stage(run)->name.text,
				      .evidence = run->evidence[0] ? run->evidence : NULL};
}

static void tell(struct host *host, const char *kind, enum record_severity severity,
		 const char *text)
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
static int keep(struct host *host)
{
	int r = plan_save(host);

	if (host->plan)
		host->plan->is_unsaved = r < 0;
	return r;
}

static void set_phase(struct host *host, enum plan_phase phase)
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
		struct journal_order line = line_of(host, "probation", order->reason);
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
static int end_probations(struct host *host, char **problem)
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

static int locked(struct host *host, int (*step)(struct host *host, char **problem), char **problem)
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

/*
 * Cuts the stage again; then it waits. 0; DONE_IN_PART of the cut; -errno: it is not cut, and what
 * it was goes on.
 */
static int close_stage(struct host *host, const char *kind, const char *why, const char *by,
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
	set_phase(host, PLAN_WAITS);
	keep(host);
	line = line_of(host, kind, why);
	journaling_after(host, &line, 1);
	tell(host, kind, RECORD_HIGH, why);
	/* behind the cut they do nothing; one that stays is taken out with the next try */
	locked(host, end_probations, &other);
	return r;
}

/* ---- start ---------------------------------------------------------------------------------- */

static int read_plan(struct host *host, const struct sources *sources, struct plan_run *run,
		     char **problem, char **details)
{
	struct faults faults = {0};
	size_t length;
	FILE *out;
	int r;

	if (sources->count != 1)
		return tell_problem(problem, -EINVAL, "a plan is one file");
	if (strlen(sources->item[0].text) > PLAN_MAX_BYTES ||
	    strlen(sources->item[0].name) >= PLAN_FILE_NAME)
		return tell_problem(problem, -EFBIG,
				    "a plan has at most %d bytes, and the name of its file %d",
				    PLAN_MAX_BYTES, PLAN_FILE_NAME - 1);
	r = plan_read(sources, &run->plan, &faults);
	if (r == 0)
		r = plan_check(&run->plan, &host->image, &faults);
	if (r == -EBADMSG) {
		out = open_memstream(details, &length);
		if (out)
			faults_print(&faults, sources, out);
		if (!out || fclose(out) != 0)
			*details = NULL;
		tell_problem(problem, r, "%zu fault%s in the plan", faults.errors,
			     faults.errors == 1 ? "" : "s");
	}
	faults_free(&faults);
	return r;
}

static int new_run(struct host *host, const struct plan_request *request, struct plan_run **ret,
		   char **problem, char **details)
{
	struct plan_run *run = calloc(1, sizeof(*run));
	int r = run ? read_plan(host, request->sources, run, problem, details) : -ENOMEM;

	if (r == 0) {
		run->text = strdup(request->sources->item[0].text);
		run->file = strdup(request->sources->item[0].name);
		run->started_ns = run->since_ns = host_wall(host);
		snprintf(run->by, sizeof(run->by), "%s", request->by);
		r = run->text && run->file ? 0 : -ENOMEM;
	}
	if (r == 0)
		*ret = run;
	else
		plan_run_free(run);
	return r;
}

static int begin(struct host *host, char **problem)
{
	struct journal_order line;
	int r = plan_save(host);

	if (r < 0)
		return tell_problem(problem, r, "cannot save the plan, so it is not started: %s",
				    strerror(-r));
	line = line_of(host, "plan-start", host->plan->plan.reason.text);
	line.stage = NULL;
	return journaling_before(host, &line, problem);
}

static void forget(struct host *host)
{
	plan_run_free(TAKE_PTR(host->plan));
	plan_save(host);
}

int host_plan_start(struct host *host, const struct plan_request *request, struct json_out *reply,
		    char **problem, char **details)
{
	struct plan_run *run = NULL;
	int r;

	if (host->is_foreign)
		return tell_problem(problem, -EINVAL, "the names of the policy are not known");
	if (host->plan && !request->is_dry_run)
		return tell_problem(problem, -EEXIST,
				    "plan %s is under way: weir plan status, weir plan abort",
				    host->plan->plan.name.text);
	r = new_run(host, request, &run, problem, details);
	if (r < 0)
		return r;
	json_put_bool(reply, "dry_run", request->is_dry_run);
	if (request->is_dry_run) {
		plan_put(host, run, reply);
		plan_run_free(run);
		return 0;
	}
	host->plan = run;
	r = locked(host, begin, problem);
	if (r < 0) {
		forget(host);
		return r;
	}
	tell(host, "plan-start", RECORD_MEDIUM, run->plan.reason.text);
	plan_put(host, run, reply);
	return 0;
}

/* ---- next ----------------------------------------------------------------------------------- */

static int wants_other_phase(const struct plan_run *run, char **problem)
{
	const char *name = plan_stage(run)->name.text;

	switch (run->phase) {
	case PLAN_WATCHED:
		return tell_problem(problem, -EBUSY,
				    "stage %s is watched: weir plan status tells until when", name);
	case PLAN_HELD:
		return tell_problem(problem, -EBUSY,
				    "stage %s waits for what other cuts hold: weir plan status",
				    name);
	case PLAN_OPENS:
		return tell_problem(problem, -EBUSY,
				    "stage %s was interrupted while it was let back, and has to be "
				    "cut again first: weir plan abort",
				    name);
	default:
		return 0;
	}
}

/* Another policy may have come since the plan was started. */
static int check_targets(const struct host *host, char **problem)
{
	const struct names *targets = &plan_stage(host->plan)->targets;
	struct weir_cut_entry entry;
	int r = 0;

	for (size_t i = 0; i < targets->count && r == 0; i++)
		r = host_resolve(host, targets->item[i].text, &entry, problem);
	return r;
}

static int take_evidence(struct plan_run *run, const char *evidence, char **problem)
{
	if (evidence &&
	    (!evidence[0] || strlen(evidence) >= sizeof(run->evidence) || !text_is_plain(evidence)))
		return tell_problem(problem, -EINVAL,
				    "evidence is a reference of 1 to %zu bytes without control "
				    "characters",
				    sizeof(run->evidence) - 1);
	if (!evidence && !run->evidence[0] && plan_stage(run)->needs_evidence)
		return tell_problem(problem, -EINVAL,
				    "stage %s takes a reference to its evidence: weir plan next "
				    "--evidence REF",
				    plan_stage(run)->name.text);
	if (evidence)
		snprintf(run->evidence, sizeof(run->evidence), "%s", evidence);
	return 0;
}

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
static int drop_approvals(struct host *host, char **problem)
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
		tell(host, "plan-approvals-void", RECORD_MEDIUM,
		     "something of it was cut since it was approved: it takes its approvals anew");
	run->approvals = kept;
	return 0;
}

/* Of more than one approval, each is a login of its own: who became another user since stays
 * whoever logged in. */
static int take_approval(struct host *host, const char *by, char **problem)
{
	struct plan_run *run = host->plan;
	const struct caller *asker = host->asker;
	struct plan_approval approval = {.login = UINT32_MAX, .at_ns = host_wall(host)};

	if (asker && asker->has_login)
		approval.login = asker->login;
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

/* It waits for more people. */
static int journal_approval(struct host *host, char **problem)
{
	const struct journal_order line = line_of(host, "plan-approve", NULL);

	return journaling_before(host, &line, problem);
}

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
static void watch_stage(struct host *host)
{
	struct plan_run *run = host->plan;
	const char *target;
	uint64_t cut;

	if (plan_is_held(host, run, &cut, &target)) {
		if (run->phase != PLAN_HELD)
			set_phase(host, PLAN_HELD);
		return;
	}
	set_phase(host, PLAN_WATCHED);
	run->until_ns = run->since_ns + plan_stage(run)->watch_ns;
}

static void take_base(struct host *host, const struct plan_sum *sum)
{
	host->plan->base = *sum;
	snprintf(host->plan->digest, sizeof(host->plan->digest), "%s", host->digest);
}

/* What is latched is opened with the stage, and nothing may be over. */
static int read_base(struct host *host, char **problem)
{
	struct plan_look look;
	int r = plan_look(host, host->plan, &look);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the meters: %s", strerror(-r));
	free(look.account);
	take_base(host, &look.sum);
	host->plan->base.severed = host->plan->base.alerted = 0;
	host->plan->has_looked = false;
	return 0;
}

/* Closed: nothing of it was let back. The caller keeps it, as it was before. */
static int give_up(struct host *host, int error)
{
	_cleanup_free_ char *other = NULL;

	locked(host, end_probations, &other);
	set_phase(host, PLAN_WAITS);
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

static int open_stage(struct host *host, const char *by, struct json_out *reply, char **problem)
{
	struct plan_run *run = host->plan;
	struct journal_order line;
	int r, in_part;

	set_phase(host, PLAN_OPENS);
	r = keep(host);
	if (r < 0)
		return give_up(host,
			       tell_problem(problem, r,
					    "cannot save the plan, so nothing is let back: %s",
					    strerror(-r)));
	r = guard_lock_told(host->guard, problem);
	if (r == 0) {
		r = end_probations(host, problem); /* of an earlier try */
		if (r == 0)
			r = begin_probations(host, by, problem);
		guard_unlock(host->guard);
	}
	if (r == 0)
		r = check_spare(host, problem);
	if (r == 0)
		r = read_base(host, problem);
	if (r < 0) /* probations that are not on the disk are none: nothing was done in part */
		return give_up(host, r == DONE_IN_PART ? -EIO : r);
	in_part = reopen_stage(host, by, reply, problem);
	if (in_part < 0 && in_part != DONE_IN_PART)
		return give_up(host, in_part);
	run->why[0] = '\0';
	watch_stage(host);
	line = line_of(host, "plan-next", run->plan.reason.text);
	journaling_after(host, &line, 1);
	tell(host, "plan-next", RECORD_MEDIUM, "begins");
	r = keep(host);
	if (r < 0 && in_part == 0)
		in_part = tell_problem(problem, DONE_IN_PART,
				       "the stage is open, but the plan could not be saved: %s",
				       strerror(-r));
	return in_part;
}

/* One more approval: the stage waits for another, or begins. */
static int approve(struct host *host, const char *by, struct json_out *reply, char **problem)
{
	struct plan_run *run = host->plan;
	int r = take_approval(host, by, problem);

	if (r < 0)
		return r;
	if (run->approvals >= plan_approvals(host, plan_stage(run)))
		return open_stage(host, by, reply, problem);
	r = locked(host, journal_approval, problem);
	return r < 0 ? r : keep(host);
}

/* Who was refused has approved nothing, and named no evidence; nor does the disk say so. */
static void take_back(struct host *host, size_t approvals, const char *evidence)
{
	struct plan_run *run = host->plan;

	run->approvals = approvals;
	snprintf(run->evidence, sizeof(run->evidence), "%s", evidence);
	keep(host);
}

int host_plan_next(struct host *host, const struct plan_request *request, struct json_out *reply,
		   char **problem)
{
	struct plan_run *run = host->plan;
	char evidence[sizeof(run->evidence)];
	size_t approvals;
	int r;

	if (!run)
		return tell_problem(problem, -ENOENT, "no plan is under way: weir plan start FILE");
	r = wants_other_phase(run, problem);
	if (r == 0)
		r = check_targets(host, problem);
	if (r == 0)
		r = plan_has_room(host, run, problem);
	if (r < 0)
		return r;
	r = drop_approvals(host, problem);
	if (r < 0)
		return r;
	approvals = run->approvals;
	memcpy(evidence, run->evidence, sizeof(evidence));
	r = take_evidence(run, request->evidence, problem);
	if (r == 0)
		r = approve(host, request->by, reply, problem);
	if (r < 0 && r != DONE_IN_PART)
		take_back(host, approvals, evidence);
	if (host->plan)
		plan_put(host, run, reply);
	return r;
}

/* ---- abort ---------------------------------------------------------------------------------- */

int host_plan_abort(struct host *host, const struct plan_request *request, struct json_out *reply,
		    char **problem)
{
	struct plan_run *run = host->plan;
	struct journal_order line;
	int r = 0;

	if (!run)
		return tell_problem(problem, -ENOENT, "no plan is under way");
	if (run->phase != PLAN_WAITS)
		r = close_stage(host, "plan-cut-again", request->reason, request->by, problem);
	if (r < 0 && r != DONE_IN_PART)
		return r;
	line = line_of(host, "plan-abort", request->reason);
	journaling_after(host, &line, 1);
	tell(host, "plan-abort", RECORD_HIGH, request->reason);
	json_put_bool(reply, "aborted", true);
	plan_put(host, run, reply);
	forget(host);
	return r;
}

/* ---- what happens by itself ------------------------------------------------------------------ */

static int end_stage(struct host *host, char **problem)
{
	const struct journal_order line = line_of(host, "plan-passed", "its watch time is over");
	int r = journaling_before(host, &line, problem);

	return r < 0 ? r : end_probations(host, problem);
}

/* Told once; the next look tries again. */
static void tell_stuck(struct host *host, const char *problem)
{
	if (!host->plan->is_stuck)
		tell(host, "plan-stuck", RECORD_HIGH, problem);
	host->plan->is_stuck = true;
	host->plan->has_looked = false;
}

/* The watch is over, and nothing was refused. */
static void pass_stage(struct host *host)
{
	struct plan_run *run = host->plan;
	_cleanup_free_ char *problem = NULL;

	if (locked(host, end_stage, &problem) < 0) {
		tell_stuck(host, problem ? problem : "its end failed");
		return;
	}
	run->is_stuck = false;
	tell(host, "plan-passed", RECORD_MEDIUM, "passed");
	run->approvals = 0;
	run->evidence[0] = '\0';
	if (run->stage + 1 == run->plan.count) {
		tell(host, "plan-end", RECORD_MEDIUM, "the last one passed: the plan is done");
		forget(host);
		return;
	}
	run->stage++;
	set_phase(host, PLAN_WAITS);
	keep(host);
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
		struct journal_order line = line_of(host, "plan-breach", why);

		take_base(host, &look->sum);
		journaling_after(host, &line, 1);
		tell(host, "plan-breach", RECORD_HIGH, why);
		keep(host);
		return;
	}
	r = close_stage(host, "plan-breach", why, "guard", &problem);
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

	if (is_quiet(host))
		return true;
	if (plan_look(host, host->plan, &look) < 0) {
		host->plan->has_looked = false;
		return false; /* nobody can say that there was none: the watch goes on */
	}
	account = look.account;
	if (strcmp(host->plan->digest, host->digest) != 0) { /* the targets mean other accounts */
		look.sum.severed = host->plan->base.severed;
		look.sum.alerted = host->plan->base.alerted;
		take_base(host, &look.sum);
		keep(host);
		host->plan->has_looked = false;
		return true;
	}
	why = breach_of(host->plan, &look);
	if (why)
		breach(host, why, &look);
	return !why;
}

/* A crash left it between closed and open. */
static void close_interrupted(struct host *host)
{
	_cleanup_free_ char *problem = NULL;
	int r = close_stage(host, "plan-cut-again", "interrupted while it was let back", "guard",
			    &problem);

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
	watch_stage(host);
	if (run->phase == before)
		return;
	keep(host);
	if (run->phase == PLAN_HELD)
		tell(host, "plan-held", RECORD_MEDIUM, "it was cut meanwhile, and waits");
}

/* Of what the policy in force does not have nobody knows how it would have done. */
static bool may_pass(struct host *host)
{
	const struct plan_run *run = host->plan;
	_cleanup_free_ char *problem = NULL;

	if (run->phase != PLAN_WATCHED || host_wall(host) < run->until_ns || !run->has_looked ||
	    guard_control(host->guard).hours_closed)
		return false;
	if (check_targets(host, &problem) == 0)
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
		keep(host);
	if (run->phase == PLAN_WAITS)
		return run->is_unsaved ? boot_now() + look_every_ns : 0;
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
		read_base(host, &problem);
}
