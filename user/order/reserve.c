/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * reserve.c - what was drawn from the reserves of grants.
 */
#include "user/order/reserve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"

static uint64_t sum(uint64_t a, uint64_t b)
{
	return __builtin_add_overflow(a, b, &a) ? UINT64_MAX : a;
}

bool draw_counts(const struct draw *draw, uint64_t span_ns, uint64_t wall_ns)
{
	return draw->until_ns > wall_ns || (span_ns && sum(draw->since_ns, span_ns) > wall_ns);
}

static bool is_of(const struct draw *draw, const char *grant)
{
	return !draw->grant[0] || strcmp(draw->grant, grant) == 0;
}

static uint64_t drawn_at(const struct orders *orders, const char *grant, uint64_t span_ns,
			 uint64_t wall_ns)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < orders->draw_count; i++) {
		const struct draw *draw = &orders->draw[i];

		if (is_of(draw, grant) && draw_counts(draw, span_ns, wall_ns))
			bytes = sum(bytes, draw->bytes);
	}
	return bytes;
}

/* When a draw is over under this span. */
static uint64_t over_at(const struct draw *draw, uint64_t span_ns)
{
	uint64_t at = sum(draw->since_ns, span_ns);

	return at > draw->until_ns ? at : draw->until_ns;
}

/* The first moment at which one of the draws is over, and there is room then. */
static uint64_t fits_at(const struct orders *orders, const char *grant,
			const struct weir_limit *reserve, uint64_t bytes)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < orders->draw_count && bytes <= reserve->bytes; i++) {
		uint64_t at = over_at(&orders->draw[i], reserve->window_ns);

		if (is_of(&orders->draw[i], grant) && at < first &&
		    sum(drawn_at(orders, grant, reserve->window_ns, at), bytes) <= reserve->bytes)
			first = at;
	}
	return first;
}

void reserve_look(const struct orders *orders, const char *grant, const struct weir_limit *reserve,
		  uint64_t wall_ns, uint64_t bytes, struct reserve_state *state)
{
	uint64_t drawn = drawn_at(orders, grant, reserve->window_ns, wall_ns);

	state->drawn_bytes = drawn;
	state->left_bytes = drawn < reserve->bytes ? reserve->bytes - drawn : 0;
	state->fits_at_ns = bytes <= state->left_bytes ? 0 : fits_at(orders, grant, reserve, bytes);
}

/* The two oldest of one grant become one, which counts as long as the younger. */
static int put_together(struct orders *orders)
{
	for (size_t i = 0; i < orders->draw_count; i++) {
		for (size_t j = i + 1; j < orders->draw_count; j++) {
			struct draw *old = &orders->draw[i], *young = &orders->draw[j];

			if (strcmp(old->grant, young->grant) != 0)
				continue;
			young->bytes = sum(young->bytes, old->bytes);
			if (old->until_ns > young->until_ns)
				young->until_ns = old->until_ns;
			if (old->since_ns > young->since_ns)
				young->since_ns = old->since_ns;
			memmove(old, old + 1, (--orders->draw_count - i) * sizeof(*old));
			return 0;
		}
	}
	return -ENOSPC;
}

int reserve_draw(struct orders *orders, const struct draw *draw)
{
	struct draw *item;

	for (size_t i = 0; i < orders->draw_count; i++) {
		if (orders->draw[i].order == draw->order)
			return 0;
	}
	if (orders->draw_count >= RESERVE_MOST_DRAWS && put_together(orders) < 0)
		return -ENOSPC;
	item = ARRAY_ADD(orders->draw, orders->draw_count);
	if (!item)
		return -ENOMEM;
	*item = *draw;
	orders->draw_count++;
	return 0;
}

int reserve_draw_all(struct orders *orders, uint64_t wall_ns)
{
	struct draw *draw = NULL;

	for (size_t i = 0; i < orders->draw_count && !draw; i++) {
		if (!orders->draw[i].grant[0])
			draw = &orders->draw[i];
	}
	if (!draw) {
		draw = ARRAY_ADD(orders->draw, orders->draw_count);
		if (!draw)
			return -ENOMEM;
		orders->draw_count++;
	}
	*draw = (struct draw){.bytes = UINT64_MAX, .since_ns = wall_ns};
	return 0;
}

bool reserve_has(const struct orders *orders, const uint8_t body[32])
{
	for (size_t i = 0; i < orders->draw_count; i++) {
		if (memcmp(orders->draw[i].body, body, 32) == 0)
			return true;
	}
	return false;
}

int reserve_copy(const struct orders *from, struct orders *to)
{
	struct draw *draw = NULL, *item;
	size_t count = 0;

	while (count < from->draw_count) {
		item = ARRAY_ADD(draw, count);
		if (!item) {
			free(draw);
			return -ENOMEM;
		}
		*item = from->draw[count++];
	}
	free(to->draw);
	to->draw = draw;
	to->draw_count = count;
	return 0;
}

void reserve_prune(struct orders *orders, bool (*counts)(const struct draw *draw, void *data),
		   void *data)
{
	size_t kept = 0;

	for (size_t i = 0; i < orders->draw_count; i++) {
		if (counts(&orders->draw[i], data))
			orders->draw[kept++] = orders->draw[i];
	}
	orders->draw_count = kept;
}
