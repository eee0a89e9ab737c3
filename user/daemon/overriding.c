/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * overriding.c - carries out an extension, a pause or an addition; ends any override early.
 */
#include "user/daemon/overriding.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/base/units.h"
#include "user/daemon/additions.h"
#include "user/daemon/drawing.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/planning.h"
#include "user/daemon/touch.h"
#include "user/policy/addition.h"
#include "user/policy/target.h"

const char *override_kind_name(enum weir_order_kind kind)
{
	return kind == WEIR_ORDER_EXTEND      ? "extend"
	       : kind == WEIR_ORDER_PAUSE     ? "pause"
	       : kind == WEIR_ORDER_PROBATION ? "probation"
					      : "partner-add";
}

void override_format(uint64_t id, char *text, size_t size)
{
	snprintf(text, size, "o%" PRIu64, id);
}

/* ---- whether it may be ---------------------------------------------------------------------- */

static uint64_t longest_window(const struct weir_limits *limits)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < WEIR_WINDOWS; i++) {
		if (limits->window[i].window_ns > longest)
			longest = limits->window[i].window_ns;
	}
	return longest;
}

static int check_grant(const struct host *host, const struct override_request *request,
		       const struct weir_cut_entry *target, uint32_t grant, char **problem)
{
	uint64_t longest = longest_window(&host->image.grants[grant].budget);
	char span[SPAN_TEXT];

	if (target->target != WEIR_TARGET_PARTNER && target->target != WEIR_TARGET_CLASS)
		return tell_problem(problem, -EINVAL,
				    "%s: an extension is of a partner or of a class",
				    request->target);
	if (!grant_meets(&host->image, grant, target))
		return tell_problem(problem, -EINVAL, "grant %s lets nothing pass to %s",
				    request->grant, request->target);
	if (!longest)
		return tell_problem(problem, -EINVAL, "grant %s has no budget to extend",
				    request->grant);
	/* In its longest window it then gives what it says, and not that again and again. */
	span_format(longest, span, sizeof(span));
	if (request->for_ns > longest)
		return tell_problem(problem, -EINVAL,
				    "an extension of grant %s lasts %s at most, its longest window",
				    request->grant, span);
	return 0;
}

/* 0, and *matched false for a name of a signed order that this host does not have. */
static int resolve(const struct host *host, const struct override_request *request,
		   const char *target, struct weir_cut_entry *entry, bool *matched, char **problem)
{
	if (request->origin && !host->is_foreign &&
	    target_resolve(&host->image, target, entry, NULL) == -ENOENT) {
		*matched = false;
		return 0;
	}
	return host_resolve(host, target, entry, problem);
}

static int check_extension(const struct host *host, const struct override_request *request,
			   const struct weir_cut_entry *target, bool *matched, char **problem)
{
	struct weir_cut_entry grant;
	char *text;
	int r;

	if (!request->more_bytes)
		return tell_problem(problem, -EINVAL, "an extension by nothing");
	if (asprintf(&text, "grant:%s", request->grant) < 0)
		return -ENOMEM;
	r = resolve(host, request, text, &grant, matched, problem);
	free(text);
	if (r == 0 && *matched && grant.target != WEIR_TARGET_GRANT)
		r = tell_problem(problem, -EINVAL, "%s is no grant's name", request->grant);
	if (r == 0 && *matched)
		r = check_grant(host, request, target, grant.index, problem);
	return r;
}

static int check_pause(const struct override_request *request, const struct weir_cut_entry *target,
		       bool matched, char **problem)
{
	if (matched && target->target != WEIR_TARGET_SERVICE && target->target != WEIR_TARGET_ALL)
		return tell_problem(problem, -EINVAL, "%s: a pause is of one service, or of all",
				    request->target);
	if (request->for_ns > PAUSE_LONGEST_NS)
		return tell_problem(problem, -EINVAL, "a pause lasts a day at most");
	return 0;
}

/* Into `text` the prefix too, which lies in `address`. */
static int check_addition(const struct host *host, const struct override_request *request,
			  const struct orders *orders, const struct weir_cut_entry *target,
			  struct order_text *text, uint8_t address[16], char **problem)
{
	const struct addition_request addition = {.target = request->target,
						  .prefix = request->prefix,
						  .for_ns = request->for_ns,
						  .partner = target,
						  .body = request->origin ? request->origin->body
									  : NULL};

	text->address = address;
	return addition_may_be(host, orders, &addition, address, &text->prefix_bits, problem);
}

