/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * applying.c - a new policy comes into force.
 */
#include "user/daemon/applying.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/daemon/cutting.h"
#include "user/daemon/interim.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/overriding.h"
#include "user/daemon/planning.h"
#include "user/daemon/policy_order.h"
#include "user/daemon/recovering.h"
#include "user/daemon/store.h"

static const char beside_file[] = "previous.json.new";
static const char new_file[] = "new.json";

/* ---- is it one that can be applied? --------------------------------------------------------- */

static int compile_request(struct host *host, const struct sources *sources, struct image *image,
			   char **problem, char **details)
{
	struct reading reading = {0};
	const struct faults *faults = &reading.faults;
	int r = reading_take(&host->kept_reading, sources, &reading);

	if (r == 0)
		r = image_compile(&reading.policy, host_wall(host), image, &reading.faults);
	if (faults->count > 0)
		*details = faults_text(faults, sources);
	if (r < 0 && faults->errors)
		tell_problem(problem, r, "%zu fault%s; the policy in force stays", faults->errors,
			     faults->errors == 1 ? "" : "s");
	else if (r < 0)
		tell_problem(problem, r, "cannot compile the policy: %s", strerror(-r));
	reading_free(&reading);
	return r;
}

void applying_put_summary(struct json_out *reply, const struct image *image)
{
	char digest[DIGEST_TEXT];

	hex_format(image->head.digest, 32, digest);
	json_put_text(reply, "name", image->name);
	json_put_text(reply, "digest", digest);
	json_put_text(reply, "mode", image->head.mode == WEIR_OBSERVE ? "observe" : "enforce");
	json_put_uint(reply, "services", image->head.services - WEIR_SERVICE_NAMED);
	json_put_uint(reply, "partners", image->head.partners - 1);
	json_put_uint(reply, "grants", image->head.grants - 1);
	json_put_uint(reply, "prefixes", image->prefix_count);
}

/* The overrides that change something under the policy in force and nothing under this one. */
static void put_voided(const struct host *host, const struct image *image, struct json_out *reply)
{
	json_open(reply, "voided", '[');
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];
		_cleanup_free_ char *before = NULL, *why = NULL;
		char id[24];

		if (!order_is_override(order) ||
		    override_is_void(host, &host->image, order, &before) ||
		    !override_is_void(host, image, order, &why))
			continue;
		override_format(order->id, id, sizeof(id));
		json_open(reply, NULL, '{');
		json_put_text(reply, "id", id);
		json_put_text(reply, "kind", override_kind_name(order->kind));
		json_put_text(reply, "target", order->target);
		json_put_text(reply, "why", why);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

/* ---- into force ----------------------------------------------------------------------------- */

static int rename_state(const struct host *host, const char *from, const char *to)
{
	if (host->state_dir < 0)
		return -ENOENT;
	return renameat(host->state_dir, from, host->state_dir, to) < 0 ? -errno : 0;
}

bool applying_has_file(const struct host *host, const char *file)
{
	return host->state_dir >= 0 && faccessat(host->state_dir, file, F_OK, 0) == 0;
}

