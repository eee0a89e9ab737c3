/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * budget_state.c - one budget, as the next packet would find it, and for people.
 */
#include "user/daemon/budget_state.h"

#include "user/daemon/metering.h"
#include "user/daemon/meters_restore.h"
#include "user/daemon/room.h"
#include "user/policy/words.h"

enum { MOST_LISTED = 1000, NEXT_BYTES = 1 << 20 };

const struct weir_limits *budget_limits(const struct image *image, const struct budget_use *budget)
{
	switch (budget->kind) {
	case BUDGET_GRANT:
		return &image->grants[budget->grant].budget;
	case BUDGET_SERVICE:
		return &image->services[budget->service].ceiling;
	case BUDGET_PARTNER:
		return &image->partners[budget->partner].ceiling;
	case BUDGET_STRANGERS:
		return &image->services[budget->service].strangers.total;
	case BUDGET_STRANGER:
		break;
	}
	return budget->direction == WEIR_SERVES ? &image->services[budget->service].strangers.serves
						: &image->services[budget->service].strangers.calls;
}

static uint64_t account_of(const struct image *image, const struct budget_use *budget)
{
	switch (budget->kind) {
	case BUDGET_GRANT:
		return weir_meter_key(image->grants[budget->grant].key,
				      image->services[budget->service].key,
				      image->partners[budget->partner].key);
	case BUDGET_SERVICE:
		return weir_meter_key(WEIR_KEY_CEILING, image->services[budget->service].key, 0);
	case BUDGET_PARTNER:
		return weir_meter_key(WEIR_KEY_CEILING, 0, image->partners[budget->partner].key);
	default:
		return weir_meter_key(WEIR_KEY_TOTAL, image->services[budget->service].key, 0);
	}
}

static int read_meter(const struct host *host, const uint8_t peer[16],
		      const struct budget_use *budget, struct weir_meter *meter)
{
	const struct image *image = &host->image;
	int r;

	*meter = (struct weir_meter){0};
	if (budget->kind == BUDGET_STRANGER)
		r = guard_peer_meter(host->guard, image->services[budget->service].key,
				     budget->direction == WEIR_SERVES, peer, meter);
	else
		r = guard_meter(host->guard, account_of(image, budget), meter);
	return r == -ENOENT ? 0 : r;
}

/* The breach and the mode that decide about it. */
static void set_rule(const struct host *host, const struct budget_use *budget,
		     struct budget_state *state)
{
	const struct image *image = &host->image;

	state->is_observed =
		guard_control(host->guard).observe || image->head.mode == WEIR_OBSERVE ||
		(budget->service != WEIR_ANY &&
		 image->services[budget->service].mode == WEIR_OBSERVE) ||
		(budget->kind == BUDGET_GRANT && image->grants[budget->grant].mode == WEIR_OBSERVE);
	state->on_breach = WEIR_HOLD;
	if (budget->kind == BUDGET_GRANT)
		state->on_breach = image->grants[budget->grant].on_breach;
	else if (budget->kind == BUDGET_STRANGERS || budget->kind == BUDGET_STRANGER)
		state->on_breach = image->services[budget->service].strangers.on_breach;
}

/* A slot that several may share keeps its longest windows while they are in use: window_fit() in
 * bpf/meter.bpf.h. */
static void keep_longer(struct budget_state *state)
{
	for (size_t i = 0; i < WEIR_WINDOWS; i++) {
		const struct weir_window *w = &state->kept.meter.window[i];
		struct weir_limit *limit = &state->limits.window[i];

		if (limit->window_ns && w->used_bytes && w->window_ns > limit->window_ns)
			limit->window_ns = w->window_ns;
	}
}

/* Read after the meter, and no clock's error puts it before a slice that runs already. The start of
 * a slice may lie before this boot, and wraps then. */
static uint64_t now_for(const struct weir_meter *meter)
{
	uint64_t now = boot_now();

	for (size_t i = 0; i < WEIR_WINDOWS; i++) {
		if ((int64_t)(meter->window[i].slice_start_ns - now) > 0)
			now = meter->window[i].slice_start_ns;
	}
	return now;
}

