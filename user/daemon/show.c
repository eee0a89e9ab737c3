/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * show.c - one target, or one address, as somebody wants to see it who was woken for it.
 */
#include "user/daemon/show.h"

#include <stdarg.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/daemon/about.h"
#include "user/daemon/additions.h"
#include "user/daemon/budgets.h"
#include "user/daemon/cutting.h"
#include "user/daemon/orders_tell.h"
#include "user/daemon/overriding.h"
#include "user/daemon/sessions.h"
#include "user/policy/target.h"

struct page {
	struct host *host;
	struct json_out *reply;
	const char *text;	      /* the target as commands take it */
	struct weir_cut_entry target; /* what orders and connections are compared with */
	struct weir_cut_entry owner;  /* whose budgets count: an address's partner, else the same */
	const uint8_t *peer;	      /* one address of no partner; NULL: something else */
	struct weir_order added;      /* by which an address is a partner's; its id is 0: by none */
	struct budgets budgets;
	struct sessions sessions;
	struct holding holding;
	uint64_t assumed_bytes;
};

/* ---- what to type next ---------------------------------------------------------------------- */

static void put_next(const struct page *page, const char *why, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void put_next(const struct page *page, const char *why, const char *format, ...)
{
	const char *instance = page->host->instance;
	_cleanup_free_ char *words = NULL, *command = NULL;
	bool is_usual = strcmp(instance, "host") == 0;
	va_list list;

	va_start(list, format);
	if (vasprintf(&words, format, list) < 0)
		words = NULL;
	va_end(list);
	if (!words || asprintf(&command, "weir %s%s%s", words, is_usual ? "" : " --instance ",
			       is_usual ? "" : instance) < 0) {
		command = NULL;
		return;
	}
	json_open(page->reply, NULL, '{');
	json_put_text(page->reply, "command", command);
	json_put_text(page->reply, "why", why);
	json_close(page->reply, '}');
}

/* The cuts that mean only a part of the target want to be named. */
static void put_reopen(const struct page *page)
{
	const struct orders *orders = &page->host->orders;
	bool has_whole = page->holding.is_severed && page->target.target != WEIR_TARGET_ADDRESS;

	for (size_t i = 0; i < orders->count; i++) {
		enum cover let_back;

		has_whole |= order_is_cut(&orders->item[i]) &&
			     cut_holds(page->host, &orders->item[i], &page->target, &let_back) ==
				     COVER_WHOLE;
	}
	if (has_whole)
		put_next(page, "let it back", "reopen %s --reason \"...\"", page->text);
	for (size_t i = 0; i < orders->count; i++) {
		enum cover let_back;
		char id[24];

		if (!order_is_cut(&orders->item[i]) ||
		    cut_holds(page->host, &orders->item[i], &page->target, &let_back) != COVER_PART)
			continue;
		order_format(orders->item[i].id, id, sizeof(id));
		put_next(page, "let it back inside a cut that means a part of it",
			 "reopen %s --order %s --reason \"...\"", page->text, id);
	}
}

static void put_reopen_latches(const struct page *page)
{
	for (size_t i = 0; i < page->budgets.latches.count; i++) {
		const struct latch *latch = &page->budgets.latches.item[i];
		char id[24];

		if (page->target.target != WEIR_TARGET_ADDRESS ||
		    !latch_holds(page->host, latch, &page->target))
			continue;
		latch_format(latch->account, id, sizeof(id));
		put_next(page, "let back what the guard severed",
			 "reopen --order %s --reason \"...\"", id);
	}
}

/* A grant whose budget is full, and who waits for it: as much again as its shortest window has, for
 * that window. */
static void put_extend(const struct page *page)
{
	const struct budget_use *budget = page->budgets.item;
	const struct image *image = &page->host->image;
	const struct weir_limit *limit;

	if (!page->budgets.count || !budget->is_full || budget->kind != BUDGET_GRANT ||
	    page->owner.target != WEIR_TARGET_PARTNER)
		return;
	limit = &image->grants[budget->grant].budget.window[0];
	put_next(page, "let its grant pass more for a while",
		 "extend partner:%s --grant %s --by %lluB --for %llus --reason \"...\"",
		 image->partner_names[budget->partner], image->grant_names[budget->grant],
		 (unsigned long long)limit->bytes,
		 (unsigned long long)(limit->window_ns / NS_PER_SECOND ?: 1));
}

/* The overrides that may be about the target. */
static void put_overrides(const struct page *page)
{
	const struct host *host = page->host;

	json_open(page->reply, "overrides", '[');
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];
		struct weir_cut_entry entry;

		if (!order_is_override(order) ||
		    target_resolve(&host->image, order->target, &entry, NULL) < 0 ||
		    host_cover(host, &entry, &page->owner) == COVER_NONE)
			continue;
		json_open(page->reply, NULL, '{');
		override_put(host, order, page->reply);
		json_close(page->reply, '}');
	}
	json_close(page->reply, ']');
}

