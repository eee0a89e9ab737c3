/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journaling_found.c - what is in force and has no line in the journal gets one: orders of a
 * process that ended too early or found the disk full, and what the guard severed by itself.
 */
#include "user/daemon/journaling.h"

#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/base/hex.h"
#include "user/daemon/cutting.h"
#include "user/daemon/host.h"
#include "user/daemon/latches.h"
#include "user/daemon/overriding.h"

struct told_latch {
	uint64_t account;
	uint64_t severed_ns; /* 0: not known, any counts */
};

/* Ids that have a line: of cuts, exceptions and overrides, and of latches that no later line
 * opens. */
struct lines {
	uint64_t *order;
	size_t order_count;
	struct told_latch *latch;
	size_t latch_count;
};

static void lines_free(struct lines *lines)
{
	free(lines->order);
	free(lines->latch);
}

/* ---- reading the journal -------------------------------------------------------------------- */

static int note_order(struct lines *lines, const char *id)
{
	uint64_t *item;

	if (id[0] != 'c' && id[0] != 'o')
		return 0;
	item = ARRAY_ADD(lines->order, lines->order_count);
	if (!item)
		return -ENOMEM;
	*item = strtoull(id + 1, NULL, 10);
	lines->order_count++;
	return 0;
}

static int note_latch(struct lines *lines, const char *id)
{
	struct told_latch *item = ARRAY_ADD(lines->latch, lines->latch_count);

	if (!item)
		return -ENOMEM;
	*item = (struct told_latch){.account = strtoull(id + 1, NULL, 16)};
	lines->latch_count++;
	return 0;
}

static void forget_latch(struct lines *lines, const char *id)
{
	uint64_t account = strtoull(id + 1, NULL, 16);

	for (size_t i = lines->latch_count; i-- > 0;) {
		if (lines->latch[i].account == account)
			lines->latch[i] = lines->latch[--lines->latch_count];
	}
}

/* What a reopening did: exceptions have ids of their own, latches are open. */
static int note_cuts(struct lines *lines, json_object *record)
{
	int r = 0;

	for (size_t i = 0; i < field_count(record, "cuts") && r == 0; i++) {
		json_object *cut = field_item(record, "cuts", i);

		if (strcmp(field_text(cut, "how"), "latch") == 0)
			forget_latch(lines, field_text(cut, "id"));
		else
			r = note_order(lines, field_text(cut, "exception"));
	}
	return r;
}

static int note_line(const struct chain_line *line, void *data)
{
	json_object *record = field_object(line->object, "record");
	const char *kind = field_text(record, "kind"), *id = field_text(record, "id");

	if (strcmp(field_text(record, "result"), "accepted") != 0)
		return 0;
	if (strcmp(kind, "latch") == 0)
		return note_latch(data, id);
	if (strcmp(kind, "reopen") == 0 && !id[0])
		return note_cuts(data, record);
	return note_order(data, id);
}

