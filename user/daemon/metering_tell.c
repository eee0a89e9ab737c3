/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * metering_tell.c - the meters for people: what is used, what of it is only assumed, and the order
 * that takes that back.
 */
#include "user/daemon/metering.h"

#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/cover.h"
#include "user/daemon/restoring.h"

enum { MOST_LISTED = 10000 };

void metering_put(const struct host *host, struct metering *metering, struct json_out *reply)
{
	uint64_t now = boot_now(), bytes = 0, end = 0, saved_ns = metering_saved_ns(metering);
	size_t meters = 0, slots = 0;
	const struct assumed *assumed = metering_hold(metering);

	for (size_t i = 0; i < assumed->count; i++) {
		uint64_t left = assumed_bytes(&assumed->item[i], now);
		uint64_t at = assumed_end(&assumed->item[i]);

		if (!left)
			continue;
		if (assumed->item[i].slot == METERS_NO_SLOT) {
			meters++;
			bytes += left;
		} else {
			slots++;
		}
		end = at > end ? at : end;
	}
	json_open(reply, "meters", '{');
	json_put_uint(reply, "saved_at", saved_ns / NS_PER_SECOND);
	if (meters || slots) {
		json_open(reply, "assumed", '{');
		json_put_uint(reply, "since", assumed->since_ns / NS_PER_SECOND);
		json_put_text(reply, "why", meters_why_text(assumed->why));
		json_put_uint(reply, "meters", meters);
		json_put_uint(reply, "bytes", bytes);
		json_put_uint(reply, "stranger_slots", slots);
		json_put_uint(reply, "until",
			      (end + guard_control(host->guard).wall_offset_ns) / NS_PER_SECOND);
		json_close(reply, '}');
	} else {
		json_put_null(reply, "assumed");
	}
	json_close(reply, '}');
	metering_release(metering);
}

/* ---- list ----------------------------------------------------------------------------------- */

struct listing {
	struct host *host;
	struct metering *metering;
	struct json_out *reply;
	size_t count;
};

static void put_windows(struct listing *listing, const struct kept_meter *kept)
{
	json_open(listing->reply, "windows", '[');
	for (size_t i = 0; i < WEIR_WINDOWS; i++) {
		const struct weir_window *w = &kept->meter.window[i];

		if (!w->window_ns)
			continue;
		json_open(listing->reply, NULL, '{');
		json_put_uint(listing->reply, "seconds", w->window_ns / NS_PER_SECOND);
		json_put_uint(listing->reply, "used_bytes", w->used_bytes);
		json_put_uint(listing->reply, "assumed_bytes", kept->part[i].bytes);
		json_close(listing->reply, '}');
	}
	json_close(listing->reply, ']');
}

static int list_meter(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct listing *listing = data;
	const struct names_of_keys *names = &listing->host->names;
	struct kept_meter kept = {.key = key, .slot = METERS_NO_SLOT, .meter = *meter};

	if (!meter->window[0].window_ns || listing->count >= MOST_LISTED)
		return 0;
	listing->count++;
	assumed_place(metering_hold(listing->metering), &kept);
	metering_release(listing->metering);
	json_open(listing->reply, NULL, '{');
	json_put_text(listing->reply, "grant", names_grant(names, meter->grant_key));
	json_put_text(listing->reply, "service", names_service(names, meter->service_key));
	json_put_text(listing->reply, "partner", names_partner(names, meter->partner_key));
	put_windows(listing, &kept);
	json_close(listing->reply, '}');
	return 0;
}

int metering_list(struct host *host, struct metering *metering, struct json_out *reply,
		  char **problem)
{
	struct listing listing = {host, metering, reply, 0};
	int r;

	json_open(reply, "list", '[');
	r = guard_accounts(host->guard, list_meter, &listing);
	json_close(reply, ']');
	if (r < 0)
		return tell_problem(problem, r, "cannot read the meters: %s", strerror(-r));
	metering_put(host, metering, reply);
	return 0;
}

/* ---- reset ---------------------------------------------------------------------------------- */

static int read_target(const struct host *host, const char *text, struct weir_cut_entry *target,
		       char **problem)
{
	_cleanup_free_ char *grant = NULL;

	if (!text || strchr(text, ':') || strncmp(text, "all", 3) == 0 ||
	    strncmp(text, "strangers", 9) == 0)
		return host_resolve(host, text ?: "all", target, problem);
	if (asprintf(&grant, "grant:%s", text) < 0) {
		grant = NULL;
		return -ENOMEM;
	}
	return host_resolve(host, grant, target, problem);
}

