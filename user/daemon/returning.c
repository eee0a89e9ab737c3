/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * returning.c - a policy that is on trial, or in force for a while, stays or goes back; and the way
 * back to one that was applied before.
 */
#include "user/daemon/returning.h"

#include <stdio.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/applying.h"
#include "user/daemon/default_policy.h"
#include "user/daemon/interim.h"
#include "user/daemon/namespaces.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/outliving.h"
#include "user/daemon/outliving_held.h"
#include "user/daemon/planning.h"
#include "user/daemon/policy_order.h"
#include "user/daemon/recovering.h"
#include "user/daemon/store.h"

static const uint64_t return_again_after_ns = 10 * NS_PER_SECOND;

/* ---- trial, and back ------------------------------------------------------------------------ */

int host_confirm(struct host *host, const char *by, struct json_out *reply, char **problem)
{
	const struct policy_order order = {.kind = "confirm", .image = &host->image};
	int r;

	if (!host->trial_until_ns)
		return tell_problem(problem, -ENOENT,
				    "no policy is on trial, or in force for a while");
	if (boot_now() >= host->trial_until_ns)
		return tell_problem(problem, -ETIME, "%s: the policy goes back",
				    host->interim_until_ns ? "its time is over"
							   : "the trial is over");
	r = policy_order_ask_to_stay(host, &order, problem);
	if (r == 0)
		r = policy_order_journal(host, &order, problem);
	if (r < 0)
		return r;
	r = applying_promote(host, TRIAL_FILE);
	if (r < 0 && applying_has_file(host, TRIAL_FILE))
		return tell_problem(problem, r, "cannot save the policy, so it stays on trial: %s",
				    strerror(-r));
	/* It is the applied one by now: a trial that went on would end with a return to itself. */
	interim_clear(host);
	applying_tell(host, "confirm", by);
	applying_put_summary(reply, &host->image);
	if (r < 0)
		return tell_problem(problem, DONE_IN_PART,
				    "the policy is confirmed, but not all of that is saved: %s",
				    strerror(-r));
	return 0;
}

static int journal_return(struct host *host, const char *kind, const struct image *image,
			  const struct sources *sources, char **problem)
{
	const struct policy_order order = {.kind = kind, .image = image, .sources = sources};
	int r = plan_allows(host, image, problem);

	if (r == 0)
		r = policy_order_ask(host, &order, problem);
	return r < 0 ? r : policy_order_journal(host, &order, problem);
}

/* ---- to the older policy -------------------------------------------------------------------- */

/* Where the guard goes back to. */
struct older {
	bool is_default;
	struct applied applied;
	struct image image;
};

static void older_free(struct older *older)
{
	image_free(&older->image);
	applied_free(&older->applied);
}

#define _cleanup_older_ __attribute__((cleanup(older_free)))

/* From the state directory; `file` NULL: the built-in default. */
static int load_older(struct host *host, const char *file, struct older *older, char **problem)
{
	_cleanup_free_ char *path = file ? host_path(host, file) : NULL;
	struct faults faults = {0};
	int r;

	older->is_default = !file;
	if (file) {
		r = path ? applied_load(path, &older->applied) : -ENOMEM;
		if (r == 0)
			r = policy_to_image(&older->applied.sources, host_wall(host), &older->image,
					    &faults);
	} else {
		r = default_image(host, host_wall(host), &older->image);
	}
	faults_free(&faults);
	return r < 0 ? tell_problem(problem, r, "cannot read the policy to go back to: %s",
				    strerror(-r))
		     : 0;
}

static int switch_to(struct host *host, struct older *older, const struct order_table *cuts,
		     char **problem)
{
	return applying_switch(host, &older->image, older->is_default ? NULL : &older->applied,
			       cuts, problem);
}

/* `kind` of order: NULL for none, which needs no line. */
static int return_to(struct host *host, const char *file, const char *kind, char **problem)
{
	_cleanup_order_table_ struct order_table cuts = {0};
	_cleanup_older_ struct older older = {0};
	int r = load_older(host, file, &older, problem);

	if (r == 0)
		r = host_compile_orders(host, &older.image, &host->orders, &cuts, NULL, problem);
	if (r == 0 && kind)
		r = journal_return(host, kind, &older.image,
				   older.is_default ? NULL : &older.applied.sources, problem);
	return r < 0 ? r : switch_to(host, &older, &cuts, problem);
}

