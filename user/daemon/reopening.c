/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * reopening.c - carries out a reopening: in the journal first, then on disk, then in the kernel.
 *
 * A target that is a cut's own takes the whole cut out. One that lies inside a cut becomes an
 * exception to it. One that a cut covers only in part is left to that cut: the answer names it, so
 * that an operator can reopen it by its number.
 */
#include "user/daemon/cutting.h"

#include <inttypes.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/daemon/additions.h"
#include "user/daemon/latches.h"
#include "user/daemon/metering.h"
#include "user/daemon/orders_change.h"
#include "user/policy/target.h"

struct reopening {
	struct host *host;
	const struct order_request *request;
	struct json_out *reply;
	struct orders orders; /* as they will be; when they are, `host` has them */
	struct latches latches;
	uint64_t cut;	/* --order: only this one; 0: each that covers the target */
	uint64_t latch; /* --order of a latch */
	struct journal_cut *done;
	size_t done_count;
	uint64_t accepted_ns;
	uint64_t signed_cut; /* one that covers a target, and that only a signed order takes back */
};

/* What is to be done. `order`: id of the exception that it makes. */
static int note(struct reopening *work, const char *id, const char *target, const char *how,
		uint64_t order)
{
	struct journal_cut *done = ARRAY_ADD(work->done, work->done_count);

	if (!done)
		return -ENOMEM;
	done->how = how;
	snprintf(done->id, sizeof(done->id), "%s", id);
	snprintf(done->target, sizeof(done->target), "%s", target);
	if (order)
		order_format(order, done->exception, sizeof(done->exception));
	work->done_count++;
	return 0;
}

static int read_order_id(struct reopening *work, char **problem)
{
	const char *text = work->request->order;
	char *end;

	if (!text)
		return 0;
	if (text[0] == 'g') {
		work->latch = strtoull(text + 1, &end, 16);
		if (strlen(text) == 17 && *end == '\0')
			return 0;
	} else {
		work->cut = strtoull(text[0] == 'c' ? text + 1 : text, &end, 10);
		if (end != text && *end == '\0' && work->cut)
			return 0;
	}
	return tell_problem(problem, -EINVAL, "%s is no order: c3, or g and 16 digits", text);
}

/* ---- cuts ----------------------------------------------------------------------------------- */

static int take_out_one(struct reopening *work, const struct weir_order *order)
{
	char text[24];
	int r;

	order_format(order->id, text, sizeof(text));
	r = note(work, text, order->target, "whole", 0);
	return r < 0 ? r : orders_remove(&work->orders, order->id);
}

/* And what stands for it under a policy that lacks its object. */
static int take_out(struct reopening *work, uint64_t id)
{
	_cleanup_orders_ struct orders before = {0};
	int r = orders_copy(&work->orders, &before);

	if (r == 0 && !orders_find(&before, id))
		r = -ENOENT;
	for (size_t i = 0; i < before.count && r == 0; i++) {
		const struct weir_order *order = &before.item[i];

		if (order->id == id || (order_is_cut(order) && order->stands_for == id))
			r = take_out_one(work, order);
	}
	return r;
}

static int add_exception(struct reopening *work, uint64_t cut, const char *target, char **problem)
{
	struct order_text text = {.target = target,
				  .reason = work->request->reason,
				  .by = work->request->by,
				  .since_ns = host_wall(work->host)};
	char id[24];
	uint64_t order;
	int r = orders_add_exception(&work->orders, cut, &text, &order);

	if (r == -EEXIST)
		return 0;
	if (r < 0)
		return orders_problem(r, &text, problem);
	order_format(cut, id, sizeof(id));
	return note(work, id, target, "exception", order);
}

/* How the cut at `index` lies to the target; its object may be gone from the policy. */
static enum cover cover_of_order(const struct reopening *work, const struct weir_order *order,
				 const char *text, const struct weir_cut_entry *target)
{
	struct weir_cut_entry cut;

	if (strcmp(order->target, text) == 0)
		return COVER_SAME;
	if (target_resolve(&work->host->image, order->target, &cut, NULL) < 0)
		return COVER_NONE;
	return host_cover(work->host, &cut, target);
}

