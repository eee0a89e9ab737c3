/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * outliving_pieces.c - one cut that stands for a part of another; of partners, one for each prefix.
 */
#include "user/daemon/outliving_parts.h"

#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/daemon/cover.h"
#include "user/policy/addition.h"
#include "user/policy/target.h"

enum { V4_BITS = 96 };

static const uint8_t v4_base[16] = {[10] = 0xff, [11] = 0xff};

/* ---- what is cut already, or let back ------------------------------------------------------- */

bool outliving_is_let_back(const struct outliving *work, const struct weir_cut_entry *piece)
{
	for (size_t i = 0; i < work->orders->count; i++) {
		const struct weir_order *order = &work->orders->item[i];
		struct weir_cut_entry entry;

		if (order->parent == work->cut.id &&
		    target_resolve(work->before, order->target, &entry, NULL) == 0 &&
		    cover_of(work->before, &entry, piece) >= COVER_WHOLE)
			return true;
	}
	return false;
}

/* The cut that somebody ordered: one that stands for it may itself lose what it names. */
static uint64_t first_of(const struct outliving *work)
{
	return work->cut.stands_for ? work->cut.stands_for : work->cut.id;
}

static bool has_stand_in(const struct outliving *work, const char *target)
{
	for (size_t i = 0; i < work->orders->count; i++) {
		const struct weir_order *order = &work->orders->item[i];

		if (order_is_cut(order) && order->stands_for == first_of(work) &&
		    strcmp(order->target, target) == 0)
			return true;
	}
	return false;
}

static bool is_covered(const struct outliving *work, const struct weir_cut_entry *piece)
{
	return cover_of(work->after, &work->entry_after, piece) >= COVER_WHOLE;
}

/* ---- one cut more --------------------------------------------------------------------------- */

static struct order_text text_of(const struct outliving *work, const char *target)
{
	return (struct order_text){.target = target,
				   .reason = work->cut.reason,
				   .by = "guard",
				   .since_ns = work->wall_ns,
				   .until_ns = work->cut.until_ns,
				   .body = order_is_signed(&work->cut) ? work->cut.body : NULL};
}

/* *id 0: it is cut already. */
int outliving_add(struct outliving *work, const struct weir_cut_entry *piece, uint64_t *id)
{
	_cleanup_free_ char *target = target_format(work->after, piece);
	struct order_text text = text_of(work, target);

	*id = 0;
	if (!target)
		return -ENOMEM;
	if (is_covered(work, piece) || has_stand_in(work, target))
		return 0;
	text.stands_for = first_of(work);
	text.is_needed = work->most == OUTLIVING_LEAST;
	return orders_add_cut(work->orders, &text, id);
}

/* What the cut did not cover under `before`, and its stand-in would. */
static int add_exception(struct outliving *work, uint64_t cut, const uint8_t address[16],
			 uint8_t bits)
{
	struct order_text text = text_of(work, NULL);
	char target[sizeof("addr:") + PREFIX_TEXT] = "addr:";
	uint64_t id;

	prefix_format(address, bits, target + strlen(target), PREFIX_TEXT);
	text.target = target;
	text.reason = "was not cut before";
	text.until_ns = 0; /* it ends with its cut */
	return orders_add_exception(work->orders, cut, &text, &id);
}

/* ---- prefixes ------------------------------------------------------------------------------- */

static size_t service_count(const struct outliving *work)
{
	size_t count = 0;

	for (uint32_t i = 0; i < work->after->head.services; i++)
		count += work->service[i];
	return count;
}

struct weir_cut_entry outliving_piece(const struct range *prefix, uint32_t service)
{
	struct weir_cut_entry piece = {
		.target = WEIR_TARGET_ADDRESS, .service = service, .prefix_bits = prefix->bits};

	memcpy(piece.address, prefix->address, sizeof(piece.address));
	return piece;
}

/* One that is cut in each of the services anyway takes no room. */
static bool is_needed(const struct outliving *work, const struct range *prefix)
{
	struct weir_cut_entry piece = outliving_piece(prefix, work->entry.service);

	if (outliving_is_let_back(work, &piece))
		return false;
	for (uint32_t i = 0; i < work->after->head.services; i++) {
		piece.service = i;
		if (work->service[i] && !is_covered(work, &piece))
			return true;
	}
	piece.service = WEIR_ANY;
	return service_count(work) == 0 && !is_covered(work, &piece);
}

static int note_prefix(struct outliving *work, const uint8_t address[16], uint8_t bits,
		       uint32_t index)
{
	struct range prefix = {.bits = bits, .index = index}, *room;

	memcpy(prefix.address, address, sizeof(prefix.address));
	if (!is_needed(work, &prefix))
		return 0;
	room = ARRAY_ADD(work->prefix, work->prefix_count);
	if (!room)
		return -ENOMEM;
	*room = prefix;
	work->prefix_count++;
	return 0;
}

