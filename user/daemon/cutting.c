/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cutting.c - carries out a cut: in the kernel first, then the sockets, then the disk.
 */
#include "user/daemon/cutting.h"

#include <inttypes.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/dry_run.h"
#include "user/daemon/namespaces.h"
#include "user/daemon/orders_change.h"
#include "user/policy/target.h"

void order_format(uint64_t id, char *text, size_t size)
{
	snprintf(text, size, "c%" PRIu64, id);
}

void latch_format(uint64_t account, char *text, size_t size)
{
	snprintf(text, size, "g%016" PRIx64, account);
}

bool order_lets_back(const struct order_origin *origin, const char *target)
{
	for (size_t i = 0; origin && i < origin->let_back_count; i++) {
		if (strcmp(origin->let_back[i], target) == 0)
			return true;
	}
	return false;
}

/*
 * Every target must be one of the policy's before anything is done. Not of a signed order, which is
 * for many hosts: what is not here now is kept, and cut when a policy brings it; but whether a
 * foreign policy has it cannot be said.
 */
static int check_targets(const struct host *host, const struct order_request *request,
			 size_t *matched, char **problem)
{
	bool may_be_missing = request->origin && !host->is_foreign;

	for (size_t i = 0; i < request->target_count; i++) {
		const char *target = request->target[i];
		struct weir_cut_entry entry;
		int r;

		if (may_be_missing && target_resolve(&host->image, target, &entry, NULL) == -ENOENT)
			continue;
		r = host_resolve(host, target, &entry, problem);
		if (r < 0)
			return r;
		++*matched;
	}
	return 0;
}

static uint64_t end_of(const struct order_request *request, uint64_t now)
{
	if (request->origin)
		return request->origin->until_ns;
	return request->for_ns ? now + request->for_ns : 0;
}

/* A cut of the signed order that is there already: who ended between the kernel and the disk left
 * it half done. 0: it is not there. */
static uint64_t find_cut(const struct orders *orders, const struct order_origin *origin,
			 const char *target)
{
	for (size_t i = 0; origin && i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (order_is_cut(order) && order_is_of(order, origin->body) &&
		    strcmp(order->target, target) == 0)
			return order->id;
	}
	return 0;
}

static int add_cut(struct orders *orders, const struct order_request *request,
		   const struct order_text *text, uint64_t *first)
{
	uint64_t id = find_cut(orders, request->origin, text->target);
	int r = id ? 0 : orders_add_cut(orders, text, &id);

	if (r == 0 && !*first)
		*first = id;
	return r;
}

/* What reopenings that came before their cut let back of it. */
static int let_back(const struct host *host, const struct order_origin *origin, uint64_t cut,
		    struct order_text *text, struct orders *orders)
{
	for (size_t i = 0; i < origin->let_back_count; i++) {
		enum let_back how;
		uint64_t exception;
		int r;

		text->target = origin->let_back[i];
		r = orders_let_back(host, orders, cut, text, &how, &exception);
		if (r < 0 || how == LET_WHOLE)
			return r;
	}
	return 0;
}

/* The cuts have come first: what finds no room behind them stays cut. */
static int let_back_all(struct host *host, const struct order_request *request,
			struct order_text *text, struct orders *orders)
{
	int r = 0;

	for (size_t i = 0; request->origin && i < request->target_count && r == 0; i++)
		r = let_back(host, request->origin,
			     find_cut(orders, request->origin, request->target[i]), text, orders);
	if (r != -ENOSPC)
		return r;
	host_tell(host, "no-room", RECORD_HIGH,
		  (struct record_field[]){{"order", request->origin->id, 0}}, 1,
		  "there are %d orders: what reopenings let back of order %.12s stays cut in part",
		  WEIR_MAX_ORDERS, request->origin->id);
	return 0;
}

static int add_cuts(struct host *host, const struct order_request *request, struct orders *orders,
		    uint64_t *first, char **problem)
{
	uint64_t now = host_wall(host);
	struct order_text text = {.reason = request->reason,
				  .by = request->by,
				  .since_ns = now,
				  .until_ns = end_of(request, now),
				  .body = request->origin ? request->origin->body : NULL};
	int r = 0;

	for (size_t i = 0; i < request->target_count && r == 0; i++) {
		text.target = request->target[i];
		r = add_cut(orders, request, &text, first);
	}
	if (r == 0)
		r = let_back_all(host, request, &text, orders);
	return r < 0 ? orders_problem(r, &text, problem) : 0;
}

/* Whether the order is a cut of this request's, whose first one is `first`: a local one has one of
 * each target, one behind the other. */
static bool is_its_cut(const struct order_request *request, uint64_t first,
		       const struct weir_order *order)
{
	if (!order_is_cut(order))
		return false;
	return request->origin ? order_is_of(order, request->origin->body)
			       : order->id - first < request->target_count;
}

/* ---- the answer ----------------------------------------------------------------------------- */