static int by_number(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

static int by_account(const void *left, const void *right)
{
	const struct told_latch *a = left, *b = right;
	int order = by_number(&a->account, &b->account);

	return order ? order : by_number(&a->severed_ns, &b->severed_ns);
}

static int read_lines(struct host *host, struct lines *lines)
{
	struct journal *journal = &host->journaling.journal;
	struct chain_fault fault;
	int r = journal_lock(journal);

	if (r < 0)
		return r;
	r = journal_check(journal, note_line, lines, &fault);
	journal_unlock(journal);
	if (lines->order_count)
		qsort(lines->order, lines->order_count, sizeof(*lines->order), by_number);
	if (lines->latch_count)
		qsort(lines->latch, lines->latch_count, sizeof(*lines->latch), by_account);
	return r;
}

static bool has_order(const struct lines *lines, uint64_t id)
{
	return lines->order_count &&
	       bsearch(&id, lines->order, lines->order_count, sizeof(*lines->order), by_number);
}

/* ---- orders --------------------------------------------------------------------------------- */

static void find_order(struct host *host, const struct weir_order *order)
{
	const char *target = order->target;
	struct journal_cut cut = {.how = "exception"};
	struct journal_order found = {.kind = "cut",
				      .target = &target,
				      .target_count = 1,
				      .reason = order->reason,
				      .by = order->by,
				      .since_ns = order->since_ns,
				      .until_ns = order->until_ns,
				      .is_found = true};
	char id[24], body[HEX_TEXT(sizeof(order->body))], prefix[PREFIX_TEXT];

	if (order_is_signed(order)) {
		hex_format(order->body, sizeof(order->body), body);
		found.body_sha256 = body;
	}
	order_format(order->id, id, sizeof(id));
	if (order->parent) {
		found.kind = "reopen";
		found.cut = &cut;
		found.cut_count = 1;
		order_format(order->parent, cut.id, sizeof(cut.id));
		strcpy(cut.exception, id);
		strcpy(cut.target, target);
	} else {
		found.id = id;
	}
	if (order_is_override(order)) {
		override_format(order->id, id, sizeof(id));
		found.kind = override_kind_name(order->kind);
		if (order->kind == WEIR_ORDER_PROBATION)
			found.parts = order->parts;
		else
			found.more_bytes = order->more_bytes;
		found.grant = order->grant;
	}
	if (order->kind == WEIR_ORDER_PARTNER_ADD) {
		prefix_format(order->address, order->prefix_bits, prefix, sizeof(prefix));
		found.prefix = prefix;
	}
	journaling_push(host, &found);
}

static void find_orders(struct host *host, const struct lines *lines)
{
	for (size_t i = 0; i < host->orders.count; i++) {
		if (!has_order(lines, host->orders.item[i].id))
			find_order(host, &host->orders.item[i]);
	}
}

/* ---- latches -------------------------------------------------------------------------------- */

static bool was_told(const struct journaling *journaling, uint64_t account, uint64_t severed_ns)
{
	const struct told_latch key = {account, severed_ns};

	return journaling->latch_count &&
	       bsearch(&key, journaling->latch, journaling->latch_count, sizeof(key), by_account);
}

static bool has_latch(const struct journaling *journaling, const struct latch *latch)
{
	return was_told(journaling, latch->account, latch->severed_ns) ||
	       was_told(journaling, latch->account, 0);
}

static void push_latch(struct host *host, const struct latch *latch, bool is_found)
{
	_cleanup_free_ char *what = latch_target(host, latch);
	const char *target = what ? what : "?";
	struct journal_order order = {
		.kind = "latch",
		.target = &target,
		.target_count = 1,
		.reason = "a breach of its budget",
		.by = "guard",
		.since_ns = latch->severed_ns + guard_control(host->guard).wall_offset_ns,
		.is_found = is_found,
	};
	char id[24];

	latch_format(latch->account, id, sizeof(id));
	order.id = id;
	journaling_push(host, &order);
}

/* From now on these are those that were told. */
static void take_latches(struct journaling *journaling, const struct latches *latches)
{
	struct told_latch *told = calloc(latches->count + 1, sizeof(*told));

	if (!told)
		return; /* told once more, at worst */
	for (size_t i = 0; i < latches->count; i++)
		told[i] =
			(struct told_latch){latches->item[i].account, latches->item[i].severed_ns};
	qsort(told, latches->count, sizeof(*told), by_account);
	free(journaling->latch);
	journaling->latch = told;
	journaling->latch_count = latches->count;
}

static void find_latches(struct host *host, bool is_found)
{
	struct journaling *journaling = &host->journaling;
	struct latches latches;

	if (latches_read(host, &latches) < 0) {
		journaling->has_new_latch = true; /* asked again in a while */
		return;
	}
	for (size_t i = 0; i < latches.count; i++) {
		if (!has_latch(journaling, &latches.item[i]))
			push_latch(host, &latches.item[i], is_found);
	}
	take_latches(journaling, &latches);
	latches_free(&latches);
}

void journaling_latches(struct host *host)
{
	if (!host->journaling.has_new_latch)
		return;
	host->journaling.has_new_latch = false;
	find_latches(host, false);
	journaling_catch_up(host);
}

void journaling_found(struct host *host)
{
	struct journaling *journaling = &host->journaling;
	struct lines lines = {0};
	int r = read_lines(host, &lines);

	/* asked again in a while; one that does not fit is seen, and set aside, by the next line */
	journaling->wants_found = r < 0 && r != -EBADMSG;
	if (r == 0) {
		find_orders(host, &lines);
		free(journaling->latch);
		journaling->latch = TAKE_PTR(lines.latch);
		journaling->latch_count = lines.latch_count;
		find_latches(host, true);
		journaling_catch_up(host);
	}
	lines_free(&lines);
}
