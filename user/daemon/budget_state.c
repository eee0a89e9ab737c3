/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * budget_state.c - one budget, as the next packet would find it.
 */
#include "user/daemon/budget_state.h"

#include "user/daemon/metering.h"
#include "user/daemon/meters_restore.h"

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

/* What counts for a while. A partner's ceiling is of no service: no pause is about it alone. */
static int set_overrides(const struct host *host, const struct budget_use *budget,
			 struct budget_state *state)
{
	bool is_grant = budget->kind == BUDGET_GRANT;
	struct weir_answer answer;
	int r;

	if (budget->service == WEIR_ANY)
		return 0;
	r = host_overrides(host, budget->service, is_grant ? budget->partner : WEIR_NO_PARTNER,
			   is_grant ? budget->grant : WEIR_NO_GRANT, &answer);
	if (r < 0)
		return r;
	state->overrule = answer.overrule;
	state->is_observed |= answer.observe;
	for (size_t i = 0; i < WEIR_WINDOWS && state->limits.window[i].window_ns; i++)
		state->limits.window[i].bytes =
			weir_limit(state->limits.window[i].bytes, answer.overrule);
	return 0;
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
	r = set_overrides(host, budget, &found);
	if (r < 0)
		return r;
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