static int check(const struct host *host, const struct override_request *request,
		 const struct orders *orders, struct order_text *text, uint8_t address[16],
		 bool *matched, char **problem)
{
	struct weir_cut_entry target;
	int r;

	*matched = true;
	if (!request->for_ns)
		return tell_problem(problem, -EINVAL, "it needs an end");
	r = resolve(host, request, request->target, &target, matched, problem);
	if (r < 0)
		return r;
	if (request->kind == WEIR_ORDER_PARTNER_ADD)
		return check_addition(host, request, orders, *matched ? &target : NULL, text,
				      address, problem);
	return request->kind == WEIR_ORDER_EXTEND
		       ? check_extension(host, request, &target, matched, problem)
		       : check_pause(request, &target, *matched, problem);
}

int override_add(struct host *host, const struct override_request *request, struct orders *orders,
		 uint64_t *id, bool *matched, char **problem)
{
	uint64_t now = host_wall(host);
	const struct order_origin *origin = request->origin;
	uint8_t address[16];
	struct order_text text = {.target = request->target,
				  .reason = request->reason,
				  .by = request->by,
				  .since_ns = now,
				  .until_ns = origin ? origin->until_ns : now + request->for_ns,
				  .body = origin ? origin->body : NULL,
				  .kind = request->kind,
				  .grant = request->grant,
				  .more_bytes = request->more_bytes};
	int r = check(host, request, orders, &text, address, matched, problem);

	if (r < 0)
		return r;
	r = orders_add_override(orders, &text, id);
	if (r == -ENOSPC)
		return tell_problem(problem, r,
				    "there is no room for more than %d extensions, pauses, "
				    "additions and probations, %d of them additions, or for more "
				    "orders",
				    WEIR_OVERRIDES, WEIR_ADDITIONS);
	return r < 0 ? orders_problem(r, &text, problem) : 0;
}

static bool addition_is_void(const struct host *host, const struct image *image,
			     const struct weir_order *order, char **why)
{
	struct weir_override override;
	const struct weir_order *cut;

	if (addition_resolve(image, order, &override, why) < 0)
		return true;
	cut = addition_held_by(image, &host->orders, order);
	if (cut)
		tell_problem(why, 0, "c%" PRIu64 ", a signed cut of %s, holds it",
			     (uint64_t)cut->id, cut->target);
	return cut;
}

bool override_has_names(const struct image *image, const struct weir_order *order)
{
	struct weir_cut_entry entry;
	char text[sizeof("grant:") + sizeof(order->grant)];

	snprintf(text, sizeof(text), "grant:%s", order->grant);
	return target_resolve(image, order->target, &entry, NULL) == 0 &&
	       (order->kind != WEIR_ORDER_EXTEND || target_resolve(image, text, &entry, NULL) == 0);
}

bool override_is_void(const struct host *host, const struct image *image,
		      const struct weir_order *order, char **why)
{
	*why = NULL;
	if (order->kind == WEIR_ORDER_PARTNER_ADD)
		return addition_is_void(host, image, order, why);
	return !override_has_names(image, order);
}

/* ---- the answer ----------------------------------------------------------------------------- */

void override_put(const struct host *host, const struct weir_order *order, struct json_out *reply)
{
	char id[24], body[HEX_TEXT(sizeof(order->body))], prefix[PREFIX_TEXT];
	_cleanup_free_ char *why = NULL;
	/* of a foreign policy no name is known, and so it may have any */
	bool is_void = !host->is_foreign && override_is_void(host, &host->image, order, &why);

	override_format(order->id, id, sizeof(id));
	json_put_text(reply, "id", id);
	json_put_text(reply, "kind", override_kind_name(order->kind));
	json_put_text(reply, "target", order->target);
	if (order->kind == WEIR_ORDER_EXTEND) {
		json_put_text(reply, "grant", order->grant);
		json_put_uint(reply, "more_bytes", order->more_bytes);
	} else if (order->kind == WEIR_ORDER_PROBATION) {
		json_put_uint(reply, "parts", order->parts);
	}
	if (order->kind == WEIR_ORDER_PARTNER_ADD) {
		prefix_format(order->address, order->prefix_bits, prefix, sizeof(prefix));
		json_put_text(reply, "prefix", prefix);
	}
	json_put_text(reply, "reason", order->reason);
	json_put_text(reply, "by", order->by);
	json_put_uint(reply, "since", order->since_ns / NS_PER_SECOND);
	if (order->until_ns)
		json_put_uint(reply, "until", order->until_ns / NS_PER_SECOND);
	json_put_bool(reply, "has_object", !is_void);
	if (is_void)
		json_put_text(reply, "why_void", why);
	/* while the clock is in doubt nothing loosens */
	json_put_bool(reply, "counts",
		      !order->until_ns || (!guard_control(host->guard).hours_closed &&
					   order->until_ns > host_wall(host)));
	if (order_is_signed(order))
		json_put_text(reply, "order", hex_format(order->body, sizeof(order->body), body));
}

