/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * outliving_held.c - latches, and what a stage under way could be cut again by.
 *
 * A latch holds the same under the policy that is left if its service has the same cgroups there,
 * its partner the same addresses, and its grant the same rules. Of a stage each target would be a
 * cut there: whether it means something else is tried, on a copy, and what gets a stand-in does.
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
#include "user/daemon/outliving_parts.h"
#include "user/daemon/planning.h"
#include "user/policy/same.h"
#include "user/policy/target.h"

/* So many latches are cut each by itself. With more, or where there is no room for them but that of
 * signed orders, their services are: the way back waits for no room. */
enum { HELD_MOST = 256 };

/* What would be cut. */
struct held {
	char *target, *reason;
	uint64_t id; /* on the copy */
	bool is_lost;
};

struct held_list {
	struct held *item;
	size_t count;
};

enum place { PLACE_UNKNOWN, PLACE_SAME, PLACE_OTHER };

struct work {
	const struct host *host;
	struct outliving same;	    /* what is moved */
	struct names_of_keys names; /* of `before` */
	/* parallel to the services of `before` */
	enum place *place;
	size_t *severed;	  /* latches that are lost */
	struct held_list latches, /* those, up to HELD_MOST + 1 */
		stage;
};

static int work_init(struct work *work, const struct orders *orders)
{
	const struct weir_policy_head *head = &work->same.before->head;

	work->same.is_moved = calloc(head->partners + 1, sizeof(*work->same.is_moved));
	work->place = calloc(head->services + 1, sizeof(*work->place));
	work->severed = calloc(head->services + 1, sizeof(*work->severed));
	if (!work->same.is_moved || !work->place || !work->severed)
		return -ENOMEM;
	outliving_find_moved(&work->same, orders);
	return names_init(&work->names, work->same.before);
}

static void list_free(struct held_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->item[i].target);
		free(list->item[i].reason);
	}
	free(list->item);
}

