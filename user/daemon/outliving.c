/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * outliving.c - cuts that outlive what they name.
 */
#include "user/daemon/outliving_parts.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/cover.h"
#include "user/daemon/orders_change.h"
#include "user/policy/addition.h"
#include "user/policy/heirs.h"
#include "user/policy/same.h"
#include "user/policy/target.h"

/* ---- services ------------------------------------------------------------------------------- */

/* Adds to work->service those that have the cgroups of `service` under `after`. */
static int add_heirs(struct outliving *work, uint32_t service)
{
	_cleanup_free_ bool *heir = calloc(work->after->head.services, sizeof(*heir));

	if (!heir)
		return -ENOMEM;
	image_heirs(work->before, service, work->after, heir);
	for (uint32_t i = 0; i < work->after->head.services; i++)
		work->service[i] |= heir[i];
	return 0;
}

/* What the cut is narrowed to. */
static int add_own_heirs(struct outliving *work)
{
	memset(work->service, 0, work->after->head.services * sizeof(*work->service));
	return work->entry.service == WEIR_ANY ? 0 : add_heirs(work, work->entry.service);
}

static int cut_service(struct outliving *work, uint32_t service)
{
	struct weir_cut_entry piece = {
		.target = WEIR_TARGET_SERVICE, .service = WEIR_ANY, .index = service};
	_cleanup_free_ bool *heir = calloc(work->after->head.services, sizeof(*heir));
	uint64_t id;
	int r = 0;

	if (!heir)
		return -ENOMEM;
	if ((work->entry.service != WEIR_ANY && work->entry.service != service) ||
	    outliving_is_let_back(work, &piece))
		return 0;
	image_heirs(work->before, service, work->after, heir);
	for (uint32_t i = 0; i < work->after->head.services && r == 0; i++) {
		piece.index = i;
		if (heir[i])
			r = outliving_add(work, &piece, &id);
	}
	return r;
}

/* `piece` in each service of work->service. */
static int cut_narrowed(struct outliving *work, struct weir_cut_entry piece)
{
	uint64_t id;
	int r = 0;

	for (uint32_t i = 0; i < work->after->head.services && r == 0; i++) {
		piece.service = i;
		if (work->service[i])
			r = outliving_add(work, &piece, &id);
	}
	return r;
}

/* ---- grants --------------------------------------------------------------------------------- */

static bool rules_have(const struct image *image, struct weir_span rules, uint32_t grant)
{
	for (uint32_t i = rules.first; i < rules.first + rules.count; i++) {
		if (image->rules[i].grant == grant)
			return true;
	}
	return false;
}

/* The partner under `after`, if all its addresses are that one's there. */
static uint32_t partner_after(const struct outliving *work, uint32_t partner)
{
	return work->is_moved[partner]
		       ? WEIR_ANY
		       : image_partner(work->after, work->before->partner_names[partner]);
}

int outliving_service_after(const struct outliving *work, uint32_t service, uint32_t *after)
{
	_cleanup_free_ bool *heir = calloc(work->after->head.services, sizeof(*heir));

	if (!heir)
		return -ENOMEM;
	*after = image_service(work->after, work->before->service_names[service]);
	image_heirs(work->before, service, work->after, heir);
	for (uint32_t i = 0; i < work->after->head.services; i++) {
		if (heir[i] && i != *after)
			*after = WEIR_ANY;
	}
	return 0;
}

/* Marks the pair's partners for whom what goes by the grant now may go by another. */
static int mark_changed(struct outliving *work, const struct image_pair *pair, uint32_t grant,
			bool is_lost)
{
	struct image_relation before = {.image = work->before, .service = pair->key.service};
	struct image_relation after = {.image = work->after};
	bool has_some = false;
	int r = outliving_service_after(work, pair->key.service, &after.service);

	for (uint32_t i = 1; i < work->before->head.partners && r == 0; i++) {
		if (work->before->partners[i].profile != pair->key.profile)
			continue;
		before.partner = i;
		after.partner = partner_after(work, i);
		if (!is_lost && after.service != WEIR_ANY && after.partner != WEIR_ANY &&
		    relations_are_same(&before, &after, grant, work->wall_ns))
			continue;
		work->partner[i] = has_some = true;
	}
	return r < 0 || !has_some ? r : add_heirs(work, pair->key.service);
}

/* The partners in the services where it is not the grant that it was. */
static int cut_changed(struct outliving *work, uint32_t grant, bool is_lost)
{
	const struct image *before = work->before;
	int r = 0;

	memset(work->partner, 0, before->head.partners * sizeof(*work->partner));
	memset(work->service, 0, work->after->head.services * sizeof(*work->service));
	for (size_t i = 0; i < before->pair_count && r == 0; i++) {
		const struct image_pair *pair = &before->pairs[i];
		bool is_meant =
			work->entry.service == WEIR_ANY || work->entry.service == pair->key.service;

		if (is_meant && rules_have(before, pair->rules, grant))
			r = mark_changed(work, pair, grant, is_lost);
	}
	return r < 0 ? r : outliving_cut_partners(work);
}

static int cut_grant(struct outliving *work, uint32_t grant)
{
	struct weir_cut_entry piece = {
		.target = WEIR_TARGET_GRANT, .service = work->entry.service, .index = grant};
	uint64_t id;
	int r;

	if (outliving_is_let_back(work, &piece))
		return 0;
	piece.index = image_grant(work->after, work->before->grant_names[grant]);
	r = cut_changed(work, grant, piece.index == WEIR_ANY);
	if (r < 0 || piece.index == WEIR_ANY)
		return r;
	if (piece.service == WEIR_ANY)
		return outliving_add(work, &piece, &id);
	r = add_own_heirs(work);
	return r < 0 ? r : cut_narrowed(work, piece);
}