static void tell_addition(struct host *host, const struct weir_order *order, const char *id)
{
	char prefix[PREFIX_TEXT];
	const struct record_field field[] = {{"order", id, 0},
					     {"target", order->target, 0},
					     {"order_reason", order->reason, 0},
					     {"by", order->by, 0},
					     {"prefix", prefix, 0}};

	prefix_format(order->address, order->prefix_bits, prefix, sizeof(prefix));
	host_tell(host, "partner-add", RECORD_HIGH, field, 5, "%s: %s counts as %s, by %s: %s", id,
		  prefix, order->target, order->by, order->reason);
}

static void tell(struct host *host, const struct weir_order *order, const char *id,
		 const char *more)
{
	const struct record_field field[] = {{"order", id, 0},
					     {"target", order->target, 0},
					     {"order_reason", order->reason, 0},
					     {"by", order->by, 0},
					     {"grant", order->grant, 0},
					     {"more_bytes", NULL, order->more_bytes}};

	if (order->kind == WEIR_ORDER_EXTEND)
		host_tell(host, "extend", RECORD_HIGH, field, 6,
			  "%s: grant %s lets pass %s more to %s, by %s: %s", id, order->grant, more,
			  order->target, order->by, order->reason);
	else if (order->kind == WEIR_ORDER_PARTNER_ADD)
		tell_addition(host, order, id);
	else
		host_tell(host, "pause", RECORD_HIGH, field, 4,
			  "%s: %s is paused: nothing is refused but what is cut, by %s: %s", id,
			  order->target, order->by, order->reason);
}

void override_told(struct host *host, uint64_t id, struct json_out *reply)
{
	const struct weir_order *order = orders_find(&host->orders, id);
	char text[24], more[BYTES_TEXT];

	if (!order)
		return;
	override_put(host, order, reply);
	override_format(id, text, sizeof(text));
	bytes_format(order->more_bytes, more, sizeof(more));
	tell(host, order, text, more);
}

/* ---- local ---------------------------------------------------------------------------------- */

static struct journal_order line_of(const struct host *host, const struct override_request *request,
				    const char *const *target, const char *id)
{
	uint64_t now = host_wall(host);

	return (struct journal_order){.kind = override_kind_name(request->kind),
				      .id = id,
				      .target = target,
				      .target_count = 1,
				      .reason = request->reason,
				      .since_ns = now,
				      .until_ns = now + request->for_ns,
				      .grant = request->grant,
				      .more_bytes = request->more_bytes,
				      .prefix = request->prefix};
}

/* It has no number yet when it is only asked for. */
static int ask_second(struct host *host, const struct journal_order *line, const char *note,
		      char **problem)
{
	struct journal_order order = *line;
	const struct second_ask ask = {.order = &order, .note = note};

	order.id = NULL;
	return second_person(host, &ask, problem);
}

/* Under four eyes. Within the reserve one login is enough; but who makes a second one draws nothing
 * of it. */
static int draw_or_ask(struct host *host, const struct journal_order *line,
		       const struct drawing *drawing, bool *is_alone, char **problem)
{
	char *words;
	int r;

	*is_alone = drawing_fits(drawing) && host->asker && host->asker->has_login &&
		    !second_person_is_there(host, &(struct second_ask){.order = line});
	if (*is_alone)
		return 0;
	words = drawing_fits(drawing) ? NULL : drawing_words(drawing);
	r = ask_second(host, line, words, problem);
	free(words);
	return r;
}

/* Whose word is enough for it, and what that takes out of the reserve. Without four eyes that is
 * anybody's who may ask; what one person alone gave counts all the same. */
static int answer_for(struct host *host, const struct override_request *request, uint64_t id,
		      struct orders *orders, struct journal_order *line, char **problem)
{
	struct drawing drawing;
	bool has_reserve = drawing_look(host, request, &drawing), is_alone = true;
	int r = 0;