int budget_read(struct host *host, const uint8_t peer[16], const struct budget_use *budget,
		struct budget_state *state)
{
	struct budget_state found = {.limits = *budget_limits(&host->image, budget)};
	struct meters_times as_it_is = {0};
	int r = read_meter(host, peer, budget, &found.kept.meter);

	if (r < 0)
		return r;
	found.kept.key = account_of(&host->image, budget);
	found.kept.slot = METERS_NO_SLOT;
	found.told_ns = found.kept.meter.told_ns;
	set_rule(host, budget, &found);
	if (budget->kind == BUDGET_STRANGER) {
		keep_longer(&found);
	} else if (host->metering) {
		assumed_place(metering_hold(host->metering), &found.kept);
		metering_release(host->metering);
	}
	/* no time has passed: only the windows move on, and become those of the policy */
	found.now_ns = now_for(&found.kept.meter);
	as_it_is.saved_boot_ns = as_it_is.now_boot_ns = found.now_ns;
	meter_carry(&found.kept, &found.limits, &as_it_is);
	*state = found;
	return 0;
}

double budget_used(const struct budget_state *state)
{
	double used = 0;

	for (size_t i = 0; i < WEIR_WINDOWS && state->limits.window[i].window_ns; i++) {
		double one = (double)state->kept.meter.window[i].used_bytes /
			     ((double)state->limits.window[i].bytes + 1);

		used = one > used ? one : used;
	}
	return used;
}

bool budget_refuses(const struct budget_state *state, uint32_t bytes)
{
	if (state->on_breach == WEIR_ALERT || state->is_observed)
		return false;
	for (size_t i = 0; i < WEIR_WINDOWS && state->limits.window[i].window_ns; i++) {
		if (state->kept.meter.window[i].used_bytes + bytes > state->limits.window[i].bytes)
			return true;
	}
	return false;
}

bool budget_is_open(const struct host *host, const struct budget_use *budget, uint64_t *edge)
{
	const struct weir_grant *grant;
	bool is_open;

	*edge = UINT64_MAX;
	if (budget->kind != BUDGET_GRANT)
		return true;
	grant = &host->image.grants[budget->grant];
	if (!grant->hours_count)
		return true;
	is_open = image_grant_is_open(&host->image, grant, host_wall(host), edge);
	if (!guard_control(host->guard).hours_closed)
		return is_open;
	*edge = UINT64_MAX; /* until somebody confirms the clock none is open, and none opens */
	return false;
}

/* ---- for people ----------------------------------------------------------------------------- */