/* The ids are collected first, since reopening moves the orders. */
static int reopen_target(struct reopening *work, const char *text,
			 const struct weir_cut_entry *target, char **problem)
{
	_cleanup_orders_ struct orders before = {0};
	int r = orders_copy(&work->orders, &before);

	for (size_t i = 0; i < before.count && r == 0; i++) {
		const struct weir_order *order = &before.item[i];
		enum cover cover;

		if (!order_is_cut(order) || (work->cut && order->id != work->cut) ||
		    !orders_find(&work->orders, order->id))
			continue;
		cover = cover_of_order(work, order, text, target);
		if (order_is_signed(order) && cover != COVER_NONE) {
			work->signed_cut = order->id;
			continue;
		}
		if (cover == COVER_SAME)
			r = take_out(work, order->id);
		else if (cover == COVER_WHOLE || (cover == COVER_PART && work->cut))
			r = add_exception(work, order->id, text, problem);
		else if (work->cut)
			r = tell_problem(problem, -EINVAL, "%s is no part of c%" PRIu64 " (%s)",
					 text, (uint64_t)order->id, order->target);
	}
	return r;
}

/* ---- latches -------------------------------------------------------------------------------- */

/* `target` NULL: the one that was named by its id. Each is noted once. */
static int choose_latches(struct reopening *work, const struct weir_cut_entry *target)
{
	int r = 0;

	if (work->cut)
		return 0;
	for (size_t i = 0; i < work->latches.count && r == 0; i++) {
		struct latch *latch = &work->latches.item[i];
		_cleanup_free_ char *what = NULL;
		char id[24];

		if (latch->count == 0 || !(work->latch ? latch->account == work->latch
						       : latch_is_in(work->host, latch, target)))
			continue;
		what = latch_target(work->host, latch);
		latch_format(latch->account, id, sizeof(id));
		r = what ? note(work, id, what, "latch", 0) : -ENOMEM;
		latch->count = 0;
	}
	return r;
}

static int clear_latch(struct guard *guard, const struct latch *latch)
{
	return latch->is_of_slots ? guard_clear_strangers(guard, latch->service_key)
				  : guard_clear_latch(guard, latch->account);
}

/* One that is open already, since somebody else was faster, is not done. Of others that could not
 * be opened the last -errno. */
static int clear_latches(struct reopening *work)
{
	int error = 0;

	for (size_t i = 0; i < work->done_count; i++) {
		struct journal_cut *done = &work->done[i];
		const struct latch *latch;
		int r;

		if (strcmp(done->how, "latch") != 0)
			continue;
		latch = latches_find(&work->latches, strtoull(done->id + 1, NULL, 16));
		r = latch ? clear_latch(work->host->guard, latch) : -ENOENT;
		if (r < 0)
			done->how = NULL;
		if (r < 0 && r != -ENOENT)
			error = r;
		work->host->has_stale_stand_in = true;
		metering_hurry(work->host->metering);
	}
	return error;
}

/* ---- what still holds ----------------------------------------------------------------------- */

static bool has_exception(const struct orders *orders, uint64_t cut, const char *target)
{
	for (size_t i = 0; i < orders->count; i++) {
		if (orders->item[i].parent == cut && strcmp(orders->item[i].target, target) == 0)
			return true;
	}
	return false;
}

/* By the orders that are in force now. */
static void put_holding(struct reopening *work, const char *text,
			const struct weir_cut_entry *target)
{
	const struct orders *orders = &work->host->orders;

	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];
		enum cover cover;
		char id[24];

		if (!order_is_cut(order) || has_exception(orders, order->id, text))
			continue;
		cover = cover_of_order(work, order, text, target);
		if (cover == COVER_NONE)
			continue;
		order_format(order->id, id, sizeof(id));
		json_open(work->reply, NULL, '{');
		json_put_text(work->reply, "id", id);
		json_put_text(work->reply, "target", order->target);
		json_put_text(work->reply, "holds", text);
		json_put_text(work->reply, "how", cover == COVER_PART ? "part" : "whole");
		json_put_bool(work->reply, "signed", order_is_signed(order));
		json_close(work->reply, '}');
	}
}