	if (host->image.four_eyes && has_reserve)
		r = draw_or_ask(host, line, &drawing, &is_alone, problem);
	else if (!has_reserve)
		r = ask_second(host, line, NULL, problem);
	if (r < 0 || !has_reserve || !is_alone)
		return r;
	line->drawn_bytes = drawing.bytes;
	return drawing_note(host, request, &drawing, id, orders, problem);
}

static int override_locked(struct host *host, const struct override_request *request,
			   struct json_out *reply, char **problem)
{
	_cleanup_orders_ struct orders orders = {0};
	struct journal_order line;
	uint64_t id, done;
	char text[24];
	bool matched;
	int r = orders_begin(host, &orders, problem);

	if (r == 0)
		r = override_add(host, request, &orders, &id, &matched, problem);
	if (r < 0)
		return r;
	done = order_find_done(host, &orders, request->asked_ns);
	if (done) { /* whoever carried it out has told it */
		override_put(host, orders_find(&host->orders, done), reply);
		return 0;
	}
	override_format(id, text, sizeof(text));
	line = line_of(host, request, &request->target, text);
	r = answer_for(host, request, id, &orders, &line, problem);
	if (r == 0)
		r = journaling_before(host, &line, problem);
	if (r == 0)
		r = orders_loosen(host, &orders, problem);
	if (r == 0 || r == DONE_IN_PART)
		override_told(host, id, reply);
	return r;
}

int host_override(struct host *host, const struct override_request *request, struct json_out *reply,
		  char **problem)
{
	int r = order_lock(host, problem);

	if (r < 0)
		return r;
	r = override_locked(host, request, reply, problem);
	guard_unlock(host->guard);
	return r;
}

/* ---- its end -------------------------------------------------------------------------------- */

static const struct weir_order *find_override(const struct host *host, const char *id)
{
	char text[24];

	for (size_t i = 0; i < host->orders.count; i++) {
		override_format(host->orders.item[i].id, text, sizeof(text));
		if (order_is_override(&host->orders.item[i]) && strcmp(text, id) == 0)
			return &host->orders.item[i];
	}
	return NULL;
}

static int end_locked(struct host *host, const char *id, const char *reason, const char *by,
		      struct json_out *reply, char **problem)
{
	_cleanup_orders_ struct orders orders = {0};
	const struct weir_order *order;
	struct journal_cut done = {.how = "whole"};
	struct journal_order line = {.kind = "end", .reason = reason, .cut = &done, .cut_count = 1};
	bool loosens;
	int r = orders_begin(host, &orders, problem);

	if (r < 0)
		return r;
	order = find_override(host, id);
	if (!order)
		return tell_problem(problem, -ENOENT,
				    "%s is no extension, pause, addition or probation in force "
				    "(weir status lists them)",
				    id);
	if (order->kind == WEIR_ORDER_PROBATION && host_has_plan(host))
		return tell_problem(problem, -EBUSY,
				    "%s is of the plan that is under way (weir plan status)", id);
	line.since_ns = host_wall(host);
	snprintf(done.id, sizeof(done.id), "%s", id);
	snprintf(done.target, sizeof(done.target), "%s", order->target);
	loosens = order->kind == WEIR_ORDER_PROBATION;
	if (loosens)
		r = ask_second(host, &line, NULL, problem);
	if (r == 0 && loosens)
		r = journaling_before(host, &line, problem);
	if (r < 0)
		return r;
	orders_remove(&orders, order->id);
	r = loosens ? orders_loosen(host, &orders, problem)
		    : orders_tighten(host, &orders, problem);
	if (r < 0 && r != DONE_IN_PART)
		return r;
	json_put_text(reply, "ended", id);
	json_put_text(reply, "target", done.target);
	host_tell(host, "override-ended", RECORD_MEDIUM,
		  (struct record_field[]){{"order", id, 0},
					  {"target", done.target, 0},
					  {"order_reason", reason, 0},
					  {"by", by, 0}},
		  4, "%s (%s) ended early, by %s: %s", id, done.target, by, reason);
	if (!loosens && journaling_after(host, &line, 1) < 0 && r == 0)
		return tell_problem(problem, DONE_IN_PART, "%s is over, but the journal lacks it",
				    id);
	return r;
}

int host_end_override(struct host *host, const char *id, const char *reason, const char *by,
		      struct json_out *reply, char **problem)
{
	int r = guard_lock_told(host->guard, problem);

	if (r < 0)
		return r;
	r = end_locked(host, id, reason, by, reply, problem);
	guard_unlock(host->guard);
	return r;
}
