/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * start.c - from nothing to a guard that judges.
 */
#include "user/daemon/start.h"

#include <limits.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/hex.h"
#include "user/daemon/clock.h"
#include "user/daemon/default_policy.h"
#include "user/daemon/ended_trial.h"
#include "user/daemon/interim.h"
#include "user/daemon/metering.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/planning.h"
#include "user/daemon/privileges.h"
#include "user/daemon/recovering.h"
#include "user/daemon/restoring.h"
#include "user/daemon/store.h"

/* ---- which policy --------------------------------------------------------------------------- */

/* The first error in one line, and how many more there are: `weir check` tells them all. */
static int tell_fault(const struct faults *faults, const struct sources *sources, char **problem)
{
	_cleanup_free_ char *text = NULL;
	struct faults first = {.count = 1, .errors = 1};

	for (size_t i = 0; i < faults->count && !first.item; i++) {
		if (faults->item[i].severity == SEVERITY_ERROR)
			first.item = &faults->item[i];
	}
	if (first.item)
		text = faults_text(&first, sources);
	if (!text)
		return tell_problem(problem, -EBADMSG, "the policy has faults");
	text[strcspn(text, "\n")] = '\0';
	if (faults->errors > 1)
		return tell_problem(problem, -EBADMSG, "%s (and %zu more: weir check)", text,
				    faults->errors - 1);
	return tell_problem(problem, -EBADMSG, "%s", text);
}

static int compile(const struct sources *sources, struct image *image, char **problem)
{
	struct faults faults = {0};
	int r = policy_to_image(sources, wall_now(), image, &faults);

	if (r < 0 && faults.errors)
		tell_fault(&faults, sources, problem);
	else if (r < 0)
		tell_problem(problem, r, "cannot compile the policy: %s", strerror(-r));
	faults_free(&faults);
	return r;
}

static int load_file(const char *path, struct applied *applied, char **problem)
{
	struct faults faults = {0};
	char real[PATH_MAX];
	int r = sources_load(path, &applied->sources, &faults);

	if (r < 0 && faults.errors)
		tell_fault(&faults, &applied->sources, problem);
	else if (r < 0)
		tell_problem(problem, r, "cannot read %s: %s", path, strerror(-r));
	faults_free(&faults);
	if (r < 0)
		return r;
	applied->path = strdup(realpath(path, real) ? real : path);
	applied->applied_ns = wall_now();
	return applied->path ? 0 : -ENOMEM;
}

/* A policy that is in force for a while goes on in any case, for what is left. */
static bool goes_on_interim(struct host *host, struct applied *applied)
{
	int r;

	if (interim_load(host, applied) < 0)
		return false;
	if (interim_take(host, applied) < 0) {
		applied_free(applied);
		return false;
	}
	r = interim_save(host, applied); /* its end is one of this boot */
	if (r < 0)
		host_tell(
			host, "unsaved", RECORD_MEDIUM,
			(struct record_field[]){{"error", strerror(-r), 0}}, 1,
			"the end of the policy that is in force for a while could not be saved: %s",
			strerror(-r));
	return true;
}

/* A trial goes on when only its daemon ended: the guard is on, in the same boot, and there is time
 * left. Whatever else a trial left does not count: nobody confirmed it. */
static bool goes_on_trial(struct host *host, struct applied *applied)
{
	_cleanup_free_ char *path = host_path(host, TRIAL_FILE);

	if (goes_on_interim(host, applied))
		return true;
	if (!path || !guard_is_pinned(host->instance) || applied_load(path, applied) < 0)
		return false;
	if (!applied->until_ns && is_this_boot(applied->trial_boot) &&
	    boot_now() < applied->trial_until_ns) {
		host->trial_until_ns = applied->trial_until_ns;
		return true;
	}
	applied_free(applied);
	return false;
}

/* The policy on trial, else the applied one, else FILE (which is applied thereby), else the
 * default: then *is_default. An applied policy that is lost does not become the default, which
 * blocks nothing. */
