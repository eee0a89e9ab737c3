/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * outliving_held.c - latches, and what a stage under way could be cut again by.
 *
 * Each would be a cut under the policy that is left. Whether it means something else under the
 * other one is tried with all of them at once, on a copy: what gets a stand-in does.
 */
#include "user/daemon/outliving_held.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/daemon/latches.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/outliving.h"
#include "user/daemon/planning.h"
#include "user/policy/same.h"
#include "user/policy/target.h"

/* What would be cut. */
struct held {
	char *target, *reason;
	uint64_t id; /* on the copy */
	bool is_lost;
};

struct work {
	const struct host *host;
	const struct image *before, *after;
	struct names_of_keys names; /* of `before` */
	uint64_t wall_ns;
	struct held *item;
	size_t count;
};

static void work_free(struct work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		free(work->item[i].target);
		free(work->item[i].reason);
	}
	free(work->item);
	names_free(&work->names);
}

__attribute__((format(printf, 1, 2))) static char *text_of(const char *format, ...)
{
	va_list arguments;
	char *text;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	return r < 0 ? NULL : text;
}

/* Takes the texts over. */
static int add(struct work *work, char *target, char *reason, bool is_lost)
{
	struct held *room = NULL;

	for (size_t i = 0; target && i < work->count && !room; i++) {
		if (strcmp(work->item[i].target, target) == 0)
			room = &work->item[i];
	}
	if (target && reason && !room) {
		room = ARRAY_ADD(work->item, work->count);
		if (room) {
			*room = (struct held){.target = target, .reason = reason};
			work->count++;
			target = reason = NULL;
		}
	}
	free(target);
	free(reason);
	if (!room)
		return -ENOMEM;
	room->is_lost |= is_lost;
	return 0;
}

/* ---- latches -------------------------------------------------------------------------------- */

/* Whether what went by the grant goes by another under `after`, or by none; where all of the
 * service's and the partner's is theirs there too. */
static bool has_other_rules(const struct work *work, uint32_t service, uint32_t partner,
			    uint32_t grant)
{
	const struct image_relation before = {work->before, service, partner};
	const struct image_relation after = {
		work->after, image_service(work->after, work->before->service_names[service]),
		image_partner(work->after, work->before->partner_names[partner])};

	return after.service == WEIR_ANY || after.partner == WEIR_ANY ||
	       image_grant(work->after, work->before->grant_names[grant]) == WEIR_ANY ||
	       !relations_are_same(&before, &after, grant, work->wall_ns);
}

/* What `before` has no name for holds nothing there. */
static int add_latch(struct work *work, const struct latch *latch)
{
	const struct image *before = work->before;
	uint32_t service = names_service_index(&work->names, latch->service_key);
	uint32_t partner = names_partner_index(&work->names, latch->partner_key);
	uint32_t grant = names_grant_index(&work->names, latch->grant_key);

	if (service == TABLE_NONE || !latch->service_key)
		return 0;
	if (latch_is_of_strangers(latch))
		return add(work, text_of("strangers@service:%s", before->service_names[service]),
			   text_of("severed: a stranger"), false);
	if (partner == TABLE_NONE || grant == TABLE_NONE)
		return 0;
	return add(work,
		   text_of("partner:%s@service:%s", before->partner_names[partner],
			   before->service_names[service]),
		   text_of("severed: grant %s", before->grant_names[grant]),
		   has_other_rules(work, service, partner, grant));
}

/* Those of a damaged file are told, and assumed, where the meters are restored. */
static int read_latches(const struct host *host, struct latches *latches)
{
	int r;

	if (host->guard && !guard_former_loss(host->guard))
		return latches_read(host, latches);
	r = latches_saved(host, latches);
	return r == -EBADMSG ? 0 : r;
}

static int add_latches(struct work *work)
{
	struct latches latches = {0};
	int r = read_latches(work->host, &latches);

	for (size_t i = 0; i < latches.count && r == 0; i++)
		r = add_latch(work, &latches.item[i]);
	latches_free(&latches);
	return r;
}

/* ---- a stage under way ---------------------------------------------------------------------- */

static int add_stage(struct work *work, const struct plan_run *run)
{
	const struct plan_stage *stage = plan_stage(run);
	struct weir_cut_entry entry;
	int r = 0;

	for (size_t i = 0; i < stage->targets.count && r == 0; i++) {
		const char *target = stage->targets.item[i].text;

		if (target_resolve(work->before, target, &entry, NULL) == 0)
			r = add(work, strdup(target),
				text_of("plan %s, stage %s: the policy that it was let back under "
					"is over",
					run->plan.name.text, stage->name.text),
				false);
	}
	return r;
}

/* A damaged plan is told where it is taken up. */
static int add_plan(struct work *work)
{
	struct plan_run *saved = NULL;
	const struct plan_run *run = work->host->plan;
	int r = 0;

	if (!run && plan_load(work->host, &saved) == 0)
		run = saved;
	if (run && run->phase != PLAN_WAITS)
		r = add_stage(work, run);
	plan_run_free(saved);
	return r;
}

/* ---- tried, and cut ---------------------------------------------------------------------------
 */

static int add_cut(const struct work *work, struct held *held, struct orders *orders)
{
	const struct order_text text = {.target = held->target,
					.reason = held->reason,
					.by = "guard",
					.since_ns = work->wall_ns,
					.is_needed = true};

	return orders_add_cut(orders, &text, &held->id);
}

/* Whose words mean something else under `after`. */
static int try_all(struct work *work, const struct orders *orders, char **problem)
{
	_cleanup_orders_ struct orders copy = {0};
	int r = orders_copy(orders, &copy);

	for (size_t i = 0; i < work->count && r == 0; i++)
		r = add_cut(work, &work->item[i], &copy);
	if (r == 0)
		r = cuts_outlive(work->before, work->after, work->wall_ns, &copy, problem);
	for (size_t i = 0; i < work->count && r == 0; i++) {
		for (size_t j = 0; j < copy.count && !work->item[i].is_lost; j++)
			work->item[i].is_lost = copy.item[j].stands_for == work->item[i].id;
	}
	return r;
}

/* One without an end, and with nothing let back: it holds all of it already. */
static bool is_cut_already(const struct orders *orders, const char *target)
{
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];
		bool has_exception = false;

		if (!order_is_cut(order) || order->until_ns || strcmp(order->target, target) != 0)
			continue;
		for (size_t j = 0; j < orders->count; j++)
			has_exception |= orders->item[j].parent == order->id;
		if (!has_exception)
			return true;
	}
	return false;
}

static int cut_lost(struct work *work, struct orders *orders)
{
	int r = 0;

	for (size_t i = 0; i < work->count && r == 0; i++) {
		if (work->item[i].is_lost && !is_cut_already(orders, work->item[i].target))
			r = add_cut(work, &work->item[i], orders);
	}
	return r;
}

int held_outlives(const struct host *host, const struct image *before, const struct image *after,
		  uint64_t wall_ns, struct orders *orders, char **problem)
{
	struct work work = {.host = host, .before = before, .after = after, .wall_ns = wall_ns};
	int r = names_init(&work.names, before);

	if (r == 0)
		r = add_latches(&work);
	if (r == 0)
		r = add_plan(&work);
	if (r == 0 && work.count)
		r = try_all(&work, orders, problem);
	if (r == 0)
		r = cut_lost(&work, orders);
	work_free(&work);
	if (r < 0 && !*problem)
		tell_problem(problem, r, "cannot see what is held back: %s", strerror(-r));
	return r;
}