void cut_put_result(struct json_out *reply, const struct sever_result *result)
{
	json_put_uint(reply, "selected", result->selected);
	json_put_uint(reply, "ended", result->ended);
	json_put_uint(reply, "namespaces", result->reach.namespaces);
	json_put_uint(reply, "closed_namespaces", result->reach.closed);
	json_put_thousandths(reply, "ending_took_ms", result->took_ns / 1000);
	json_put_text(reply, "way", result->by_iterator ? "iterator" : "sock_diag");
}

static void put_cuts(struct json_out *reply, const struct orders *orders,
		     const struct order_request *request, uint64_t first)
{
	json_open(reply, "cuts", '[');
	for (size_t i = 0; i < orders->count; i++) {
		char id[24];

		if (!is_its_cut(request, first, &orders->item[i]))
			continue;
		order_format(orders->item[i].id, id, sizeof(id));
		json_open(reply, NULL, '{');
		json_put_text(reply, "id", id);
		json_put_text(reply, "target", orders->item[i].target);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

/* ---- the order ------------------------------------------------------------------------------ */

static void tell_cuts(struct host *host, const struct order_request *request, uint64_t first,
		      const struct sever_result *result)
{
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];
		char id[24];
		struct record_field field[] = {
			{"order", id, 0},
			{"target", order->target, 0},
			{"order_reason", order->reason, 0},
			{"by", order->by, 0},
			{"ended_connections", NULL, result->ended},
		};

		if (!is_its_cut(request, first, order))
			continue;
		order_format(order->id, id, sizeof(id));
		host_tell(host, "cut", RECORD_HIGH, field, sizeof(field) / sizeof(field[0]),
			  "cut %s: %s, by %s: %s", id, order->target, order->by, order->reason);
	}
}

static int journal_cuts(struct host *host, const struct order_request *request, uint64_t first,
			const struct sever_result *result, const char *in_part)
{
	const struct order_origin *origin = request->origin;
	const struct orders *orders = &host->orders;
	_cleanup_free_ struct journal_order *line = calloc(orders->count, sizeof(*line));
	_cleanup_free_ char(*id)[24] = calloc(orders->count, sizeof(*id));
	_cleanup_free_ const char **target = calloc(orders->count, sizeof(*target));
	size_t count = 0;

	if (!line || !id || !target)
		return -ENOMEM;
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (!is_its_cut(request, first, order))
			continue;
		order_format(order->id, id[count], sizeof(*id));
		target[count] = order->target;
		line[count] = (struct journal_order){.kind = "cut",
						     .id = id[count],
						     .target = &target[count],
						     .target_count = 1,
						     .reason = order->reason,
						     .since_ns = order->since_ns,
						     .until_ns = order->until_ns,
						     .has_ended = true,
						     .ended = result->ended,
						     .in_part = in_part};
		if (origin) {
			line[count].body_sha256 = origin->id;
			line[count].signature = origin->signature;
			line[count].signature_count = origin->signature_count;
		}
		count++;
	}
	return journaling_after(host, line, count);
}

/* By the clock that the kernel's programs have, so that who watches from outside can compare. */
void order_put_times(struct json_out *reply, const struct order_times *times)
{
	json_open(reply, "boot_ns", '{');
	json_put_uint(reply, "accepted", times->accepted_ns);
	json_put_uint(reply, "in_force", times->in_force_ns);
	if (times->ended_ns)
		json_put_uint(reply, "ended", times->ended_ns);
	json_put_uint(reply, "saved", times->saved_ns);
	json_close(reply, '}');
}

/* What failed of a cut: -errno, or 0. */
struct failures {
	bool is_over; /* else it holds */
	int kept, saved, written, ended;
	char *why_not_ended; /* malloc'd, or NULL */
};

static int tell_failures(const struct failures *failures, char **problem)
{
	const char *cut = failures->is_over ? "the cut is over" : "the cut holds";

	if (failures->kept < 0)
		return tell_problem(problem, DONE_IN_PART,
				    "%s, but its text could not be kept in the kernel: %s", cut,
				    strerror(-failures->kept));
	if (failures->saved < 0)
		return tell_problem(problem, DONE_IN_PART, "%s, but it is not saved: %s", cut,
				    strerror(-failures->saved));
	if (failures->written < 0)
		return tell_problem(problem, DONE_IN_PART, "%s, but the journal lacks it: %s", cut,
				    strerror(-failures->written));
	if (failures->ended < 0)
		return tell_problem(problem, DONE_IN_PART, "%s, but sockets could not be ended: %s",
				    cut, failures->why_not_ended ?: strerror(-failures->ended));
	return 0;
}

/* A network namespace that is closed to this process stays so: that is told, and not tried again.
 */