static int choose_policy(struct host *host, const struct run_options *options,
			 struct applied *applied, bool *is_default, bool *is_new, char **problem)
{
	_cleanup_free_ char *path = host_path(host, "applied.json"), *aside = NULL;
	int r;

	*is_default = *is_new = false;
	if (goes_on_trial(host, applied))
		return 0;
	r = path ? applied_load(path, applied) : -ENOMEM;
	if (r == -ENOMEM)
		return tell_problem(problem, r, "cannot read the policy: out of memory");
	if (r < 0 && (r != -ENOENT || applied_is_missing(host)))
		r = applied_recover(host, applied);
	if (r == 0)
		return 0;
	if (!options->policy_file && r == -ENOENT) {
		*is_default = true;
		return 0;
	}
	if (!options->policy_file)
		return tell_problem(problem, r,
				    "%s is damaged, and which policy was applied is not known any "
				    "more: name one with --policy",
				    path);
	*is_new = true;
	if (r != -ENOENT)
		aside = state_set_aside(host, "applied.json");
	return load_file(options->policy_file, applied, problem);
}

/* A guard that starts waits for no line. */
static void journal_policy(struct host *host, const char *kind, const char *by,
			   const struct image *image)
{
	char digest[DIGEST_TEXT];
	const struct journal_order order = {.kind = kind,
					    .by = by,
					    .since_ns = wall_now(),
					    .policy_name = image->name,
					    .policy_digest = digest};

	hex_format(image->head.digest, 32, digest);
	journaling_after(host, &order, 1);
}

static int save_policy(struct host *host, struct applied *applied, const struct image *image,
		       char **problem)
{
	_cleanup_free_ char *path = host_path(host, "applied.json");
	int r = -ENOMEM;

	applied->name = strdup(image->name);
	applied->by = strdup("weir run --policy");
	if (path && applied->name && applied->by)
		r = store_keep(host, applied);
	if (r == 0)
		r = applied_save(path, applied);
	if (r == 0)
		r = applied_note(host);
	if (r < 0)
		return tell_problem(problem, r, "cannot save the policy: %s", strerror(-r));
	journal_policy(host, "apply", applied->by, image);
	return 0;
}

static void forget_applied(const struct host *host)
{
	unlinkat(host->state_dir, "applied.digest", 0);
	unlinkat(host->state_dir, "applied.json", 0);
}

/* ---- a new guard, or the one that is there -------------------------------------------------- */

static struct guard_options options_of(const struct run_options *options)
{
	return (struct guard_options){.instance = options->instance,
				      .cgroup = options->cgroup,
				      .uplinks = options->uplinks,
				      .uplink_count = options->uplink_count,
				      .any_uplink = options->any_uplink,
				      .waits_for_uplinks = options->waits_for_uplinks,
				      .observe = options->observe};
}

/* A guard that ran before has left its orders, and with them its meters. */
static bool had_life(const struct host *host)
{
	return orders_are_missing(host) ||
	       faccessat(host->state_dir, "orders.json", F_OK, 0) == 0 ||
	       faccessat(host->state_dir, "orders.json.copy", F_OK, 0) == 0;
}

/* A cut that was made while no daemon ran, or with a full disk, is saved now. The orders stand on
 * the disk before a meter does: where there are meters and no orders, these were lost. */
static void save_orders(struct host *host)
{
	int r = orders_to_disk(host);

	host->has_unsaved_orders = r < 0;
	if (r < 0)
		host_tell(host, "unsaved", RECORD_HIGH,
			  (struct record_field[]){{"error", strerror(-r), 0}}, 1,
			  "the orders could not be saved: %s", strerror(-r));
}

static int load_new(struct host *host, const struct run_options *options, struct image *image,
		    struct restoring *restoring, struct ended_trial *ended, char **problem)
{
	struct guard_options guard_options = options_of(options);
	_cleanup_order_table_ struct order_table cuts = {0};
	int r = orders_recover(host, problem);