static void put_commands(const struct page *page)
{
	const struct host *host = page->host;
	const char *path = host->watched_path ? host->watched_path : host->policy_path;
	bool is_full = page->budgets.count && page->budgets.item[0].is_full;

	json_open(page->reply, "next", '[');
	put_reopen(page);
	put_reopen_latches(page);
	if (guard_control(host->guard).hours_closed)
		put_next(page, "the clock stepped, and all hours are closed until this",
			 "confirm clock --reason \"...\"");
	if (page->assumed_bytes && page->target.target != WEIR_TARGET_ADDRESS)
		put_next(page, "take back what was only assumed",
			 "meters reset %s --reason \"...\"", page->text);
	put_extend(page);
	if (is_full && path && host->is_daemon)
		put_next(page, "after the full budget was raised in that file",
			 "apply %s --confirm 600", path);
	if (!page->holding.is_cut) {
		put_next(page, "what a cut would end", "cut %s --dry-run", page->text);
		put_next(page, "stop it", "cut %s --reason \"...\"", page->text);
	}
	put_next(page, "what happens from now on", "events --follow");
	json_close(page->reply, ']');
}

/* ---- the page ------------------------------------------------------------------------------- */

/* Nothing that the partner has by a grant is open at this hour. */
static bool is_closed(const struct budgets *budgets)
{
	size_t grants = 0, closed = 0;

	for (size_t i = 0; i < budgets->count; i++) {
		grants += budgets->item[i].kind == BUDGET_GRANT;
		closed += budgets->item[i].is_closed;
	}
	return grants > 0 && closed == grants;
}

/* The one word that matters most. */
static const char *state_of(const struct page *page)
{
	const struct budgets *budgets = &page->budgets;

	if (page->holding.is_cut)
		return "cut";
	if (page->holding.is_severed)
		return "severed";
	if (page->owner.target == WEIR_TARGET_PARTNER && is_closed(budgets))
		return "closed";
	if (budgets->count && budgets->item[0].is_full)
		return "held";
	return page->holding.is_part_cut ? "partly-cut" : "open";
}

static void put_head(const struct page *page)
{
	const struct host *host = page->host;
	bool observes = guard_control(host->guard).observe || host->image.head.mode == WEIR_OBSERVE;

	json_put_text(page->reply, "target", page->text);
	json_put_uint(page->reply, "now", host_wall(host) / NS_PER_SECOND);
	json_put_text(page->reply, "instance", host->instance);
	json_put_bool(page->reply, "daemon", host->is_daemon);
	json_put_text(page->reply, "mode", observes ? "observe" : "enforce");
	json_put_bool(page->reply, "hours_closed", guard_control(host->guard).hours_closed);
}

/* An address inside one partner's prefix has that partner's budgets; a single one of no partner has
 * a stranger's. The orders must have been read. */