static void end_sockets(struct host *host, struct failures *failures, struct sever_result *result)
{
	struct weir_sever_request sockets = {.mode = WEIR_SEVER_CUT, .cut_slot = WEIR_ANY};

	failures->ended = guard_sever(host->guard, &sockets, false, NULL, NULL, result,
				      &failures->why_not_ended);
	host->has_unended_sockets = failures->ended < 0 && !result->reach.closed;
	namespaces_note(host, &result->reach);
}

/* From here on the cut holds, whatever fails. `is_done`: by another process, which tells it and has
 * the journal's line (or ended before: journaling_found.c). */
static int end_and_save(struct host *host, const struct order_request *request, uint64_t first,
			bool is_done, int kept, struct order_times *times, struct json_out *reply,
			char **problem)
{
	struct failures failures = {.kept = kept};
	_cleanup_free_ char *why = NULL;
	struct sever_result result = {0};
	const char *in_part = NULL;

	end_sockets(host, &failures, &result);
	times->ended_ns = boot_now();
	failures.saved = orders_to_disk(host);
	host->has_unsaved_orders = failures.saved < 0;
	why = failures.why_not_ended;
	if (failures.ended < 0)
		in_part = why ?: strerror(-failures.ended);
	if (!is_done)
		failures.written = journal_cuts(host, request, first, &result, in_part);
	times->saved_ns = boot_now();
	order_put_times(reply, times);
	cut_put_result(reply, &result);
	put_cuts(reply, &host->orders, request, first);
	json_put_bool(reply, "saved", failures.saved == 0 && failures.written == 0);
	if (!is_done)
		tell_cuts(host, request, first, &result);
	return tell_failures(&failures, problem);
}

int cuts_finish(struct host *host, bool is_over, char **problem)
{
	struct journaling *journaling = &host->journaling;
	struct failures failures = {.is_over = is_over};
	_cleanup_free_ char *why = NULL;
	struct sever_result result = {0};
	bool is_unknown = !host->is_daemon;

	if (host->has_unkept_orders)
		failures.kept = orders_keep_texts(host, &host->orders);
	if (!is_over && (host->has_unended_sockets || is_unknown))
		end_sockets(host, &failures, &result);
	why = failures.why_not_ended;
	failures.saved = is_unknown ? orders_to_disk(host) : orders_save_late(host);
	journaling->wants_found |= is_unknown;
	journaling_catch_up(host);
	if (journaling->waiting_count || journaling->wants_found)
		failures.written = -EIO;
	return tell_failures(&failures, problem);
}

/*
 * The texts first: who takes the guard over after a crash between the two compiles the cuts from
 * them, and so ends on the strict side. A text that could not be kept (*kept) holds up no cut.
 */
static int put_in_force(struct host *host, const struct orders *orders,
			const struct order_table *table, int *kept, char **problem)
{
	int r;

	*kept = orders_keep_texts(host, orders);
	r = guard_set_cuts(host->guard, table);
	if (r == 0)
		return 0;
	guard_set_orders(host->guard, host->orders.item, host->orders.count);
	return tell_problem(problem, r, "the kernel refused the cut: %s", strerror(-r));
}

static int cut_locked(struct host *host, const struct order_request *request, uint64_t accepted_ns,
		      struct json_out *reply, char **problem)
{
	struct order_times times = {.accepted_ns = accepted_ns};
	uint64_t began = boot_now(), first = 0, done = 0;
	size_t matched = 0;
	_cleanup_orders_ struct orders orders = {0};
	_cleanup_order_table_ struct order_table table = {0};
	int r, kept = 0;

	r = orders_begin(host, &orders, problem);
	if (request->is_again)
		orders.spare = 0;
	if (r == 0)
		r = check_targets(host, request, &matched, problem);
	if (r == 0)
		r = add_cuts(host, request, &orders, &first, problem);
	if (r == 0 && !request->is_dry_run)
		done = order_find_done(host, &orders, request->asked_ns);
	if (done) {
		orders_free(&orders);
		r = orders_begin(host, &orders, problem);
	}
	if (r == 0)
		r = orders_compile_for(host, &orders, &table, problem);
	if (r == 0 && request->is_dry_run)
		return cut_dry_run(host, request, &table, reply, problem);
	/* Also what another process has ordered: it may have ended before it was in force. */
	if (r == 0)
		r = put_in_force(host, &orders, &table, &kept, problem);
	if (r < 0)
		return r;
	json_put_uint(reply, "matched", matched);
	times.in_force_ns = boot_now();
	json_put_thousandths(reply, "in_force_after_ms", (times.in_force_ns - began) / 1000);
	orders_hold(host, &orders);
	return end_and_save(host, request, done ?: first, done, kept, &times, reply, problem);
}

int host_cut(struct host *host, const struct order_request *request, struct json_out *reply,
	     char **problem)
{
	uint64_t accepted_ns = boot_now();
	int r = guard_lock_told(host->guard, problem);

	if (r < 0)
		return r;
	r = cut_locked(host, request, accepted_ns, reply, problem);
	guard_unlock(host->guard);
	return r;
}