	if (r < 0)
		return r;
	r = ended_trial_compile(host, image, ended, &cuts, problem);
	if (r < 0)
		return r;
	guard_options.cuts = &cuts;
	guard_options.orders = host->orders.item;
	guard_options.order_count = host->orders.count;
	guard_options.hours_closed = clock_needs_confirmation(host, &host->clock_doubt);
	r = restoring_begin(restoring, host, image, had_life(host), &guard_options, problem);
	if (r < 0)
		return r;
	r = guard_load(&guard_options, image, &host->guard, problem);
	if (r == 0)
		host->orders_active = guard_control(host->guard).active;
	else
		restoring_undo(restoring);
	return r;
}

/* From here on what is charged goes to the disk too. */
static int start_metering(struct host *host, const struct run_options *options,
			  struct restoring *restoring, char **problem)
{
	int r;

	if (restoring->host)
		restoring_tell(restoring);
	r = metering_start(host, restoring->host ? &restoring->assumed : NULL, options->uplinks,
			   options->uplink_count);
	if (r < 0)
		return tell_problem(problem, r, "cannot save the meters: %s", strerror(-r));
	return 0;
}

/* An order that only a newer build knows may tighten; a build that passes it over would loosen. */
static int check_kinds(const struct host *host, char **problem)
{
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];

		if (order->kind > WEIR_ORDER_LAST)
			return tell_problem(problem, -EPROTO,
					    "order %llu (%s) is of a kind that this build does not "
					    "know; the guard stays as it is",
					    (unsigned long long)order->id, order->target);
	}
	return 0;
}

/* The policy anew, which the tables hold already unless somebody touched the state directory: it
 * gives hours for two more years. */
static int apply_anew(struct host *host, struct image *image, struct ended_trial *ended,
		      char **problem)
{
	_cleanup_order_table_ struct order_table cuts = {0};
	int r = host_refresh_orders(host);

	if (r == 0)
		r = check_kinds(host, problem);
	if (r == 0)
		r = ended_trial_compile(host, image, ended, &cuts, problem);
	/* the texts first, as of any cut: who takes over after a crash compiles them */
	if (r == 0 && host->orders.next != ended->first)
		r = guard_set_orders(host->guard, host->orders.item, host->orders.count);
	return r < 0 ? r : guard_apply(host->guard, image, &cuts, problem);
}

static int open_pinned(struct host *host, const struct guard_options *options, char **problem)
{
	int r = guard_open(host->instance, &host->guard, problem);

	if (r != -EPROTO)
		return r;
	free(TAKE_PTR(*problem));
	return guard_open_former(options, &host->guard, problem);
}

static void tell_upgrade(struct host *host, const char *loss)
{
	struct record_field field[] = {{"lost", loss, 0}};

	host_tell(host, "upgrade", *loss ? RECORD_MEDIUM : RECORD_LOW, field, 1,
		  "this build's programs took over from another's%s%s",
		  *loss ? "; open connections count as called, for want of " : "", loss);
}

/* On maps as they are the programs come first, then the policy; on maps of another build the policy
 * must be there before the programs. */
static int adopt(struct host *host, const struct run_options *options, struct image *image,
		 bool is_default, struct ended_trial *ended, char **problem)
{
	struct guard_options guard_options = options_of(options);
	_cleanup_free_ char *loss = NULL;
	struct weir_policy_head head;
	bool is_former;
	int r;

	guard_options.tell_past = attachment_tell_past;
	guard_options.tell_data = host;
	r = open_pinned(host, &guard_options, problem);

	if (r < 0)
		return r;
	is_former = guard_former_loss(host->guard) != NULL;
	if (is_former)
		loss = strdup(guard_former_loss(host->guard));
	r = guard_policy_head(host->guard, &head);
	if (r == 0 && is_default && !ended_trial_is_there(host) &&
	    memcmp(head.digest, image->head.digest, sizeof(head.digest)))
		return tell_problem(problem, -ENOENT,
				    "a guard is on, but its policy is not in the state directory: "
				    "name it with --policy (the guard stays on)");
	if (r == 0 && is_former)
		r = apply_anew(host, image, ended, problem);
	if (r == 0)
		r = guard_adopt(host->guard, &guard_options, problem);
	if (r == 0 && !is_former)
		r = apply_anew(host, image, ended, problem);
	if (r == 0)
		r = guard_set_observe(host->guard, options->observe);
	if (r < 0)
		return r;
	host->orders_active = guard_control(host->guard).active;
	host->has_taken_over = is_former;
	if (is_former)
		tell_upgrade(host, loss ? loss : "");
	return 0;
}