/* Under the older policy more may be cut than was: of that connections may be open. */
static void end_sockets(struct host *host)
{
	struct weir_sever_request sockets = {.mode = WEIR_SEVER_CUT, .cut_slot = WEIR_ANY};
	_cleanup_free_ char *problem = NULL;
	struct sever_result result = {0};
	int r = guard_sever(host->guard, &sockets, false, NULL, NULL, &result, &problem);

	namespaces_note(host, &result.reach);
	host->has_unended_sockets = r < 0 && !result.reach.closed;
	if (r < 0)
		host_tell(host, "sever-failed", RECORD_HIGH, NULL, 0,
			  "the cuts hold, but sockets could not be ended: %s",
			  problem ? problem : strerror(-r));
}

/*
 * With more cuts than there were. Their texts come first, in the kernel and on disk: whoever takes
 * the guard over after a crash finds them, and under the policy that is left they only tighten. A
 * full disk does not hold up the way back.
 */
static int switch_with(struct host *host, struct older *older, struct orders *orders,
		       const struct order_table *cuts, char **problem)
{
	uint64_t first = host->orders.next;
	int r = guard_set_orders(host->guard, orders->item, orders->count), saved;

	if (r < 0)
		return tell_problem(problem, r, "the kernel refused the cuts: %s", strerror(-r));
	saved = orders_save_set(host, orders);
	r = switch_to(host, older, cuts, problem);
	if (r < 0) {
		guard_set_orders(host->guard, host->orders.item, host->orders.count);
		return r;
	}
	orders_hold(host, orders);
	host->has_unsaved_orders = saved < 0;
	cuts_tell_outliving(host, first);
	end_sockets(host);
	return 0;
}

static int outlive(const struct host *host, const struct image *older, struct orders *orders,
		   char **problem)
{
	uint64_t wall_ns = host_wall(host);
	int r = held_outlives(host, &host->image, older, wall_ns, orders, problem);

	return r < 0 ? r : cuts_outlive(&host->image, older, wall_ns, orders, problem);
}

/* Nobody asks: what is cut or held under the policy that is left stays cut, whatever the older one
 * calls it. */
static int return_by_itself(struct host *host, const char *file, char **problem)
{
	_cleanup_order_table_ struct order_table cuts = {0};
	_cleanup_orders_ struct orders orders = {0};
	_cleanup_older_ struct older older = {0};
	size_t lost;
	int r = load_older(host, file, &older, problem);

	if (r == 0)
		r = orders_begin(host, &orders, problem);
	if (r == 0 && !host->is_foreign)
		r = outlive(host, &older.image, &orders, problem);
	if (r == 0)
		r = host_compile_orders(host, &older.image, &orders, &cuts,
					host->is_foreign ? NULL : &lost, problem);
	if (r < 0)
		return r;
	return orders.next == host->orders.next
		       ? switch_to(host, &older, &cuts, problem)
		       : switch_with(host, &older, &orders, &cuts, problem);
}

/* The applied and the previous policy change places, so that a second rollback goes forward. */
static int swap_with_previous(struct host *host)
{
	if (renameat2(host->state_dir, APPLIED_FILE, host->state_dir, PREVIOUS_FILE,
		      RENAME_EXCHANGE) < 0)
		return -errno;
	return fsync(host->state_dir) < 0 ? -errno : applied_note(host);
}

/* A policy that was applied once, with its texts as they were then. */
static int return_to_kept(struct host *host, const char *by, const char *digest, char **problem)
{
	struct apply_request request = {.by = by, .is_rollback = true};
	_cleanup_order_table_ struct order_table cuts = {0};
	struct image image = {0};
	struct faults faults = {0};
	int r = store_load(host, digest, &request.applied, problem);

	if (r < 0)
		return r;
	free(TAKE_PTR(request.applied.name)); /* describe() sets them */
	free(TAKE_PTR(request.applied.by));
	r = policy_to_image(&request.applied.sources, host_wall(host), &image, &faults);
	if (r < 0)
		tell_problem(problem, r, "policy %s cannot be applied any more: %s", digest,
			     faults.errors ? faults.item[0].text : strerror(-r));
	if (r == 0)
		r = host_compile_orders(host, &image, &host->orders, &cuts, NULL, problem);
	if (r == 0)
		r = plan_allows(host, &image, problem);
	if (r == 0)
		r = applying_put_into_force(host, &request, &image, &cuts, problem);
	faults_free(&faults);
	image_free(&image);
	applied_free(&request.applied);
	return r;
}