static void work_free(struct work *work)
{
	list_free(&work->latches);
	list_free(&work->stage);
	free(work->same.is_moved);
	free(work->place);
	free(work->severed);
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
static int add(struct held_list *list, char *target, char *reason, bool is_lost)
{
	struct held *room = NULL;

	for (size_t i = 0; target && i < list->count && !room; i++) {
		if (strcmp(list->item[i].target, target) == 0)
			room = &list->item[i];
	}
	if (target && reason && !room) {
		room = ARRAY_ADD(list->item, list->count);
		if (room) {
			*room = (struct held){
				.target = target, .reason = reason, .is_lost = is_lost};
			list->count++;
			target = reason = NULL;
		}
	}
	free(target);
	free(reason);
	return room ? 0 : -ENOMEM;
}

/* ---- latches -------------------------------------------------------------------------------- */

/* Whether what went by the grant goes by another under `after`, or by none; where all of the
 * service's and the partner's is theirs there too. */
static bool has_other_rules(const struct work *work, uint32_t service, uint32_t partner,
			    uint32_t grant)
{
	const struct image *older = work->same.after, *left = work->same.before;
	const struct image_relation before = {left, service, partner};
	const struct image_relation after = {older,
					     image_service(older, left->service_names[service]),
					     image_partner(older, left->partner_names[partner])};

	return after.service == WEIR_ANY || after.partner == WEIR_ANY ||
	       image_grant(older, left->grant_names[grant]) == WEIR_ANY ||
	       !relations_are_same(&before, &after, grant, work->same.wall_ns);
}

/* Whether its cgroups are another service's under `after`, all or some. */
static int is_moved(struct work *work, uint32_t service, bool *ret)
{
	uint32_t after;
	int r = 0;

	if (work->place[service] == PLACE_UNKNOWN) {
		r = outliving_service_after(&work->same, service, &after);
		if (r == 0)
			work->place[service] = after == WEIR_ANY ? PLACE_OTHER : PLACE_SAME;
	}
	*ret = work->place[service] == PLACE_OTHER;
	return r;
}

/* What would hold nothing under `after`, by the words of `before`. Beyond HELD_MOST the services
 * are all that is asked for. */
static int add_lost(struct work *work, uint32_t service, uint32_t partner, uint32_t grant)
{
	const struct image *before = work->same.before;
	const char *name = before->service_names[service];

	work->severed[service]++;
	if (work->latches.count > HELD_MOST)
		return 0;
	if (partner == TABLE_NONE)
		return add(&work->latches, text_of("strangers@service:%s", name),
			   text_of("severed: a stranger"), true);
	return add(&work->latches,
		   text_of("partner:%s@service:%s", before->partner_names[partner], name),
		   text_of("severed: grant %s", before->grant_names[grant]), true);
}

/* What `before` has no name for holds nothing there. */
static int add_latch(struct work *work, const struct latch *latch)
{
	uint32_t service = names_service_index(&work->names, latch->service_key);
	uint32_t partner = names_partner_index(&work->names, latch->partner_key);
	uint32_t grant = names_grant_index(&work->names, latch->grant_key);
	bool is_lost;
	int r;

	if (service == TABLE_NONE || !latch->service_key)
		return 0;
	r = is_moved(work, service, &is_lost);
	if (latch_is_of_strangers(latch))
		partner = TABLE_NONE;
	else if (partner == TABLE_NONE || grant == TABLE_NONE)
		return r;
	else
		is_lost = is_lost || work->same.is_moved[partner] ||
			  has_other_rules(work, service, partner, grant);
	return r < 0 || !is_lost ? r : add_lost(work, service, partner, grant);
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

		if (target_resolve(work->same.before, target, &entry, NULL) == 0)
			r = add(&work->stage, strdup(target),
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

static int add_cut(const struct work *work, const struct held *held, bool is_needed,
		   struct orders *orders, uint64_t *id)
{
	const struct order_text text = {.target = held->target,
					.reason = held->reason,
					.by = "guard",
					.since_ns = work->same.wall_ns,
					.is_needed = is_needed};

	return orders_add_cut(orders, &text, id);
}

/* What is added to partners counts, and nothing else of the orders: however many there are, the
 * copy has room. */
static int copy_additions(const struct orders *orders, struct orders *copy)
{
	int r = orders_copy(orders, copy);
	size_t kept = 0;

	for (size_t i = 0; i < copy->count && r == 0; i++) {
		if (copy->item[i].kind == WEIR_ORDER_PARTNER_ADD)
			copy->item[kept++] = copy->item[i];
	}
	copy->count = kept;
	return r;
}

/* Which targets of the stage mean something else under `after`. */
static int try_stage(struct work *work, const struct orders *orders, char **problem)
{
	_cleanup_orders_ struct orders copy = {0};
	struct held_list *stage = &work->stage;
	int r = copy_additions(orders, &copy);

	for (size_t i = 0; i < stage->count && r == 0; i++)
		r = add_cut(work, &stage->item[i], true, &copy, &stage->item[i].id);
	if (r == 0)
		r = cuts_outlive(work->same.before, work->same.after, work->same.wall_ns, &copy,
				 problem);
	for (size_t i = 0; i < stage->count && r == 0; i++) {
		for (size_t j = 0; j < copy.count && !stage->item[i].is_lost; j++)
			stage->item[i].is_lost = copy.item[j].stands_for == stage->item[i].id;
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

static int cut_list(const struct work *work, const struct held_list *list, bool is_needed,
		    struct orders *orders)
{
	uint64_t id;
	int r = 0;

	for (size_t i = 0; i < list->count && r == 0; i++) {
		if (list->item[i].is_lost && !is_cut_already(orders, list->item[i].target))
			r = add_cut(work, &list->item[i], is_needed, orders, &id);
	}
	return r;
}

/* Wider than what was severed, and told as such. */
static int cut_services(const struct work *work, struct orders *orders)
{
	const struct image *before = work->same.before;
	struct held_list services = {0};
	int r = 0;

	for (uint32_t i = 0; i < before->head.services && r == 0; i++) {
		if (work->severed[i])
			r = add(&services, text_of("service:%s", before->service_names[i]),
				text_of("severed: %zu accounts of it, and no room to cut each",
					work->severed[i]),
				true);
	}
	if (r == 0)
		r = cut_list(work, &services, true, orders);
	list_free(&services);
	return r;
}

/* Whether there is room to cut each, with what stands for it, beside that of signed orders; tried
 * on a copy. 0, -ENOSPC or -ENOMEM. */
static int try_latches(const struct work *work, const struct orders *orders)
{
	_cleanup_orders_ struct orders copy = {0};
	_cleanup_free_ char *problem = NULL;
	int r = work->latches.count > HELD_MOST ? -ENOSPC : orders_copy(orders, &copy);

	copy.spare = orders->spare;
	if (r == 0)
		r = cut_list(work, &work->latches, false, &copy);
	if (r == 0)
		r = cut_list(work, &work->stage, true, &copy);
	if (r == 0)
		r = cuts_outlive(work->same.before, work->same.after, work->same.wall_ns, &copy,
				 &problem);
	if (r == 0 && copy.count + ORDERS_FOR_SIGNED + copy.spare > WEIR_MAX_ORDERS)
		r = -ENOSPC;
	return r;
}

static int cut_lost(const struct work *work, struct orders *orders)
{
	int r = work->latches.count ? try_latches(work, orders) : 0;

	if (r == 0)
		r = cut_list(work, &work->latches, false, orders);
	else if (r == -ENOSPC)
		r = cut_services(work, orders);
	return r < 0 ? r : cut_list(work, &work->stage, true, orders);
}

static int tell_failure(int error, char **problem)
{
	if (error == -ENOSPC)
		return tell_problem(problem, error,
				    "there is no room to cut what is severed, or let back in "
				    "stages: reopen some cuts, or confirm the policy");
	return tell_problem(problem, error, "cannot see what is held back: %s", strerror(-error));
}

int held_outlives(const struct host *host, const struct image *before, const struct image *after,
		  uint64_t wall_ns, struct orders *orders, char **problem)
{
	struct work work = {.host = host,
			    .same = {.before = before, .after = after, .wall_ns = wall_ns}};
	int r = work_init(&work, orders);

	if (r == 0)
		r = add_latches(&work);
	if (r == 0)
		r = add_plan(&work);
	if (r == 0 && work.stage.count)
		r = try_stage(&work, orders, problem);
	if (r == 0)
		r = cut_lost(&work, orders);
	work_free(&work);
	return r < 0 && !*problem ? tell_failure(r, problem) : r;
}
