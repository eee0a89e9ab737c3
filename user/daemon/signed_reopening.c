/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signed_reopening.c - carries out a signed reopening: the journal, its text, the orders on disk,
 * the kernel. What it lets back does not depend on the policy where that can be: a target that is
 * the cut's own ends it, any other becomes an exception to each target of the cut that it may meet.
 */
#include "user/daemon/taking.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/hex.h"
#include "user/daemon/cutting.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/orders_tell.h"
#include "user/order/archive.h"
#include "user/policy/target.h"

struct signed_reopening {
	struct taking *taking;
	struct orders orders; /* as they will be */
	struct journal_cut *done;
	size_t done_count;
};

static int note_done(struct signed_reopening *work, const struct weir_order *cut,
		     const char *target, enum let_back how, uint64_t exception)
{
	struct journal_cut *done;

	if (how == LET_NOTHING)
		return 0;
	done = ARRAY_ADD(work->done, work->done_count);
	if (!done)
		return -ENOMEM;
	done->how = how == LET_WHOLE ? "whole" : "exception";
	order_format(cut->id, done->id, sizeof(done->id));
	snprintf(done->target, sizeof(done->target), "%s", target);
	if (how == LET_PART)
		order_format(exception, done->exception, sizeof(done->exception));
	work->done_count++;
	return 0;
}

/* Of one of the cut's targets. */
static int let_back_from(struct signed_reopening *work, const struct weir_order *cut)
{
	const struct document *document = &work->taking->document;
	struct order_text text = {.reason = document->reason,
				  .by = work->taking->by,
				  .since_ns = host_wall(work->taking->host),
				  .body = document->digests.sha256};
	enum let_back how = LET_NOTHING;
	int r = 0;

	if (document->targets.count == 0) {
		r = orders_remove(&work->orders, cut->id);
		return r < 0 ? r : note_done(work, cut, cut->target, LET_WHOLE, 0);
	}
	for (size_t i = 0; i < document->targets.count && r == 0 && how != LET_WHOLE; i++) {
		uint64_t exception = 0;

		text.target = document->targets.item[i];
		r = orders_let_back(work->taking->host, &work->orders, cut->id, &text, &how,
				    &exception);
		if (r == 0)
			r = note_done(work, cut, text.target, how, exception);
		else
			orders_problem(r, &text, work->taking->problem);
	}
	return r;
}

static int plan_reopening(struct signed_reopening *work, const uint8_t cut[32])
{
	const struct orders *before = &work->taking->host->orders;
	int r = 0;

	for (size_t i = 0; i < before->count && r == 0; i++) {
		if (order_is_cut(&before->item[i]) && order_is_of(&before->item[i], cut))
			r = let_back_from(work, &before->item[i]);
	}
	return r;
}

static void tell_reopening(const struct signed_reopening *work)
{
	const struct document *document = &work->taking->document;

	for (size_t i = 0; i < work->done_count; i++) {
		const struct journal_cut *done = &work->done[i];

		host_tell(work->taking->host, "reopen", RECORD_MEDIUM,
			  (struct record_field[]){{"target", done->target, 0},
						  {"order", done->id, 0},
						  {"order_reason", document->reason, 0},
						  {"by", work->taking->by, 0}},
			  4, "reopened %s of %s, %s: %s", done->target, done->id, work->taking->by,
			  document->reason);
	}
}

/* The cuts that still hold what was let back, by the orders that are in force now. */
static void put_holding(const struct signed_reopening *work, const char *text)
{
	const struct host *host = work->taking->host;
	struct json_out *reply = work->taking->reply;
	struct weir_cut_entry target;
	char id[24];

	if (target_resolve(&host->image, text, &target, NULL) < 0)
		return;
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *cut = &host->orders.item[i];
		enum cover let_back, cover = COVER_NONE;

		if (order_is_cut(cut))
			cover = cut_holds(host, cut, &target, &let_back);
		if (cover == COVER_NONE)
			continue;
		order_format(cut->id, id, sizeof(id));
		json_open(reply, NULL, '{');
		json_put_text(reply, "id", id);
		json_put_text(reply, "target", cut->target);
		json_put_text(reply, "holds", text);
		json_put_text(reply, "how", cover == COVER_PART ? "part" : "whole");
		json_close(reply, '}');
	}
}

static void put_reopening(const struct signed_reopening *work)
{
	struct json_out *reply = work->taking->reply;

	json_put_uint(reply, "matched", work->done_count);
	json_open(reply, "reopened", '[');
	for (size_t i = 0; i < work->done_count; i++) {
		json_open(reply, NULL, '{');
		json_put_text(reply, "id", work->done[i].id);
		json_put_text(reply, "target", work->done[i].target);
		json_put_text(reply, "how", work->done[i].how);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	json_open(reply, "holding", '[');
	for (size_t i = 0; i < work->done_count; i++)
		put_holding(work, work->done[i].target);
	json_close(reply, ']');
}

/* Signatures that counted are not replaced by others. */
static int keep_reopening(const struct taking *taking)
{
	if (taking->is_known && !taking->is_accepted)
		return 0;
	return archive_keep(taking->archive, &taking->document, taking->text, taking->length);
}

/* The journal and the text, then the orders on disk, then the kernel. */
static int commit_reopening(struct signed_reopening *work)
{
	struct taking *taking = work->taking;
	struct journal_order line = taking_line(taking);
	int r;

	line.cut = work->done ? work->done : &(struct journal_cut){0};
	line.cut_count = work->done_count;
	r = taking->archive ? journaling_before(taking->host, &line, taking->problem)
			    : tell_problem(taking->problem, -ENOENT,
					   "without a state directory nothing is reopened");
	if (r < 0)
		return r;
	r = keep_reopening(taking);
	if (r < 0)
		return tell_problem(taking->problem, r,
				    "cannot keep the order, so it is not done: %s", strerror(-r));
	return work->done_count ? orders_loosen(taking->host, &work->orders, taking->problem) : 0;
}

int take_reopening(struct taking *taking)
{
	struct signed_reopening work = {.taking = taking};
	uint8_t cut[32];
	int r = orders_begin(taking->host, &work.orders, taking->problem);

	if (r == 0 && !hex_parse(taking->document.cut, cut, sizeof(cut)))
		r = -EINVAL;
	if (r == 0)
		r = plan_reopening(&work, cut);
	if (r == 0 && (work.done_count || !taking->is_known))
		r = commit_reopening(&work);
	if (r == 0 || r == DONE_IN_PART) {
		put_reopening(&work);
		tell_reopening(&work);
	}
	orders_free(&work.orders);
	free(work.done);
	return r;
}
