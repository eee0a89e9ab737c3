/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders_tell.c - orders and latches for people.
 */
#include "user/daemon/orders_tell.h"

#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/daemon/additions.h"
#include "user/daemon/cutting.h"
#include "user/policy/target.h"

void order_put(const struct host *host, const struct weir_order *cut, struct json_out *reply)
{
	struct weir_cut_entry entry;
	char id[24];

	order_format(cut->id, id, sizeof(id));
	json_put_text(reply, "id", id);
	json_put_text(reply, "target", cut->target);
	json_put_text(reply, "reason", cut->reason);
	json_put_uint(reply, "since", cut->since_ns / NS_PER_SECOND);
	if (cut->until_ns)
		json_put_uint(reply, "until", cut->until_ns / NS_PER_SECOND);
	else
		json_put_null(reply, "until");
	json_put_text(reply, "by", cut->by);
	if (order_is_signed(cut)) {
		char body[HEX_TEXT(sizeof(cut->body))];

		hex_format(cut->body, sizeof(cut->body), body);
		json_put_text(reply, "order", body);
	}
	if (cut->stands_for) {
		order_format(cut->stands_for, id, sizeof(id));
		json_put_text(reply, "stands_for", id);
	}
	json_put_bool(reply, "has_object",
		      host->is_foreign ||
			      target_resolve(&host->image, cut->target, &entry, NULL) == 0);
	json_open(reply, "except", '[');
	for (size_t i = 0; i < host->orders.count; i++) {
		if (host->orders.item[i].parent == cut->id)
			json_put_text(reply, NULL, host->orders.item[i].target);
	}
	json_close(reply, ']');
}

void latch_put(const struct host *host, const struct latch *latch, struct json_out *reply)
{
	_cleanup_free_ char *what = latch_target(host, latch);
	char id[24];

	latch_format(latch->account, id, sizeof(id));
	json_put_text(reply, "id", id);
	json_put_text(reply, "target", what);
	json_put_text(reply, "reason", "a breach of its budget");
	json_put_uint(reply, "since",
		      (latch->severed_ns + guard_control(host->guard).wall_offset_ns) /
			      NS_PER_SECOND);
	json_put_null(reply, "until");
	json_put_text(reply, "by", "guard");
	json_put_text(reply, "service", names_service(&host->names, latch->service_key));
	json_put_text(reply, "partner", names_partner(&host->names, latch->partner_key));
	json_put_text(reply, "grant", names_grant(&host->names, latch->grant_key));
	json_put_uint(reply, "accounts", latch->count);
	json_open(reply, "except", '[');
	json_close(reply, ']');
}

/* ---- what holds a target -------------------------------------------------------------------- */

static enum cover order_cover(const struct host *host, const struct weir_order *order,
			      const struct weir_cut_entry *target)
{
	struct weir_cut_entry entry;
	enum cover cover;

	if (target_resolve(&host->image, order->target, &entry, NULL) < 0)
		return COVER_NONE;
	cover = host_cover(host, &entry, target);
	/* host_cover() says "part" in doubt, where this page wants to know. */
	if (cover == COVER_PART && target->target == WEIR_TARGET_PARTNER &&
	    entry.target != WEIR_TARGET_STRANGERS &&
	    !host_partner_is_touched(host, &entry, target->index))
		cover = COVER_NONE;
	return cover == COVER_SAME ? COVER_WHOLE : cover;
}

enum cover cut_holds(const struct host *host, const struct weir_order *cut,
		     const struct weir_cut_entry *target, enum cover *let_back)
{
	enum cover cover = order_cover(host, cut, target);

	*let_back = COVER_NONE;
	for (size_t i = 0; i < host->orders.count && cover != COVER_NONE; i++) {
		enum cover one;

		if (host->orders.item[i].parent != cut->id)
			continue;
		one = order_cover(host, &host->orders.item[i], target);
		if (one > *let_back)
			*let_back = one;
	}
	return *let_back == COVER_WHOLE ? COVER_NONE : cover;
}

bool latch_holds(const struct host *host, const struct latch *latch,
		 const struct weir_cut_entry *target)
{
	struct weir_cut_entry partner = {.target = WEIR_TARGET_PARTNER, .service = target->service};

	if (target->target != WEIR_TARGET_ADDRESS)
		return latch_is_in(host, latch, target);
	partner.index = host_partner_of(host, target->address);
	return partner.index != WEIR_NO_PARTNER && latch_is_in(host, latch, &partner);
}

static const char *cover_name(enum cover cover)
{
	return cover == COVER_NONE ? "none" : cover == COVER_PART ? "part" : "whole";
}

struct holding holding_put(const struct host *host, const struct weir_cut_entry *target,
			   const struct latches *latches, struct json_out *reply)
{
	struct holding holding = {0};

	json_open(reply, "cuts", '[');
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *cut = &host->orders.item[i];
		enum cover let_back, cover;

		if (!order_is_cut(cut))
			continue;
		cover = cut_holds(host, cut, target, &let_back);
		if (cover == COVER_NONE)
			continue;
		holding.is_cut |= cover == COVER_WHOLE && let_back == COVER_NONE;
		holding.is_part_cut = true;
		json_open(reply, NULL, '{');
		order_put(host, cut, reply);
		json_put_text(reply, "covers", cover_name(cover));
		json_put_text(reply, "let_back", cover_name(let_back));
		json_close(reply, '}');
	}
	for (size_t i = 0; i < latches->count; i++) {
		if (!latch_holds(host, &latches->item[i], target))
			continue;
		holding.is_severed = true;
		json_open(reply, NULL, '{');
		latch_put(host, &latches->item[i], reply);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	return holding;
}
