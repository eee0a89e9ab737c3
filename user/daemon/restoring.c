/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * restoring.c - the meters come back when the guard is loaded anew.
 */
#include "user/daemon/restoring.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/units.h"
#include "user/daemon/latches.h"
#include "user/daemon/metering.h"
#include "user/daemon/meters_policy.h"
#include "user/daemon/recovering.h"

const char *meters_why_text(uint32_t why)
{
	static const char *const text[METERS_WHYS] = {
		[METERS_WHY_NOTHING] = "nothing",
		[METERS_WHY_POWER] = "the last moments before the end were not saved",
		[METERS_WHY_UNWATCHED] = "the guard was on without a daemon that saved",
		[METERS_WHY_DAMAGED] = "the file of the meters is damaged",
		[METERS_WHY_LOST] = "the file of the meters is missing",
		[METERS_WHY_FOREIGN] = "another build saved what this one does not know",
	};

	return why < METERS_WHYS ? text[why] : "for another build's reason";
}

/* ---- reading -------------------------------------------------------------------------------- */

static int read_meters(const struct host *host, struct meters_read *read)
{
	_cleanup_free_ char *path = host_path(host, "meters");
	_cleanup_free_ char *data = NULL;
	size_t length;
	int r = path ? file_read(path, METERS_MOST_BYTES, &data, &length) : -ENOMEM;

	return r < 0 ? r : meters_file_read((const uint8_t *)data, length, read);
}

/* Of the latches' file only the latches count: its windows are older than those that were lost. */
static int read_latches(struct restoring *restoring)
{
	struct host *host = restoring->host;
	bool is_of_copy;
	int r = latches_load(host, &restoring->read, &is_of_copy);

	if (r == -ENOMEM)
		return r;
	restoring->has_read = r == 0;
	restoring->severs_all = r < 0;
	if (is_of_copy)
		state_damaged(host, LATCHES_FILE, "the latches come from its copy");
	if (r < 0) {
		free(state_set_aside(host, LATCHES_COPY));
		state_damaged(host, LATCHES_FILE,
			      "its copy too: all that a breach can sever is severed (weir reopen)");
	}
	for (size_t i = 0; i < restoring->read.count; i++) {
		struct kept_meter *kept = &restoring->read.item[i];

		memset(kept->meter.window, 0, sizeof(kept->meter.window));
		memset(kept->part, 0, sizeof(kept->part));
	}
	return 0;
}

static int without_file(struct restoring *restoring, uint32_t why)
{
	restoring->why = why;
	restoring->only_shortest = true;
	restoring->bound = UINT64_MAX;
	return read_latches(restoring);
}

static void with_file(struct restoring *restoring)
{
	const struct meters_head *head = &restoring->read.head;

	restoring->has_read = true;
	restoring->flags = head->flags;
	restoring->bound = UINT64_MAX;
	if (restoring->read.unknown[0]) {
		restoring->why = METERS_WHY_FOREIGN;
		return;
	}
	if (head->flags & METERS_COMPLETE)
		return;
	if (head->flags & METERS_UNWATCHED) {
		restoring->why = METERS_WHY_UNWATCHED;
		return;
	}
	restoring->why = METERS_WHY_POWER;
	if (head->link_bytes_per_s && head->link_bytes_per_s < UINT64_MAX / METERS_UNSAVED_SECONDS)
		restoring->bound = METERS_UNSAVED_SECONDS * head->link_bytes_per_s;
}

/* ---- the mark ------------------------------------------------------------------------------- */

static int mark(struct restoring *restoring, uint32_t flags)
{
	_cleanup_free_ char *path = host_path(restoring->host, "meters");
	struct meters_head head = restoring->read.head;
	struct meters_group group = {0};
	_cleanup_close_ int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	int r = fd < 0 ? -errno : meters_group_begin(&group);

	if (r == 0) {
		head.flags = flags;
		meters_group_end(&group, METERS_CHANGES, &head);
		r = file_write_all(fd, group.data, group.length);
	}
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	free(group.data);
	return r;
}

/* Where the file cannot grow, its last group gets the flags of `else_flags`. */
static int mark_anyhow(struct restoring *restoring, uint32_t flags, uint32_t else_flags)
{
	_cleanup_free_ char *path = host_path(restoring->host, "meters");
	int r = path ? mark(restoring, flags) : -ENOMEM;

	return r < 0 && path ? meters_mark(path, else_flags) : r;
}

/* All that may have left is in the file by then, measured or assumed. */
void restoring_undo(struct restoring *restoring)
{
	if (restoring->flags & METERS_COMPLETE || restoring->is_saved)
		mark_anyhow(restoring, METERS_COMPLETE, METERS_COMPLETE);
}

/*
 * What is assumed is on the disk before the guard can be found: a daemon that adopts it would else
 * take it for measured, and nobody could take it back. A full disk does not keep the guard from
 * starting; metering_start() tells of it.
 */