/* The order that put a policy on trial said when it goes back: that waits for no disk. */
static void journal_end_of_trial(struct host *host, bool is_interim)
{
	const struct journal_order order = {.kind = is_interim ? "interim-over" : "trial-over",
					    .since_ns = host_wall(host),
					    .policy_name = host->image.name,
					    .policy_digest = host->digest};

	journaling_after(host, &order, 1);
}

/* One that went back by itself, without the orders on disk: its file stays, since what is cut in
 * place of its names comes from there if the power fails now. */
static int forget_trial(struct host *host, const char *kind)
{
	if (kind || !host->has_unsaved_orders)
		return applying_forget_trial(host);
	interim_clear(host);
	return 0;
}

void host_forget_ended(struct host *host)
{
	if (!host->trial_until_ns)
		applying_forget_trial(host);
}

/* `kind`: as for return_to(). */
static int end_trial(struct host *host, const char *kind, char **problem)
{
	const char *file = applying_has_file(host, APPLIED_FILE) ? APPLIED_FILE : NULL;
	bool is_interim = host->interim_until_ns;
	int r;

	if (!file)
		default_keep_lifeline(host);
	r = kind ? return_to(host, file, kind, problem) : return_by_itself(host, file, problem);
	if (r < 0)
		return r;
	r = forget_trial(host, kind);
	if (!kind)
		journal_end_of_trial(host, is_interim);
	if (r < 0 && kind) /* its time is not over: the next daemon would go on with it */
		return tell_problem(problem, DONE_IN_PART,
				    "the policy is in force, but not saved: %s", strerror(-r));
	return 0;
}

static int rollback_locked(struct host *host, const char *by, const char *digest, char **problem)
{
	const char *kind = host->asker ? "rollback" : NULL; /* nobody asks: the trial is over */
	int r = host_refresh_orders(host);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the orders: %s", strerror(-r));
	if (digest)
		return return_to_kept(host, by, digest, problem);
	if (host->trial_until_ns)
		return end_trial(host, kind, problem);
	if (!applying_has_file(host, PREVIOUS_FILE))
		return tell_problem(problem, -ENOENT, "there is no policy before this one");
	r = return_to(host, PREVIOUS_FILE, kind, problem);
	if (r < 0)
		return r;
	r = swap_with_previous(host);
	if (r < 0)
		return tell_problem(problem, DONE_IN_PART,
				    "the policy is in force, but not saved: %s", strerror(-r));
	return 0;
}

int host_rollback(struct host *host, const char *by, const char *digest, struct json_out *reply,
		  char **problem)
{
	int r;

	host_plan_look(host);
	r = guard_lock_told(host->guard, problem);
	if (r < 0)
		return r;
	r = rollback_locked(host, by, digest, problem);
	guard_unlock(host->guard);
	host_plan_look(host);
	if (r < 0 && r != DONE_IN_PART)
		return r;
	applying_tell(host, "rollback", by);
	applying_put_summary(reply, &host->image);
	return r;
}

void host_return(struct host *host)
{
	_cleanup_free_ char *problem = NULL, *text = NULL;
	size_t length;
	struct json_out reply = {.out = open_memstream(&text, &length)};

	if (!reply.out)
		return;
	if (host_rollback(host, "guard", NULL, &reply, &problem) < 0) {
		host_tell(host, "rollback-failed", RECORD_HIGH, NULL, 0, "%s",
			  problem ? problem : "the policy on trial could not be taken back");
		host->return_again_ns = boot_now() + return_again_after_ns;
	}
	fclose(reply.out);
}

uint64_t host_return_due(const struct host *host)
{
	uint64_t until = host->trial_until_ns;

	return until && until < host->return_again_ns ? host->return_again_ns : until;
}

int host_renew(struct host *host, char **problem)
{
	const char *file = host->trial_until_ns ? TRIAL_FILE
			   : host->applied_ns	? APPLIED_FILE
						: NULL;
	int r = guard_lock_told(host->guard, problem);

	if (r < 0)
		return r;
	r = host_refresh_orders(host);
	if (r == 0)
		r = return_to(host, file, NULL, problem);
	guard_unlock(host->guard);
	return r;
}
