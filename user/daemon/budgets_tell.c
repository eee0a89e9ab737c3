/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * budgets_tell.c - budgets for people: what is used of them, and when there is room again.
 */
#include "user/daemon/budgets.h"

#include "user/daemon/budget_state.h"
#include "user/daemon/room.h"
#include "user/policy/words.h"

#define NS_PER_MS UINT64_C(1000000)

enum { MOST_LISTED = 1000, NEXT_BYTES = 1 << 20 };

/* Rounded up: a moment too early would be a promise that is not kept. */
static void put_room(struct json_out *reply, const char *key, uint64_t at, uint64_t now)
{
	if (at == ROOM_NEVER)
		json_put_null(reply, key);
	else
		json_put_uint(reply, key, (at - now + NS_PER_MS - 1) / NS_PER_MS);
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
		json_put_thousandths(reply, "seconds",
				     state->limits.window[i].window_ns / NS_PER_MS);
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
	if (state.overrule & WEIR_PROBATION)
		json_put_uint(reply, "parts", state.overrule % WEIR_PROBATION);
	else if (state.overrule)
		json_put_uint(reply, "more_bytes", state.overrule);
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