/* ---- the order ------------------------------------------------------------------------------ */

static void tell_reopening(const struct reopening *work)
{
	const struct order_request *request = work->request;

	for (size_t i = 0; i < request->target_count || i == 0; i++) {
		const char *target =
			i < request->target_count ? request->target[i] : request->order;
		struct record_field field[] = {
			{"target", target, 0},
			{"order", request->order ? request->order : "", 0},
			{"order_reason", request->reason, 0},
			{"by", request->by, 0},
		};

		host_tell(work->host, "reopen", RECORD_MEDIUM, field,
			  sizeof(field) / sizeof(field[0]), "reopened %s, by %s: %s", target,
			  request->by, request->reason);
	}
}

/* Whatever is local about a signed cut, its end is not. */
static int refuse_signed(const struct reopening *work, uint64_t id, char **problem)
{
	const struct weir_order *order = orders_find(&work->orders, id);
	char body[HEX_TEXT(sizeof(order->body))];

	hex_format(order->body, sizeof(order->body), body);
	return tell_problem(problem, -EPERM,
			    "c%" PRIu64 " (%s) came from a signed order, and takes a signed "
			    "reopening: weir order write reopen --cut %s",
			    id, order->target, body);
}

/* The cuts: each target, or all of the order that was named. */
static int change_orders(struct reopening *work, struct weir_cut_entry *entry, char **problem)
{
	const struct order_request *request = work->request;
	const struct weir_order *cut = orders_find(&work->orders, work->cut);
	int r = 0;

	if (work->cut && !(cut && order_is_cut(cut)))
		return tell_problem(problem, -ENOENT, "there is no cut c%" PRIu64, work->cut);
	if (work->cut && order_is_signed(cut))
		return refuse_signed(work, work->cut, problem);
	if (work->cut && request->target_count == 0)
		return take_out(work, work->cut);
	for (size_t i = 0; i < request->target_count && r == 0 && !work->latch; i++)
		r = reopen_target(work, request->target[i], &entry[i], problem);
	return r;
}

/* All of it, before any of it is done. */
static int plan(struct reopening *work, struct weir_cut_entry *entry, size_t *cuts_done,
		char **problem)
{
	const struct order_request *request = work->request;
	int r;

	for (size_t i = 0; i < request->target_count; i++) {
		r = target_resolve(&work->host->image, request->target[i], &entry[i], problem);
		/* the cut of an object that the policy lost can still be taken out by its text */
		if (r == -ENOENT) {
			free(TAKE_PTR(*problem));
			entry[i] = (struct weir_cut_entry){.service = WEIR_ANY};
		} else if (r < 0) {
			return r;
		}
	}
	r = change_orders(work, entry, problem);
	*cuts_done = work->done_count;
	for (size_t i = 0; i < request->target_count && r == 0; i++)
		r = choose_latches(work, &entry[i]);
	if (r == 0 && work->latch && request->target_count == 0)
		r = choose_latches(work, NULL);
	return r;
}

/* What it would let back, as it is now: a cut that was ordered anew meanwhile has another id, and
 * what was severed anew another time. malloc'd. */