static void save_filled(struct restoring *restoring)
{
	_cleanup_free_ char *path = host_path(restoring->host, "meters");
	struct meters_head head = {
		.why = restoring->assumed.count ? restoring->assumed.why : METERS_WHY_NOTHING,
		.boot_ns = restoring->times.now_boot_ns,
		.wall_ns = restoring->times.now_wall_ns,
		.secret = {restoring->secret[0], restoring->secret[1]},
		.link_bytes_per_s = restoring->read.head.link_bytes_per_s,
		.assumed_since_ns = restoring->assumed.count ? restoring->assumed.since_ns : 0,
	};

	if (!path || metering_boot_id(head.boot_id) < 0)
		return;
	meters_group_end(&restoring->filled, METERS_SNAPSHOT, &head);
	if (file_write_atomic(path, restoring->filled.data, restoring->filled.length, 0640) < 0)
		return;
	restoring->read.head = head;
	restoring->is_saved = true;
}

/* ---- filling -------------------------------------------------------------------------------- */

struct filling {
	struct restoring *restoring;
	struct guard *guard;
	bool *is_done; /* by place in the file */
	bool is_full;
	bool severs_strangers;
};

static int put(struct filling *filling, const struct kept_meter *kept)
{
	int r = kept->slot == METERS_NO_SLOT
			? guard_put_meter(filling->guard, kept->key, &kept->meter)
			: guard_put_stranger(filling->guard, kept->slot, &kept->meter);

	if (r == 0)
		r = assumed_add(&filling->restoring->assumed, kept);
	if (r == 0 && filling->restoring->why)
		r = meters_group_add(&filling->restoring->filled, kept);
	return r;
}

static void assume(const struct restoring *restoring, struct kept_meter *kept,
		   const struct weir_limits *limits)
{
	if (restoring->why)
		meter_assume(kept, limits, restoring->bound, restoring->only_shortest);
}

static void sever_unknown(const struct restoring *restoring, struct kept_meter *kept)
{
	if (restoring->severs_all)
		kept->meter.severed_ns = restoring->times.now_boot_ns;
}

/* A meter that both the policy and the file know. */
static int fill_kept(const struct policy_meter *meter, void *data)
{
	struct filling *filling = data;
	struct restoring *restoring = filling->restoring;
	uint64_t key = weir_meter_key(meter->grant_key, meter->service_key, meter->partner_key);
	struct kept_meter *found = meters_read_find(&restoring->read, key, METERS_NO_SLOT), kept;

	if (!found || filling->is_done[found - restoring->read.item])
		return 0;
	filling->is_done[found - restoring->read.item] = true;
	kept = *found;
	meter_carry(&kept, meter->limits, &restoring->times);
	assume(restoring, &kept, meter->limits);
	return put(filling, &kept);
}

/* One that only the policy knows. Without room for it the kernel will refuse what needs it. */
static int fill_new(const struct policy_meter *meter, void *data)
{
	struct filling *filling = data;
	struct restoring *restoring = filling->restoring;
	uint64_t key = weir_meter_key(meter->grant_key, meter->service_key, meter->partner_key);
	struct kept_meter kept;
	int r;

	if (filling->is_full || meters_read_find(&restoring->read, key, METERS_NO_SLOT))
		return 0;
	meter_make(&kept, meter->grant_key, meter->service_key, meter->partner_key, meter->limits,
		   restoring->times.now_boot_ns);
	assume(restoring, &kept, meter->limits);
	if (meter->severs)
		sever_unknown(restoring, &kept);
	r = put(filling, &kept);
	filling->is_full = r == -E2BIG;
	return filling->is_full ? 0 : r;
}

/* One that only the file knows: what it counted stays, and so do its windows. */
static int fill_former(struct filling *filling)
{
	struct restoring *restoring = filling->restoring;
	int r = 0;

	for (size_t i = 0; i < restoring->read.count && r == 0; i++) {
		struct kept_meter kept = restoring->read.item[i];

		if (filling->is_done[i] || kept.slot != METERS_NO_SLOT)
			continue;
		meter_carry(&kept, NULL, &restoring->times);
		r = put(filling, &kept);
	}
	return r;
}

static int fill_slot(struct filling *filling, uint32_t slot, const struct weir_limits *budget)
{
	struct restoring *restoring = filling->restoring;
	struct kept_meter *found = meters_read_find(&restoring->read, WEIR_KEY_PEER, slot);
	struct kept_meter kept = {.key = WEIR_KEY_PEER, .slot = slot};
	struct weir_limits limits;

	if (found)
		kept = *found;
	if (!budget) {
		if (!found)
			return 0;
		meter_carry(&kept, NULL, &restoring->times);
		return put(filling, &kept);
	}
	/* a slot's windows are shared: they may be longer than any that the policy has now */
	limits = *budget;
	for (unsigned i = 0; i < WEIR_WINDOWS; i++) {
		const struct weir_window *w = &kept.meter.window[i];

		if (!limits.window[i].window_ns)
			limits.window[i].bytes = UINT64_MAX;
		if (w->used_bytes && w->window_ns > limits.window[i].window_ns)
			limits.window[i].window_ns = w->window_ns;
	}
	meter_carry(&kept, &limits, &restoring->times);
	assume(restoring, &kept, &limits);
	if (filling->severs_strangers)
		sever_unknown(restoring, &kept);
	return put(filling, &kept);
}