/* Removes a file, if it is there. */
static int remove_state(const struct host *host, const char *file)
{
	return unlinkat(host->state_dir, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* One that is in force for a while would come back after a loss of power: it is gone for good. */
int applying_forget_trial(struct host *host)
{
	bool is_interim = host->interim_until_ns;
	int r;

	interim_clear(host);
	if (host->state_dir < 0)
		return 0;
	r = remove_state(host, TRIAL_FILE);
	return r == 0 && is_interim && fsync(host->state_dir) < 0 ? -errno : r;
}

/* The applied policy becomes the previous one too, in one step: whoever is killed here leaves a way
 * back. A name that was left by one who was killed goes first. */
static int keep_previous(const struct host *host)
{
	int r = remove_state(host, beside_file);

	if (r < 0)
		return r;
	if (linkat(host->state_dir, APPLIED_FILE, host->state_dir, beside_file, 0) < 0)
		return errno == ENOENT ? remove_state(host, PREVIOUS_FILE) : -errno;
	r = rename_state(host, beside_file, PREVIOUS_FILE);
	/* rename() leaves both names when they are of one file already */
	return r < 0 ? r : remove_state(host, beside_file);
}

/* The new file becomes the applied one, and that the previous one. At no moment is none applied: a
 * host that lost its power then would start with the default, which blocks nothing. */
int applying_promote(struct host *host, const char *file)
{
	int r = host->state_dir < 0 ? -ENOENT : keep_previous(host);

	if (r == 0)
		r = rename_state(host, file, APPLIED_FILE);
	if (r == 0 && fsync(host->state_dir) < 0)
		r = -errno;
	return r < 0 ? r : applied_note(host);
}

/* The kernel takes it; from here on it judges, and gives the names. */
int applying_switch(struct host *host, struct image *image, const struct applied *applied,
		    const struct order_table *cuts, char **problem)
{
	int r = guard_apply(host->guard, image, cuts, problem);

	if (r < 0)
		return r;
	host->orders_active = guard_control(host->guard).active;
	host->is_foreign = false;
	return host_take_image(host, image, applied);
}

/* Beside the one in force, and among those that are kept. */
static int save_new(const struct host *host, const struct applied *applied, char **problem)
{
	_cleanup_free_ char *path = host_path(host, new_file);
	int r = path ? store_keep(host, applied) : -ENOMEM;

	if (r == 0)
		r = applied_save(path, applied);
	if (r < 0)
		return tell_problem(problem, r,
				    "cannot save the policy: %s; the policy in force stays",
				    strerror(-r));
	return 0;
}

void applying_tell(struct host *host, const char *kind, const char *by)
{
	struct record_field field[] = {{"by", by, 0}};

	host_tell(host, kind, RECORD_LOW, field, 1, "%s: policy %s (%.12s), by %s", kind,
		  host->image.name, host->digest, by);
}

/* The span after which it goes back; 0: it does not. */
static uint64_t end_of(const struct apply_request *request)
{
	return request->confirm_ns ? request->confirm_ns : request->for_ns;
}

/* What is kept beside the texts. */
static int describe(struct apply_request *request, const struct image *image)
{
	struct applied *applied = &request->applied;

	applied->applied_ns = wall_now();
	applied->name = strdup(image->name);
	applied->by = strdup(request->by);
	if (!applied->name || !applied->by)
		return -ENOMEM;
	if (!end_of(request))
		return 0;
	applied->trial_until_ns = boot_now() + end_of(request);
	if (request->for_ns) {
		applied->until_ns = applied->applied_ns + request->for_ns;
		applied->reason = strdup(request->reason);
		if (!applied->reason)
			return -ENOMEM;
	}
	return boot_id(applied->trial_boot);
}

static const char *kind_of(const struct apply_request *request)
{
	return request->confirm_ns ? "trial"
	       : request->for_ns   ? "interim"
	       : request->origin   ? "base"
				   : "apply";
}

/* In the kernel it is: now on disk, under the name that counts. */
static int keep(struct host *host, const struct apply_request *request)
{
	int r;

	if (!end_of(request)) {
		r = applying_promote(host, new_file);
		if (r == 0)
			return applying_forget_trial(host);
		interim_clear(host);
		return r;
	}
	interim_clear(host);
	host->trial_until_ns = request->applied.trial_until_ns;
	r = rename_state(host, new_file, TRIAL_FILE);
	if (!request->for_ns)
		return r;
	if (r == 0 && fsync(host->state_dir) < 0)
		r = -errno;
	return interim_take(host, &request->applied) < 0 ? -ENOMEM : r;
}

int applying_put_into_force(struct host *host, struct apply_request *request, struct image *image,
			    const struct order_table *cuts, char **problem)
{
	const char *kind = kind_of(request);
	const struct policy_order order = {
		.kind = request->is_rollback ? "rollback" : kind,
		.image = image,
		.sources = &request->applied.sources,
		.reason = request->reason,
		.until_ns = end_of(request) ? host_wall(host) + end_of(request) : 0,
		.origin = request->origin};
	int r = policy_order_ask(host, &order, problem);

	if (r == 0)
		r = describe(request, image);
	if (r == 0)
		r = save_new(host, &request->applied, problem);
	if (r == 0)
		r = policy_order_journal(host, &order, problem);
	if (r == 0)
		r = applying_switch(host, image, &request->applied, cuts, problem);
	if (r < 0) {
		unlinkat(host->state_dir, new_file, 0);
		return r;
	}
	r = keep(host, request);
	applying_tell(host, kind, request->by);
	if (r < 0)
		return tell_problem(problem, DONE_IN_PART,
				    "the policy is in force, but not saved: %s", strerror(-r));
	return 0;
}

static int apply_locked(struct host *host, struct apply_request *request, struct image *image,
			struct json_out *reply, char **problem)
{
	_cleanup_order_table_ struct order_table cuts = {0};
	int r = host_refresh_orders(host);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the orders: %s", strerror(-r));
	r = interim_check(host, request, problem);
	if (r == 0)
		r = host_compile_orders(host, image, &host->orders, &cuts, NULL, problem);
	if (r == 0)
		r = plan_allows(host, image, problem);
	if (r < 0)
		return r;
	r = applying_check_own(host, image, &cuts, request, problem);
	if (r < 0)
		return r;
	applying_put_summary(reply, image);
	put_voided(host, image, reply);
	json_put_bool(reply, "dry_run", request->is_dry_run);
	if (request->for_ns && !request->is_dry_run)
		json_put_uint(reply, "until", (host_wall(host) + request->for_ns) / NS_PER_SECOND);
	if (request->is_dry_run)
		return 0;
	return applying_put_into_force(host, request, image, &cuts, problem);
}

int host_apply(struct host *host, struct apply_request *request, struct json_out *reply,
	       char **problem, char **details)
{
	struct image image = {0};
	int r;

	r = compile_request(host, &request->applied.sources, &image, problem, details);
	if (r < 0)
		return r;
	if (!request->is_dry_run)
		host_plan_look(host);
	r = guard_lock_told(host->guard, problem);
	if (r == 0) {
		r = apply_locked(host, request, &image, reply, problem);
		guard_unlock(host->guard);
	}
	if (!request->is_dry_run)
		host_plan_look(host);
	image_free(&image);
	return r;
}
