/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ended_trial.c - a trial, or while, whose end no daemon saw.
 */
#include "user/daemon/ended_trial.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/cutting.h"
#include "user/daemon/interim.h"
#include "user/daemon/outliving.h"
#include "user/daemon/outliving_held.h"
#include "user/daemon/recovering.h"
#include "user/policy/target.h"

bool ended_trial_is_there(const struct host *host)
{
	return faccessat(host->state_dir, TRIAL_FILE, F_OK, 0) == 0;
}

int ended_trial_read(struct host *host, struct ended_trial *ended)
{
	_cleanup_free_ char *path = host_path(host, TRIAL_FILE);
	struct applied applied = {0};
	struct faults faults = {0};
	int r = path ? applied_load(path, &applied) : -ENOMEM;

	if (r < 0 && r != -ENOMEM && r != -ENOENT)
		r = applied_load_kept(host, path, &applied);
	if (r == 0)
		r = policy_to_image(&applied.sources, wall_now(), &ended->image, &faults);
	ended->is_known = r == 0;
	faults_free(&faults);
	applied_free(&applied);
	return r == -ENOMEM ? r : 0;
}

int ended_trial_compile(struct host *host, const struct image *image, struct ended_trial *ended,
			struct order_table *cuts, char **problem)
{
	int r = 0;

	ended->first = host->orders.next;
	if (ended->is_known)
		r = held_outlives(host, &ended->image, image, wall_now(), &host->orders, problem);
	if (r == 0 && ended->is_known)
		r = cuts_outlive(&ended->image, image, wall_now(), &host->orders, problem);
	if (r == -ENOSPC) { /* a host without a guard has no cut at all */
		free(TAKE_PTR(*problem));
		ended->is_known = false;
		ended->has_no_room = true;
		r = 0;
	}
	return r < 0 ? r
		     : host_compile_orders(host, image, &host->orders, cuts, &ended->lost, problem);
}

static void journal_void(struct host *host, const struct weir_order *cut)
{
	char id[24];
	const char *target = cut->target;
	const struct journal_order line = {.kind = "cut-void",
					   .id = id,
					   .target = &target,
					   .target_count = 1,
					   .reason = "the policy does not have it: there is no "
						     "room, or the one that had it is damaged",
					   .since_ns = wall_now()};

	order_format(cut->id, id, sizeof(id));
	journaling_after(host, &line, 1);
}

void ended_trial_tell(struct host *host, const struct ended_trial *ended)
{
	struct record_field field[] = {{"count", NULL, ended->lost}};
	bool is_of_ended = ended->was_on_trial && !ended->is_known;

	for (size_t i = 0; i < host->orders.count && is_of_ended; i++) {
		struct weir_cut_entry entry;

		if (order_is_cut(&host->orders.item[i]) &&
		    target_resolve(&host->image, host->orders.item[i].target, &entry, NULL) < 0)
			journal_void(host, &host->orders.item[i]);
	}
	if (ended->lost)
		host_tell(host, "cut-without-object", RECORD_HIGH, field, 1,
			  "%zu cuts name what the policy does not have: they cover nothing",
			  ended->lost);
	if (ended->has_no_room)
		host_tell(
			host, "no-room", RECORD_HIGH, NULL, 0,
			"there are %zu orders, and no room for more: of the policy whose time is "
			"over, what it severed, or let back in stages, is not held where %s means "
			"something else by it",
			host->orders.count, host->image.name);
	cuts_tell_outliving(host, ended->first);
}

void ended_trial_forget(struct host *host)
{
	_cleanup_free_ char *path = host_path(host, TRIAL_FILE);
	struct journal_order order = {.since_ns = wall_now(),
				      .policy_name = host->image.name,
				      .policy_digest = host->digest};
	struct applied about = {0};
	bool is_interim = path && applied_about(path, &about) == 0 && about.until_ns;

	applied_free(&about);
	if (unlinkat(host->state_dir, TRIAL_FILE, 0) < 0)
		return;
	host_tell(host, "rollback", RECORD_MEDIUM, NULL, 0, "%s: %s (%.12s) is in force again",
		  is_interim ? "the time of the policy that was in force for a while is over"
			     : "nobody confirmed the policy on trial",
		  host->image.name, host->digest);
	order.kind = is_interim ? "interim-over" : "trial-over";
	journaling_after(host, &order, 1);
}
