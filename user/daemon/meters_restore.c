/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_restore.c - what a meter that was saved is worth now.
 */
#include "user/daemon/meters_restore.h"

#include <string.h>

static __u64 *slice_of_age(struct weir_window *w, unsigned age)
{
	return &w->slice[(w->head + WEIR_SLICES - age) % WEIR_SLICES];
}

static void part_set(struct kept_part *part, uint64_t bytes, unsigned age)
{
	*part = (struct kept_part){.bytes = bytes, .age = bytes ? age : 0};
}

/* Drops the slices that had left the window at `at`, as window_advance() does. */
static void window_settle(struct weir_window *w, struct kept_part *part, uint64_t at)
{
	uint64_t elapsed = (at - w->slice_start_ns) / w->slice_ns;

	if (!elapsed)
		return;
	for (unsigned i = 0; i < elapsed && i < WEIR_SLICES; i++)
		w->slice[(w->head + 1 + i) % WEIR_SLICES] = 0;
	w->head = (w->head + elapsed) % WEIR_SLICES;
	w->slice_start_ns += elapsed * w->slice_ns;
	if (elapsed + part->age >= WEIR_SLICES)
		part_set(part, 0, 0);
	else
		part_set(part, part->bytes, part->age + elapsed);
	w->used_bytes = 0;
	for (unsigned i = 0; i < WEIR_SLICES; i++)
		w->used_bytes += w->slice[i];
}

/* A moment still to come stays as far away. */
static uint64_t moved(uint64_t until_ns, const struct meters_times *times)
{
	return until_ns > times->saved_boot_ns
		       ? times->now_boot_ns + (until_ns - times->saved_boot_ns)
		       : 0;
}

/* A start before this boot wraps; the kernel's differences come out right all the same. */
static void window_move(struct weir_window *w, struct kept_part *part,
			const struct meters_times *times)
{
	if (!w->window_ns || !w->slice_ns) /* none, or one that a packet is just making */
		return;
	window_settle(w, part, times->saved_boot_ns);
	w->slice_start_ns += times->now_boot_ns - times->saved_boot_ns;
	w->warned_until_ns = moved(w->warned_until_ns, times);
	w->alerted_until_ns = moved(w->alerted_until_ns, times);
}

static void window_clear(struct weir_window *w, uint64_t window_ns, uint64_t now)
{
	*w = (struct weir_window){.window_ns = window_ns,
				  .slice_ns = window_ns / (WEIR_SLICES - 1),
				  .slice_start_ns = window_ns ? now : 0};
}

/* As window_refit() in bpf/meter.bpf.h. */
static void window_refit(struct weir_window *to, struct kept_part *to_part,
			 const struct weir_window *from, const struct kept_part *from_part,
			 uint64_t window_ns, uint64_t now)
{
	uint64_t end = from->slice_start_ns + from->slice_ns;

	window_clear(to, window_ns, now);
	part_set(to_part, 0, 0);
	if (!to->slice_ns || !from->slice_ns)
		return;
	for (unsigned age = 0; age < WEIR_SLICES; age++) {
		uint64_t bytes = from->slice[(from->head + WEIR_SLICES - age) % WEIR_SLICES];
		int64_t late = (int64_t)(now - (end - age * from->slice_ns));
		uint64_t place = late <= 0 ? 0 : (late + to->slice_ns - 1) / to->slice_ns;

		if (place >= WEIR_SLICES)
			continue;
		*slice_of_age(to, place) += bytes;
		to->used_bytes += bytes;
		if (from_part->bytes && from_part->age == age)
			part_set(to_part, from_part->bytes, place);
	}
}

/* The shortest that covers `window_ns`, else the longest. */
static unsigned best_source(const struct weir_meter *m, uint64_t window_ns)
{
	unsigned best = 0;

	for (unsigned i = 1; i < WEIR_WINDOWS; i++) {
		uint64_t is = m->window[i].window_ns, was = m->window[best].window_ns;

		if (was >= window_ns ? is >= window_ns && is < was : is > was)
			best = i;
	}
	return best;
}

static void windows_fit(struct kept_meter *kept, const struct weir_limits *limits, uint64_t now)
{
	const struct kept_meter before = *kept;

	for (unsigned i = 0; i < WEIR_WINDOWS; i++) {
		uint64_t wanted = limits->window[i].window_ns;
		unsigned source = best_source(&before.meter, wanted);

		if (before.meter.window[i].window_ns == wanted)
			continue;
		window_refit(&kept->meter.window[i], &kept->part[i], &before.meter.window[source],
			     &before.part[source], wanted, now);
	}
}

void meter_carry(struct kept_meter *kept, const struct weir_limits *limits,
		 const struct meters_times *times)
{
	struct weir_meter *m = &kept->meter;
	int64_t offset = times->now_wall_ns - times->now_boot_ns;

	for (unsigned i = 0; i < WEIR_WINDOWS; i++)
		window_move(&m->window[i], &kept->part[i], times);
	if (m->severed_ns) { /* shown to people, so by the wall clock; and never 0 */
		m->severed_ns += times->saved_wall_ns - times->saved_boot_ns - offset;
		m->severed_ns = m->severed_ns ?: 1;
	}
	if (m->last_sent_ns)
		m->last_sent_ns += times->now_boot_ns - times->saved_boot_ns;
	m->told_ns = m->told = 0;
	if (limits)
		windows_fit(kept, limits, times->now_boot_ns);
}

void meter_make(struct kept_meter *kept, uint64_t grant_key, uint64_t service_key,
		uint64_t partner_key, const struct weir_limits *limits, uint64_t now_boot_ns)
{
	memset(kept, 0, sizeof(*kept));
	kept->key = weir_meter_key(grant_key, service_key, partner_key);
	kept->slot = METERS_NO_SLOT;
	kept->meter.grant_key = grant_key;
	kept->meter.service_key = service_key;
	kept->meter.partner_key = partner_key;
	for (unsigned i = 0; i < WEIR_WINDOWS; i++)
		window_clear(&kept->meter.window[i], limits->window[i].window_ns, now_boot_ns);
}

/* What was assumed before moves along: one part a window, at its latest. */
static void window_charge(struct weir_window *w, struct kept_part *part, uint64_t bytes)
{
	*slice_of_age(w, part->age) -= part->bytes;
	part_set(part, part->bytes + bytes, 0);
	*slice_of_age(w, 0) += part->bytes;
	w->used_bytes += bytes;
}

uint64_t meter_assume(struct kept_meter *kept, const struct weir_limits *limits, uint64_t bound,
		      bool only_shortest)
{
	const uint64_t most = UINT64_C(1) << 55; /* what the file can hold; no link carries it */
	uint64_t bytes = bound < most ? bound : most;
	unsigned count = 0;

	while (count < (only_shortest ? 1 : WEIR_WINDOWS) && limits->window[count].window_ns) {
		uint64_t limit = limits->window[count].bytes;
		uint64_t used = kept->meter.window[count].used_bytes;

		bytes = used >= limit ? 0 : limit - used < bytes ? limit - used : bytes;
		count++;
	}
	if (count == 0 || bytes == 0)
		return 0;
	for (unsigned i = 0; i < count; i++)
		window_charge(&kept->meter.window[i], &kept->part[i], bytes);
	return bytes;
}