/* ---- classes -------------------------------------------------------------------------------- */

static bool has_class(const __u64 classes[WEIR_CLASS_WORDS], uint32_t bit)
{
	return classes[bit / 64] >> (bit % 64) & 1;
}

static int cut_class(struct outliving *work, uint32_t class)
{
	const struct image *before = work->before;
	int r = add_own_heirs(work);

	for (uint32_t i = 0; i < before->head.partners; i++)
		work->partner[i] = i && has_class(before->partners[i].classes, class);
	if (r == 0)
		r = outliving_cut_partners(work);
	for (uint32_t i = 0; i < before->head.services && r == 0; i++) {
		if (has_class(before->services[i].classes, class))
			r = cut_service(work, i);
	}
	for (uint32_t i = 1; i < before->head.grants && r == 0; i++) {
		if (has_class(before->grants[i].classes, class))
			r = cut_grant(work, i);
	}
	return r;
}

/* ---- all cuts ------------------------------------------------------------------------------- */

static bool is_its_own_after(const struct outliving *work, uint32_t partner,
			     const struct weir_cut_entry *piece)
{
	struct weir_cut_entry entry = {.target = WEIR_TARGET_PARTNER, .service = WEIR_ANY};

	entry.index = image_partner(work->after, work->before->partner_names[partner]);
	return entry.index != WEIR_ANY && cover_of(work->after, &entry, piece) >= COVER_WHOLE;
}

void outliving_find_moved(struct outliving *work, const struct orders *orders)
{
	const struct image *before = work->before;

	for (size_t i = 0; i < before->prefix_count; i++) {
		const struct image_prefix *prefix = &before->prefixes[i];
		struct range range = {.bits = prefix->bits};
		struct weir_cut_entry piece;

		memcpy(range.address, prefix->address, sizeof(range.address));
		piece = outliving_piece(&range, WEIR_ANY);
		work->is_moved[prefix->partner] |= !is_its_own_after(work, prefix->partner, &piece);
	}
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];
		struct weir_override was, is;

		if (order->kind == WEIR_ORDER_PARTNER_ADD &&
		    addition_resolve(before, order, &was, NULL) == 0)
			work->is_moved[was.at.index] |=
				addition_resolve(work->after, order, &is, NULL) < 0;
	}
}

static int cut_again(struct outliving *work)
{
	const struct weir_cut_entry *entry = &work->entry;
	int r = add_own_heirs(work);

	if (r < 0)
		return r;
	switch (entry->target) {
	case WEIR_TARGET_PARTNER:
		memset(work->partner, 0, work->before->head.partners * sizeof(*work->partner));
		work->partner[entry->index] = true;
		return outliving_cut_partners(work);
	case WEIR_TARGET_SERVICE:
		return cut_service(work, entry->index);
	case WEIR_TARGET_GRANT:
		return cut_grant(work, entry->index);
	case WEIR_TARGET_CLASS:
		return cut_class(work, entry->index);
	default:
		return cut_narrowed(work, *entry); /* in every service it covers the same */
	}
}

static int outlive(struct outliving *work)
{
	size_t count = work->orders->count; /* what is added needs nothing more */
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		work->cut = work->orders->item[i];
		if (!order_is_cut(&work->cut) ||
		    target_resolve(work->before, work->cut.target, &work->entry, NULL) < 0)
			continue;
		if (target_resolve(work->after, work->cut.target, &work->entry_after, NULL) < 0)
			work->entry_after = (struct weir_cut_entry){.target = WEIR_TARGET_NOTHING,
								    .service = WEIR_ANY};
		r = cut_again(work);
	}
	return r;
}

/* On a copy, so that what has no room leaves nothing behind. */
static int outlive_within(struct outliving *work, struct orders *orders, size_t most)
{
	_cleanup_orders_ struct orders copy = {0};
	struct orders former = *orders;
	int r = orders_copy(orders, &copy);

	if (r < 0)
		return r;
	copy.spare = orders->spare;
	work->orders = &copy;
	work->most = most;
	r = outlive(work);
	if (r < 0)
		return r;
	*orders = copy;
	copy = former;
	return 0;
}

int cuts_outlive(const struct image *before, const struct image *after, uint64_t wall_ns,
		 struct orders *orders, char **problem)
{
	_cleanup_free_ bool *partner = calloc(before->head.partners + 1, sizeof(*partner));
	_cleanup_free_ bool *service = calloc(after->head.services + 1, sizeof(*service));
	_cleanup_free_ bool *is_moved = calloc(before->head.partners + 1, sizeof(*is_moved));
	struct outliving work = {.before = before,
				 .after = after,
				 .wall_ns = wall_ns,
				 .is_moved = is_moved,
				 .partner = partner,
				 .service = service};
	int r = partner && service && is_moved ? 0 : -ENOMEM;

	if (r == 0) {
		outliving_find_moved(&work, orders);
		r = outlive_within(&work, orders, OUTLIVING_MOST);
	}
	if (r == -ENOSPC)
		r = outlive_within(&work, orders, OUTLIVING_LEAST);
	free(work.prefix);
	if (r == -ENOSPC)
		return tell_problem(problem, r,
				    "the older policy lacks what is cut, and there is no room for "
				    "more cuts: reopen some, or confirm the policy");
	if (r < 0)
		return tell_problem(problem, r, "cannot see what stays cut: %s", strerror(-r));
	return 0;
}