/* Rounded up: a moment too early would be a promise that is not kept. */
static void put_room(struct json_out *reply, const char *key, uint64_t at, uint64_t now)
{
	if (at == ROOM_NEVER)
		json_put_null(reply, key);
	else
		json_put_uint(reply, key, (at - now + 999999) / 1000000);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* "windows", and over all of them "next_bytes" and when these, and when all, fit. Returns what was
 * only assumed in the window that has most of that. */
static uint64_t put_windows(const struct budget_state *state, struct json_out *reply)
{
	uint64_t next = NEXT_BYTES, next_at = 0, all_at = 0, assumed = 0, now = state->now_ns;

	for (size_t i = 0; i < WEIR_WINDOWS && state->limits.window[i].window_ns; i++)
		next = state->limits.window[i].bytes < next ? state->limits.window[i].bytes : next;
	json_open(reply, "windows", '[');
	for (size_t i = 0; i < WEIR_WINDOWS && state->limits.window[i].window_ns; i++) {
		const struct weir_window *w = &state->kept.meter.window[i];
		uint64_t limit = state->limits.window[i].bytes;
		uint64_t next_here = room_at(w, limit, next, now);
		uint64_t all_here = room_at(w, limit, limit, now);

		next_at = later(next_at, next_here);
		all_at = later(all_at, all_here);
		assumed = later(assumed, state->kept.part[i].bytes);
		json_open(reply, NULL, '{');
		json_put_thousandths(reply, "seconds", state->limits.window[i].window_ns / 1000000);
		json_put_uint(reply, "limit_bytes", limit);
		json_put_uint(reply, "used_bytes", w->used_bytes);
		json_put_uint(reply, "assumed_bytes", state->kept.part[i].bytes);
		put_room(reply, "next_fits_in_ms", next_here, now);
		put_room(reply, "all_fits_in_ms", all_here, now);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	json_put_uint(reply, "next_bytes", next);
	put_room(reply, "next_fits_in_ms", later(next_at, now), now);
	put_room(reply, "all_fits_in_ms", later(all_at, now), now);
	return assumed;
}

static void put_hours(const struct host *host, const struct budget_use *budget,
		      struct json_out *reply)
{
	uint64_t edge;
	bool is_open = budget_is_open(host, budget, &edge);

	json_put_bool(reply, "is_open", is_open);
	if (edge != UINT64_MAX)
		json_put_uint(reply, is_open ? "closes_at" : "opens_at", edge / NS_PER_SECOND);
}

static void put_whose(const struct image *image, const struct budget_use *budget,
		      struct json_out *reply)
{
	static const char *const kinds[] = {[BUDGET_GRANT] = "grant",
					    [BUDGET_SERVICE] = "service",
					    [BUDGET_PARTNER] = "partner",
					    [BUDGET_STRANGERS] = "strangers",
					    [BUDGET_STRANGER] = "stranger"};

	json_put_text(reply, "kind", kinds[budget->kind]);
	if (budget->grant != WEIR_ANY)
		json_put_text(reply, "grant", image->grant_names[budget->grant]);
	if (budget->service != WEIR_ANY)
		json_put_text(reply, "service", image->service_names[budget->service]);
	if (budget->partner != WEIR_ANY)
		json_put_text(reply, "partner", image->partner_names[budget->partner]);
	if (budget->kind == BUDGET_STRANGER)
		json_put_text(reply, "direction", direction_name(budget->direction));
}

static uint64_t put_budget(struct host *host, const struct budgets *budgets,
			   const struct budget_use *budget, struct json_out *reply)
{
	struct budget_state state;
	uint64_t assumed;

	if (budget_read(host, budgets->peer, budget, &state) < 0)
		return 0;
	json_open(reply, NULL, '{');
	put_whose(&host->image, budget, reply);
	json_put_text(reply, "on_breach", breach_name(state.on_breach));
	json_put_bool(reply, "observe", state.is_observed);
	json_put_bool(reply, "is_full", budget->is_full);
	if (budget->kind == BUDGET_GRANT)
		put_hours(host, budget, reply);
	assumed = put_windows(&state, reply);
	json_close(reply, '}');
	return assumed;
}

uint64_t budgets_put(struct host *host, const struct budgets *budgets, struct json_out *reply)
{
	uint64_t assumed = 0;

	json_open(reply, "budgets", '[');
	for (size_t i = 0; i < budgets->count && i < MOST_LISTED; i++)
		assumed += put_budget(host, budgets, &budgets->item[i], reply);
	json_close(reply, ']');
	json_put_uint(reply, "budget_count", budgets->count);
	json_put_uint(reply, "assumed_bytes", assumed);
	return assumed;
}

static void put_moment(const struct host *host, const char *key, uint64_t boot_ns,
		       struct json_out *reply)
{
	if (boot_ns)
		json_put_uint(reply, key,
			      (boot_ns + guard_control(host->guard).wall_offset_ns) /
				      NS_PER_SECOND);
	else
		json_put_null(reply, key);
}

void budgets_put_total(const struct host *host, const struct budgets *budgets,
		       struct json_out *reply)
{
	const struct total *total = &budgets->total;

	json_put_uint(reply, "sent_bytes", total->sent_bytes);
	json_put_uint(reply, "acked_bytes", total->acked_bytes);
	json_put_uint(reply, "refused_bytes", total->refused_bytes);
	json_put_uint(reply, "refused_packets", total->refused_packets);
	json_put_uint(reply, "would_refuse_packets", total->would_refuse_packets);
	json_put_uint(reply, "edge_dropped_packets", total->edge_packets);
	put_moment(host, "last_sent_at", budgets->last_sent_ns, reply);
	put_moment(host, "last_refused_at", budgets->last_refused_ns, reply);
}