/* Also what orders add to the partners: under `after` that may be nobody's. */
static int note_prefixes(struct outliving *work)
{
	const struct image *before = work->before;
	int r = 0;

	work->prefix_count = 0;
	for (size_t i = 0; i < before->prefix_count && r == 0; i++) {
		const struct image_prefix *prefix = &before->prefixes[i];

		if (work->partner[prefix->partner])
			r = note_prefix(work, prefix->address, prefix->bits, i);
	}
	for (size_t i = 0; i < work->orders->count && r == 0; i++) {
		const struct weir_order *order = &work->orders->item[i];
		struct weir_override override;

		if (order->kind == WEIR_ORDER_PARTNER_ADD && order->until_ns > work->wall_ns &&
		    addition_resolve(before, order, &override, NULL) == 0 &&
		    work->partner[override.at.index])
			r = note_prefix(work, order->address, order->prefix_bits, WEIR_ANY);
	}
	return r;
}

static int by_address(const void *left, const void *right)
{
	const struct range *a = left, *b = right;
	int order = memcmp(a->address, b->address, sizeof(a->address));

	return order ? order : a->bits - b->bits;
}

static bool is_v4(const struct range *prefix)
{
	return prefix->bits >= V4_BITS && address_is_v4(prefix->address);
}

/* No longer than `bits`; IPv4 stays IPv4. */
static void shorten(struct outliving *work, uint8_t bits)
{
	size_t kept = 0;

	for (size_t i = 0; i < work->prefix_count; i++) {
		struct range *prefix = &work->prefix[i];
		uint8_t most = is_v4(prefix) && bits < V4_BITS ? V4_BITS : bits;

		if (prefix->bits > most) {
			prefix->bits = most;
			prefix_mask(prefix->address, most);
		}
		prefix->index = WEIR_ANY;
	}
	qsort(work->prefix, work->prefix_count, sizeof(*work->prefix), by_address);
	for (size_t i = 0; i < work->prefix_count; i++) {
		const struct range *last = kept ? &work->prefix[kept - 1] : NULL;

		if (last && prefix_covers(last->address, last->bits, work->prefix[i].address))
			continue;
		work->prefix[kept++] = work->prefix[i];
	}
	work->prefix_count = kept;
}

/* Room for the prefixes in each of the services; where there is none for the services, in all. */
static void make_room(struct outliving *work)
{
	size_t services = service_count(work), most;

	if (services > work->most / OUTLIVING_LEAST) {
		memset(work->service, 0, work->after->head.services * sizeof(*work->service));
		services = 0;
	}
	most = work->most / (services ? services : 1);
	for (int bits = 127; bits >= 0 && work->prefix_count > most; bits--)
		shorten(work, bits);
}

/* Of prefixes inside, each that is the next; and of a short IPv6 prefix what is IPv4. */
static int except_inside(struct outliving *work, uint64_t cut, const struct range *prefix)
{
	const struct image *before = work->before;
	size_t count = 0;
	int r = 0;

	if (prefix->bits < V4_BITS && prefix_holds(prefix->address, prefix->bits, v4_base))
		r = add_exception(work, cut, v4_base, V4_BITS);
	for (size_t i = prefix->index; i < before->prefix_count && r == 0 && count < work->most;
	     i++) {
		const struct image_prefix *inside = &before->prefixes[i];

		if (!prefix_holds(prefix->address, prefix->bits, inside->address))
			break;
		if (inside->around != prefix->index)
			continue;
		count++;
		r = add_exception(work, cut, inside->address, inside->bits);
	}
	return r == -ENOSPC ? 0 : r; /* without it the cut is only wider */
}

static int cut_prefix(struct outliving *work, const struct range *prefix, uint32_t service)
{
	const struct weir_cut_entry piece = outliving_piece(prefix, service);
	uint64_t id;
	int r = outliving_add(work, &piece, &id);

	return r == 0 && id ? except_inside(work, id, prefix) : r;
}

/* What goes to work->partner in work->service; without one there, in each. */
int outliving_cut_partners(struct outliving *work)
{
	int r = note_prefixes(work);

	if (r < 0)
		return r;
	make_room(work);
	for (size_t i = 0; i < work->prefix_count && r == 0; i++) {
		if (service_count(work) == 0)
			r = cut_prefix(work, &work->prefix[i], WEIR_ANY);
		for (uint32_t j = 0; j < work->after->head.services && r == 0; j++) {
			if (work->service[j])
				r = cut_prefix(work, &work->prefix[i], j);
		}
	}
	return r;
}
