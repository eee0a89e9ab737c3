/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning.c - what people ask of a plan: start, next, abort.
 */
#include "user/daemon/planning.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/daemon/orders_change.h"
#include "user/policy/target.h"

/* ---- start ---------------------------------------------------------------------------------- */

static int read_plan(struct host *host, const struct sources *sources, struct plan_run *run,
		     char **problem, char **details)
{
	struct faults faults = {0};
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
		*details = faults_text(&faults, sources);
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
	int r = plan_take_approval(host, by, problem);

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
	r = plan_drop_approvals(host, problem);
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
