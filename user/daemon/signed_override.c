/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signed_override.c - carries out a signed extension, pause or addition: the journal, its text, the
 * orders on disk, the kernel. Unlike a cut it is carried out once: what was ended here, or lost,
 * takes a new order to come back.
 */
#include "user/daemon/taking.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/drawing.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/overriding.h"
#include "user/order/archive.h"

static bool is_past_end(const struct taking *taking)
{
	return taking->document.until_ns <= host_wall(taking->host);
}

void taking_forget_undone(struct host *host)
{
	_cleanup_free_ char *archive = NULL;

	if (!host->undone_order[0] || orders_save_late(host) < 0)
		return;
	archive = host_path(host, "orders");
	if (archive && archive_forget(archive, host->undone_order) == 0)
		host->undone_order[0] = '\0';
}

static int keep(const struct taking *taking)
{
	const char *id = taking->document.id;
	int r = archive_keep(taking->archive, &taking->document, taking->text, taking->length);

	if (r == 0)
		return 0;
	archive_forget(taking->archive, id); /* it may be there all the same (file.h) */
	return tell_problem(taking->problem, r, "cannot keep the order, so it is not done: %s",
			    strerror(-r));
}

/*
 * Its text comes first: who carried it out and ended before the end has done it, for all that the
 * next one knows. When loosening failed, nothing was done, and it may come again; but the disk may
 * have what it let pass, which a reboot would find: as long as that is not undone it stays known.
 */
static int loosen(struct taking *taking, struct orders *orders)
{
	int r = keep(taking);

	if (r < 0)
		return r;
	r = orders_loosen(taking->host, orders, taking->problem);
	if (r < 0 && r != DONE_IN_PART) {
		strcpy(taking->host->undone_order, taking->document.id);
		taking_forget_undone(taking->host);
	}
	return r;
}

static enum weir_order_kind kind_of(enum order_kind kind)
{
	return kind == ORDER_EXTEND  ? WEIR_ORDER_EXTEND
	       : kind == ORDER_PAUSE ? WEIR_ORDER_PAUSE
				     : WEIR_ORDER_PARTNER_ADD;
}

static struct override_request request_of(const struct taking *taking,
					  const struct order_origin *origin)
{
	const struct document *document = &taking->document;

	return (struct override_request){
		.kind = kind_of(document->kind),
		.target = document->targets.count ? document->targets.item[0] : "all",
		.grant = document->grant,
		.more_bytes = document->by_bytes,
		.prefix = document->prefix,
		.for_ns = document->until_ns - host_wall(taking->host),
		.reason = document->reason,
		.by = taking->by,
		.origin = origin};
}

static int refuse_alone(const struct taking *taking, const char *why)
{
	return tell_problem(taking->problem, -EPERM, "order %.12s is refused: %s%s%s",
			    taking->document.id, taking->why_two, why ? "; " : "", why ? why : "");
}

/* One principal's: what is left of the reserve decides. *drawn_bytes: what it takes. */
static int draw(const struct taking *taking, const struct override_request *request, uint64_t id,
		struct orders *orders, uint64_t *drawn_bytes)
{
	_cleanup_free_ char *words = NULL;
	struct drawing drawing;

	if (!drawing_look(taking->host, request, &drawing))
		return refuse_alone(taking, NULL);
	if (reserve_has(&taking->host->orders, request->origin->body))
		return refuse_alone(taking, "alone it was carried out before");
	if (!drawing_fits(&drawing)) {
		words = drawing_words(&drawing);
		return refuse_alone(taking, words);
	}
	*drawn_bytes = drawing.bytes;
	return drawing_note(taking->host, request, &drawing, id, orders, taking->problem);
}

static int carry_out(struct taking *taking)
{
	const struct document *document = &taking->document;
	const struct order_origin origin = {.body = document->digests.sha256,
					    .id = document->id,
					    .until_ns = document->until_ns};
	const struct override_request request = request_of(taking, &origin);
	struct journal_order line = taking_line(taking);
	_cleanup_orders_ struct orders orders = {0};
	bool matched = false;
	uint64_t id = 0;
	char text[24];
	int r = orders_begin(taking->host, &orders, taking->problem);

	if (r == 0)
		r = override_add(taking->host, &request, &orders, &id, &matched, taking->problem);
	if (r == 0 && taking->is_alone)
		r = draw(taking, &request, id, &orders, &line.drawn_bytes);
	if (r < 0)
		return r;
	override_format(id, text, sizeof(text));
	line.id = text;
	line.until_ns = document->until_ns;
	line.grant = document->grant;
	line.more_bytes = document->by_bytes;
	line.prefix = document->prefix;
	r = journaling_before(taking->host, &line, taking->problem);
	if (r == 0)
		r = loosen(taking, &orders);
	if (r < 0 && r != DONE_IN_PART)
		return r;
	json_put_uint(taking->reply, "matched", matched);
	json_open(taking->reply, "override", '{');
	override_told(taking->host, id, taking->reply);
	json_close(taking->reply, '}');
	return r;
}

/* As it was said when it came first, and what of it failed then. */
static int take_again(struct taking *taking, const struct weir_order *order)
{
	struct host *host = taking->host;
	int r = host->has_unkept_orders ? orders_keep_texts(host, &host->orders) : 0;

	json_put_uint(taking->reply, "matched", override_has_names(&host->image, order));
	return r < 0 ? tell_problem(taking->problem, DONE_IN_PART,
				    "it is done, but the orders' texts could not be kept in the "
				    "kernel: %s",
				    strerror(-r))
		     : 0;
}

static int refuse_known(const struct taking *taking)
{
	const char *id = taking->document.id;

	if (strcmp(id, taking->host->undone_order) == 0)
		return tell_problem(taking->problem, -EAGAIN,
				    "order %.12s was not done, and is taken again once the orders "
				    "are saved, which fails",
				    id);
	return tell_problem(taking->problem, -EALREADY,
			    "order %.12s was taken before and is over here: it takes a new order",
			    id);
}

/* What fails then would leave a second order that was not done. */
static int save_earlier(struct taking *taking)
{
	int r = orders_save_late(taking->host);

	return r < 0 ? tell_problem(taking->problem, r,
				    "earlier orders cannot be saved, so it is not done: %s",
				    strerror(-r))
		     : 0;
}

int take_override(struct taking *taking)
{
	const struct weir_order *order = taking_in_force(taking);
	int r;

	if (order)
		return take_again(taking, order);
	if (taking->is_known && is_past_end(taking) &&
	    strcmp(taking->document.id, taking->host->undone_order) != 0)
		return 0;
	if (taking->is_known)
		return refuse_known(taking);
	if (!taking->archive)
		return tell_problem(taking->problem, -ENOENT,
				    "without a state directory nothing is loosened");
	if (is_past_end(taking)) /* since it was judged */
		return tell_problem(taking->problem, -ETIME, "its time is over");
	r = save_earlier(taking);
	return r < 0 ? r : carry_out(taking);
}