static int take_default(struct host *host, const struct ended_trial *ended, struct image *image,
			char **problem)
{
	int r;

	if (ended->was_on_trial)
		default_keep_lifeline(host);
	r = default_image(host, wall_now(), image);
	return r < 0 ? tell_problem(problem, r, "cannot compile the default policy: %s",
				    strerror(-r))
		     : 0;
}

static int start(struct host *host, const struct run_options *options, struct applied *applied,
		 char **problem)
{
	bool is_default, is_new, is_pinned = guard_is_pinned(host->instance);
	struct restoring restoring = {0};
	struct ended_trial ended = {.was_on_trial = ended_trial_is_there(host)};
	struct image image = {0};
	int r = choose_policy(host, options, applied, &is_default, &is_new, problem);

	if (r == 0 && !host->trial_until_ns)
		r = ended_trial_read(host, &ended);
	if (r == 0 && is_default)
		r = take_default(host, &ended, &image, problem);
	else if (r == 0)
		r = compile(&applied->sources, &image, problem);
	if (r == 0 && is_new)
		r = save_policy(host, applied, &image, problem);
	if (r == 0 && is_pinned)
		r = adopt(host, options, &image, is_default, &ended, problem);
	else if (r == 0)
		r = load_new(host, options, &image, &restoring, &ended, problem);
	if (r < 0 && is_new && !is_pinned) /* it did not come into force */
		forget_applied(host);
	if (r == 0)
		r = host_take_image(host, &image, is_default ? NULL : applied);
	if (r == 0)
		save_orders(host);
	if (r == 0 && !host->trial_until_ns && !host->has_unsaved_orders)
		ended_trial_forget(host);
	if (r == 0)
		r = start_metering(host, options, &restoring, problem);
	restoring_free(&restoring);
	image_free(&image);
	image_free(&ended.image);
	if (r < 0)
		return r;
	host_tell(host, is_pinned ? "adopt" : "start", RECORD_LOW, NULL, 0, "weir %s %s %s",
		  is_pinned ? "goes on guarding" : "guards", guard_cgroup_path(host->guard),
		  is_pinned ? "after a restart" : "from now on");
	ended_trial_tell(host, &ended);
	return 0;
}

int daemon_start(struct host *host, const struct run_options *options, char **problem)
{
	struct applied applied = {0};
	int r = host_init(host, options->instance, true, problem);

	if (r < 0)
		return r;
	host->is_daemon = true;
	host->config = options->config;
	host->sink.more = options->config->sink == HOST_SINK_STDOUT	? SINK_STDOUT
			  : options->config->sink == HOST_SINK_JOURNALD ? SINK_JOURNALD
									: SINK_NOTHING_MORE;
	state_sweep(host);
	if (options->policy_file) {
		char real[PATH_MAX];

		host->watched_path =
			strdup(realpath(options->policy_file, real) ? real : options->policy_file);
		if (!host->watched_path)
			return -ENOMEM;
	}
	journaling_begin(host);
	r = start(host, options, &applied, problem);
	applied_free(&applied);
	if (r < 0) {
		privileges_blame(problem);
		return r;
	}
	journaling_found(host);
	clock_tell_doubt(host);
	clock_check(host);
	clock_save(host);
	host_plan_load(host);
	return 0;
}