static char *about(const struct reopening *work)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 0; out && i < work->done_count; i++) {
		const struct journal_cut *done = &work->done[i];
		const struct latch *latch =
			strcmp(done->how, "latch") == 0
				? latches_find(&work->latches, strtoull(done->id + 1, NULL, 16))
				: NULL;

		fprintf(out, "%s %s %s %" PRIu64 "\n", done->id, done->how, done->target,
			latch ? latch->severed_ns : 0);
	}
	if (out && fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static int ask_second(struct reopening *work, const struct journal_order *order, char **problem)
{
	_cleanup_free_ char *text = NULL;

	if (work->request->is_approved)
		return 0;
	text = about(work);
	return text ? second_person(work->host, &(struct second_ask){.order = order, .about = text},
				    problem)
		    : -ENOMEM;
}

static int journal_reopening(struct reopening *work, char **problem)
{
	const struct order_request *request = work->request;
	const struct journal_order order = {.kind = "reopen",
					    .target = request->target,
					    .target_count = request->target_count,
					    .reason = request->reason,
					    .since_ns = host_wall(work->host),
					    .order = request->order,
					    .cut = work->done,
					    .cut_count = work->done_count};

	int r = work->done_count ? ask_second(work, &order, problem) : 0;

	return r < 0 || !work->done_count ? r : journaling_before(work->host, &order, problem);
}

/* How many there were. */
static size_t put_done(struct reopening *work)
{
	size_t count = 0;

	json_open(work->reply, "reopened", '[');
	for (size_t i = 0; i < work->done_count; i++) {
		const struct journal_cut *done = &work->done[i];

		if (!done->how)
			continue;
		json_open(work->reply, NULL, '{');
		json_put_text(work->reply, "id", done->id);
		json_put_text(work->reply, "target", done->target);
		json_put_text(work->reply, "how", done->how);
		if (done->exception[0])
			json_put_text(work->reply, "order", done->exception);
		json_close(work->reply, '}');
		count++;
	}
	json_close(work->reply, ']');
	return count;
}

/* Nothing matched: an unknown name is told with its near ones, anything else as it is. */
static int nothing_done(const struct reopening *work, char **problem)
{
	const struct order_request *request = work->request;
	struct weir_cut_entry entry;

	if (work->signed_cut)
		return refuse_signed(work, work->signed_cut, problem);
	for (size_t i = 0; i < request->target_count; i++) {
		int r = host_resolve(work->host, request->target[i], &entry, problem);

		if (r < 0)
			return r;
	}
	return tell_problem(
		problem, -ENOENT,
		"nothing to reopen: no cut covers %s as a whole (weir status lists them)",
		request->target_count ? request->target[0] : request->order);
}

static int latches_problem(int error, int why, char **problem)
{
	return tell_problem(problem, error, "what the guard severed could not be let back: %s",
			    strerror(-why));
}

static int reopen_locked(struct reopening *work, struct weir_cut_entry *entry, char **problem)
{
	const struct order_request *request = work->request;
	size_t cuts_done = 0;
	int r = plan(work, entry, &cuts_done, problem), in_part = 0, latches;

	if (r == 0)
		r = journal_reopening(work, problem);
	if (r == 0 && cuts_done > 0)
		r = orders_loosen(work->host, &work->orders, problem);
	if (r == DONE_IN_PART)
		in_part = r;
	else if (r < 0)
		return r;
	latches = clear_latches(work);
	if (put_done(work) == 0)
		return latches < 0 ? latches_problem(latches, latches, problem)
				   : nothing_done(work, problem);
	if (cuts_done)
		order_put_times(work->reply,
				&(struct order_times){.accepted_ns = work->accepted_ns,
						      .in_force_ns = work->host->loosened_ns,
						      .saved_ns = work->host->loosened_saved_ns});
	if (latches < 0 && in_part == 0)
		in_part = latches_problem(DONE_IN_PART, latches, problem);
	tell_reopening(work);
	json_open(work->reply, "holding", '[');
	for (size_t i = 0; i < request->target_count; i++)
		put_holding(work, request->target[i], &entry[i]);
	json_close(work->reply, ']');
	return in_part;
}

int host_reopen(struct host *host, const struct order_request *request, struct json_out *reply,
		char **problem)
{
	_cleanup_free_ struct weir_cut_entry *entry =
		calloc(request->target_count + 1, sizeof(*entry));
	struct reopening work = {
		.host = host, .request = request, .reply = reply, .accepted_ns = boot_now()};
	int r = entry ? order_lock(host, problem) : -ENOMEM;

	if (r < 0)
		return r;
	r = read_order_id(&work, problem);
	if (r == 0)
		r = orders_begin(host, &work.orders, problem);
	if (r == 0) {
		r = latches_read(host, &work.latches);
		if (r < 0)
			tell_problem(problem, r, "cannot read the meters: %s", strerror(-r));
	}
	if (r == 0)
		r = reopen_locked(&work, entry, problem);
	guard_unlock(host->guard);
	free(work.done);
	orders_free(&work.orders);
	latches_free(&work.latches);
	return r;
}
