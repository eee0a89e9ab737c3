/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning.c - what people ask of a plan: start, next, abort.
 */
#include "user/daemon/planning.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/daemon/caller.h"
#include "user/daemon/cover.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/orders_tell.h"
#include "user/policy/target.h"

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
	line = plan_line(host, "plan-start", host->plan->plan.reason.text);
	line.stage = NULL;
	return journaling_before(host, &line, problem);
}

void plan_forget(struct host *host)
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
	r = plan_locked(host, begin, problem);
	if (r < 0) {
		plan_forget(host);
		return r;
	}
	plan_tell(host, "plan-start", RECORD_MEDIUM, run->plan.reason.text);
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
int plan_check_targets(const struct host *host, char **problem)
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
		plan_tell(host, "plan-approvals-void", RECORD_MEDIUM,
			  "something of it was cut since it was approved: it takes its approvals "
			  "anew");
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
	const struct journal_order line = plan_line(host, "plan-approve", NULL);

	return journaling_before(host, &line, problem);
}

/* One more approval: the stage waits for another, or begins. */
static int approve(struct host *host, const char *by, struct json_out *reply, char **problem)
{
	struct plan_run *run = host->plan;
	int r = take_approval(host, by, problem);

	if (r < 0)
		return r;
	if (run->approvals >= plan_approvals(host, plan_stage(run)))
		return plan_open_stage(host, by, reply, problem);
	r = plan_locked(host, journal_approval, problem);
	return r < 0 ? r : plan_keep(host);
}

/* Who was refused has approved nothing, and named no evidence; nor does the disk say so. */
static void take_back(struct host *host, size_t approvals, const char *evidence)
{
	struct plan_run *run = host->plan;

	run->approvals = approvals;
	snprintf(run->evidence, sizeof(run->evidence), "%s", evidence);
	plan_keep(host);
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
		r = plan_check_targets(host, problem);
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
		r = plan_close_stage(host, "plan-cut-again", request->reason, request->by, problem);
	if (r < 0 && r != DONE_IN_PART)
		return r;
	line = plan_line(host, "plan-abort", request->reason);
	journaling_after(host, &line, 1);
	plan_tell(host, "plan-abort", RECORD_HIGH, request->reason);
	json_put_bool(reply, "aborted", true);
	plan_put(host, run, reply);
	plan_forget(host);
	return r;
}