static bool is_in(const struct host *host, const struct assumed_meter *item,
		  const struct weir_cut_entry *target)
{
	const struct names_of_keys *names = &host->names;
	bool is_slot = item->slot != METERS_NO_SLOT;
	struct weir_meter meter;
	int r = is_slot ? guard_stranger(host->guard, item->slot, &meter)
			: guard_meter(host->guard, item->key, &meter);

	if (r < 0)
		return false;
	return target_holds_account(
		&host->image, target, names_service_index(names, meter.service_key),
		meter.partner_key ? names_partner_index(names, meter.partner_key) : WEIR_NO_PARTNER,
		names_grant_index(names, meter.grant_key),
		is_slot || meter.grant_key == WEIR_KEY_TOTAL);
}

static int forgive(struct host *host, const struct assumed_meter *taken, uint64_t *bytes,
		   char **problem)
{
	struct weir_forgive request = {
		.key = taken->key, .slot = taken->slot == METERS_NO_SLOT ? WEIR_ANY : taken->slot};
	int r;

	for (size_t i = 0; i < WEIR_WINDOWS; i++)
		request.part[i] = (struct weir_part){.start_ns = taken->part[i].start_ns,
						     .bytes = taken->part[i].bytes,
						     .head = taken->part[i].head,
						     .age = taken->part[i].age};
	r = guard_forgive(host->guard, &request, problem);
	if (r == 0)
		*bytes = request.forgiven_bytes;
	return r;
}

/* The parts in question leave the table for `taken`, or come back out of it. */
static int take_parts(const struct host *host, struct assumed *assumed,
		      const struct weir_cut_entry *target, struct assumed *taken)
{
	uint64_t now = boot_now();

	for (size_t i = 0; i < assumed->count; i++) {
		struct assumed_meter *item = &assumed->item[i], *copy;

		if (!assumed_bytes(item, now) || !is_in(host, item, target))
			continue;
		copy = ARRAY_ADD(taken->item, taken->count);
		if (!copy)
			return -ENOMEM;
		taken->count++;
		*copy = *item;
		memset(item->part, 0, sizeof(item->part));
	}
	return 0;
}

static void put_parts_back(struct assumed *assumed, const struct assumed *taken)
{
	for (size_t i = 0; i < taken->count; i++) {
		const struct assumed_meter *copy = &taken->item[i];

		memcpy(assumed_find(assumed, copy->key, copy->slot)->part, copy->part,
		       sizeof(copy->part));
	}
}

/*
 * The disk before the kernel: from then on nobody takes for assumed what is not. Who took the guard
 * over in between would else take the same bytes back a second time, out of what was measured.
 */
static int take_on_disk(struct host *host, struct metering *metering,
			const struct weir_cut_entry *target, struct assumed *taken, char **problem)
{
	struct assumed *assumed = metering_hold(metering);
	int r = take_parts(host, assumed, target, taken);

	metering_release(metering);
	if (r == 0 && taken->count)
		r = metering_save(metering, host->is_daemon ? 0 : METERS_UNWATCHED);
	if (r == 0)
		return 0;
	assumed = metering_hold(metering);
	put_parts_back(assumed, taken);
	metering_release(metering);
	return tell_problem(problem, r, "cannot save that, so nothing is taken back: %s",
			    strerror(-r));
}

static void tell_reset(struct host *host, const struct reset_request *request)
{
	struct record_field field[] = {{"target", request->target ?: "all", 0},
				       {"order_reason", request->reason, 0},
				       {"by", request->by, 0}};

	host_tell(host, "meters-reset", RECORD_MEDIUM, field, 3,
		  "what was assumed of %s is taken back, by %s: %s", request->target ?: "all",
		  request->by, request->reason);
}

static int journal_reset(struct host *host, const struct reset_request *request, char **problem)
{
	const char *target = request->target ?: "all";
	const struct journal_order order = {.kind = "meters-reset",
					    .target = &target,
					    .target_count = 1,
					    .reason = request->reason,
					    .since_ns = host_wall(host)};

	int r = second_person(host, &(struct second_ask){.order = &order}, problem);

	return r < 0 ? r : journaling_before(host, &order, problem);
}

int metering_reset(struct host *host, struct metering *metering,
		   const struct reset_request *request, struct json_out *reply, char **problem)
{
	uint64_t bytes = 0, sum = 0;
	struct weir_cut_entry target;
	struct assumed taken = {0};
	size_t meters = 0;
	int r = read_target(host, request->target, &target, problem);

	if (r < 0)
		return r;
	r = journal_reset(host, request, problem);
	if (r < 0)
		return r;
	tell_reset(host, request); /* it loosens: told before it is done */
	r = take_on_disk(host, metering, &target, &taken, problem);
	for (size_t i = 0; i < taken.count && r == 0; i++) {
		r = forgive(host, &taken.item[i], &bytes, problem);
		if (r < 0 || taken.item[i].slot != METERS_NO_SLOT)
			continue;
		meters++;
		sum += bytes;
	}
	if (r == 0) {
		json_put_uint(reply, "meters", meters);
		json_put_uint(reply, "bytes", sum);
		json_put_uint(reply, "stranger_slots", taken.count - meters);
	}
	assumed_free(&taken);
	return r;
}