static int fill_slots(struct filling *filling)
{
	struct weir_limits limits;
	bool has_budget = policy_stranger_limits(filling->restoring->image, &limits);
	bool assumes = filling->restoring->why != METERS_WHY_NOTHING && has_budget;
	int r = 0;

	for (uint32_t slot = 0; slot < WEIR_STRANGER_SLOTS && r == 0; slot++)
		r = fill_slot(filling, slot, assumes ? &limits : NULL);
	return r;
}

static int fill(struct guard *guard, void *data)
{
	struct restoring *restoring = data;
	struct filling filling = {.restoring = restoring,
				  .guard = guard,
				  .severs_strangers = policy_severs_strangers(restoring->image)};
	int r;

	filling.is_done = calloc(restoring->read.count + 1, sizeof(*filling.is_done));
	if (!filling.is_done)
		return -ENOMEM;
	restoring->times.now_boot_ns = boot_now();
	restoring->times.now_wall_ns = wall_now();
	r = meters_group_begin(&restoring->filled);
	if (r == 0)
		r = policy_meters_each(restoring->image, fill_kept, &filling);
	if (r == 0)
		r = fill_former(&filling);
	if (r == 0)
		r = fill_slots(&filling);
	if (r == 0 && restoring->why)
		r = policy_meters_each(restoring->image, fill_new, &filling);
	free(filling.is_done);
	assumed_sort(&restoring->assumed);
	if (r == 0 && restoring->why)
		save_filled(restoring);
	return r;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

int restoring_begin(struct restoring *restoring, struct host *host, const struct image *image,
		    bool had_life, struct guard_options *options, char **problem)
{
	int r;

	*restoring = (struct restoring){.host = host, .image = image};
	r = read_meters(host, &restoring->read);
	if (r == 0) {
		with_file(restoring);
	} else if (r == -ENOENT) {
		r = had_life ? without_file(restoring, METERS_WHY_LOST) : 0;
	} else if (r != -ENOMEM) {
		restoring->aside = state_set_aside(host, "meters");
		r = without_file(restoring, METERS_WHY_DAMAGED);
	}
	if (r == 0 && restoring->flags & METERS_COMPLETE)
		/* What leaves from now on is not in the file. A full disk does not keep the guard
		 * from starting: one that ends before it could save is one of which nothing is
		 * known. */
		r = mark_anyhow(restoring, 0, METERS_UNWATCHED);
	if (r < 0)
		return tell_problem(problem, r, "cannot restore the meters: %s", strerror(-r));
	restoring->times.saved_boot_ns = restoring->read.head.boot_ns;
	restoring->times.saved_wall_ns = restoring->read.head.wall_ns;
	/* what an earlier end left uncertain may still count */
	restoring->assumed.why = restoring->why ?: restoring->read.head.why;
	restoring->assumed.since_ns =
		restoring->why ? wall_now() : restoring->read.head.assumed_since_ns;
	options->fill_meters = fill;
	options->fill_data = restoring;
	memcpy(restoring->secret, restoring->read.head.secret, sizeof(restoring->secret));
	if (!restoring->has_read &&
	    getrandom(restoring->secret, sizeof(restoring->secret), 0) != sizeof(restoring->secret))
		return tell_problem(problem, -EIO, "cannot get random bytes");
	options->secret = restoring->secret;
	return 0;
}

void restoring_tell(struct restoring *restoring)
{
	const char *unknown = restoring->read.unknown;
	char why[128];
	struct record_field field[] = {{"why", why, 0},
				       {"meters", NULL, restoring->assumed.count},
				       {"set_aside", restoring->aside ? restoring->aside : "", 0}};
	bool is_damage = restoring->why == METERS_WHY_DAMAGED || restoring->why == METERS_WHY_LOST;

	if (!restoring->why ||
	    (!is_damage && restoring->why != METERS_WHY_FOREIGN && !restoring->assumed.count))
		return;
	snprintf(why, sizeof(why), "%s%s%s%s", meters_why_text(restoring->why),
		 unknown[0] ? " (" : "", unknown, unknown[0] ? ")" : "");
	host_tell(restoring->host, "meters-assumed", RECORD_HIGH, field, 3,
		  "%s: %zu meters are assumed %s until `weir meters reset`, or until their windows "
		  "have run out",
		  why, restoring->assumed.count,
		  is_damage ? "full for their shortest window" : "to have sent all they could");
	fprintf(stderr, "weir: %s%s%s: %zu meters are assumed, see `weir status`\n", why,
		restoring->aside ? ", set aside as " : "", restoring->aside ? restoring->aside : "",
		restoring->assumed.count);
}

void restoring_free(struct restoring *restoring)
{
	meters_read_free(&restoring->read);
	assumed_free(&restoring->assumed);
	free(restoring->filled.data);
	free(restoring->aside);
	*restoring = (struct restoring){0};
}