static void find_owner(struct page *page)
{
	const struct image *image = &page->host->image;
	const struct weir_cut_entry *target = &page->target;
	struct weir_cut_entry owner = {.target = WEIR_TARGET_PARTNER, .service = target->service};
	const struct weir_order *added;
	const struct image_prefix *prefix;

	page->owner = *target;
	if (target->target != WEIR_TARGET_ADDRESS)
		return;
	prefix = image_prefix_of(image, target->address);
	added = addition_of(page->host, target->address, &owner.index);
	if (added)
		page->added = *added;
	if (prefix)
		owner.index = prefix->partner;
	if ((prefix && prefix->bits <= target->prefix_bits) ||
	    (added && added->prefix_bits <= target->prefix_bits))
		page->owner = owner;
	else if (!prefix && target->prefix_bits == 128)
		page->peer = target->address;
}

/* What is kept in the kernel, read once. */
static int read_state(struct page *page, char **problem)
{
	int r = host_refresh_orders(page->host);

	if (r == 0)
		find_owner(page);
	if (r == 0)
		r = budgets_read(page->host, &page->owner, page->peer, &page->budgets);
	if (r == 0)
		r = sessions_read(page->host, &page->sessions);
	return r < 0 ? tell_problem(problem, r, "cannot read the guard's state: %s", strerror(-r))
		     : 0;
}

static void put_state(struct page *page)
{
	page->holding = holding_put(page->host, &page->target, &page->budgets.latches, page->reply);
	json_put_text(page->reply, "state", state_of(page));
	put_overrides(page);
	page->assumed_bytes = budgets_put(page->host, &page->budgets, page->reply);
	if (page->owner.target == WEIR_TARGET_ADDRESS)
		json_put_null(page->reply, "total"); /* no account is of one address */
	else {
		json_open(page->reply, "total", '{');
		budgets_put_total(page->host, &page->budgets, page->reply);
		json_close(page->reply, '}');
	}
	sessions_put(page->host, &page->sessions, &page->target, page->reply);
	put_commands(page);
}

static void page_free(struct page *page)
{
	budgets_free(&page->budgets);
	sessions_free(&page->sessions);
}

/* The order by which it is a partner's. */
static void put_added(const struct page *page)
{
	if (!page->added.id)
		return;
	json_open(page->reply, "added", '{');
	override_put(page->host, &page->added, page->reply);
	json_close(page->reply, '}');
}

int host_show(struct host *host, const char *target, struct json_out *reply, char **problem)
{
	struct page page = {.host = host, .reply = reply, .text = target};
	int r = host_resolve(host, target, &page.target, problem);

	if (r < 0)
		return r;
	r = read_state(&page, problem);
	if (r == 0) {
		put_head(&page);
		about_partner(&host->image,
			      page.owner.target == WEIR_TARGET_PARTNER ? page.owner.index
								       : WEIR_NO_PARTNER,
			      host_wall(host), reply);
		put_state(&page);
	}
	page_free(&page);
	return r;
}

int host_who(struct host *host, const uint8_t address[16], struct json_out *reply, char **problem)
{
	char text[ADDRESS_TEXT], target[ADDRESS_TEXT + 8];
	struct page page = {.host = host, .reply = reply, .text = target};
	int r;

	address_format(address, text, sizeof(text));
	snprintf(target, sizeof(target), "addr:%s", text);
	r = host_resolve(host, target, &page.target, problem);
	if (r < 0)
		return r;
	r = read_state(&page, problem);
	if (r == 0) {
		put_head(&page);
		json_put_bool(reply, "names_known", !host->is_foreign);
		about_address(&host->image, address,
			      page.added.id ? page.owner.index : WEIR_NO_PARTNER, host_wall(host),
			      reply);
		put_added(&page);
		put_state(&page);
	}
	page_free(&page);
	return r;
}
