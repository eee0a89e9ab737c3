/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drawing.c - what one person alone may extend, and has extended.
 */
#include "user/daemon/drawing.h"

#include <string.h>

#include "user/base/field.h"
#include "user/base/hex.h"
#include "user/daemon/touch.h"
#include "user/policy/target.h"

/* A draw of which nobody knows the grant any more is kept so long at least. */
#define UNKNOWN_NS (366 * NS_PER_DAY)

/* NULL: the policy in force has none. */
static const struct weir_limit *reserve_of(const struct host *host, const char *grant)
{
	uint32_t index = host->is_foreign ? WEIR_ANY : image_grant(&host->image, grant);

	return index != WEIR_ANY && host->image.reserves[index].bytes ? &host->image.reserves[index]
								      : NULL;
}

bool drawing_look(const struct host *host, const struct override_request *request,
		  struct drawing *drawing)
{
	const struct weir_limit *reserve =
		request->kind == WEIR_ORDER_EXTEND ? reserve_of(host, request->grant) : NULL;
	struct weir_cut_entry target;
	uint64_t bytes;

	if (!reserve || target_resolve(&host->image, request->target, &target, NULL) < 0)
		return false;
	if (__builtin_mul_overflow(request->more_bytes,
				   grant_accounts(&host->image,
						  image_grant(&host->image, request->grant),
						  &target),
				   &bytes))
		bytes = UINT64_MAX;
	*drawing = (struct drawing){.grant = request->grant, .reserve = *reserve, .bytes = bytes};
	reserve_look(&host->orders, drawing->grant, reserve, host_wall(host), bytes,
		     &drawing->state);
	return true;
}

bool drawing_fits(const struct drawing *drawing)
{
	return drawing->state.fits_at_ns == 0;
}

char *drawing_words(const struct drawing *drawing)
{
	const struct reserve_state *state = &drawing->state;
	char size[BYTES_TEXT], span[SPAN_TEXT], left[BYTES_TEXT], bytes[BYTES_TEXT], when[32];
	char *words;

	bytes_format(drawing->reserve.bytes, size, sizeof(size));
	span_format(drawing->reserve.window_ns, span, sizeof(span));
	bytes_format(state->left_bytes, left, sizeof(left));
	bytes_format(drawing->bytes, bytes, sizeof(bytes));
	if (state->fits_at_ns == UINT64_MAX)
		when[0] = '\0';
	else
		time_text(state->fits_at_ns / NS_PER_SECOND + 1, when);
	if (asprintf(&words,
		     "the reserve of grant %s (%s in %s) has %s left, and this takes %s, for which "
		     "there %s%s",
		     drawing->grant, size, span, left, bytes,
		     when[0] ? "is room from " : "never is room", when) < 0)
		return NULL;
	return words;
}

/* ---- kept ----------------------------------------------------------------------------------- */

static uint64_t longest_span(const struct host *host)
{
	uint64_t longest = UNKNOWN_NS;

	for (uint32_t i = 1; i < host->image.head.grants; i++) {
		if (host->image.reserves[i].window_ns > longest)
			longest = host->image.reserves[i].window_ns;
	}
	return longest;
}

static uint64_t span_of(const struct host *host, const struct draw *draw)
{
	const struct weir_limit *reserve;

	if (!draw->grant[0])
		return longest_span(host);
	reserve = reserve_of(host, draw->grant);
	return reserve ? reserve->window_ns : 0;
}

static bool counts_still(const struct draw *draw, void *data)
{
	const struct host *host = data;

	return draw_counts(draw, span_of(host, draw), host_wall(host));
}

int drawing_note(const struct host *host, const struct override_request *request,
		 const struct drawing *drawing, uint64_t order, struct orders *orders,
		 char **problem)
{
	uint64_t now = host_wall(host);
	struct draw draw = {.order = order, .bytes = drawing->bytes, .since_ns = now};
	int r;

	if (__builtin_add_overflow(now, drawing->reserve.window_ns, &draw.until_ns))
		draw.until_ns = UINT64_MAX;
	snprintf(draw.grant, sizeof(draw.grant), "%s", drawing->grant);
	if (request->origin)
		memcpy(draw.body, request->origin->body, sizeof(draw.body));
	reserve_prune(orders, counts_still, (void *)host);
	r = reserve_draw(orders, &draw);
	if (r == -ENOSPC)
		return tell_problem(problem, r,
				    "there is no room for what more than %d grants' "
				    "reserves gave",
				    RESERVE_MOST_DRAWS);
	return r;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* One whose extension is over or was ended counts all the same, and says so. */
static void put_draw(const struct host *host, const struct draw *draw,
		     const struct weir_limit *reserve, struct json_out *reply)
{
	static const uint8_t none[sizeof(draw->body)];
	uint64_t until_ns = draw->since_ns + reserve->window_ns;
	char id[24], body[HEX_TEXT(sizeof(draw->body))];

	if (until_ns < draw->until_ns)
		until_ns = draw->until_ns;
	override_format(draw->order, id, sizeof(id));
	json_open(reply, NULL, '{');
	json_put_text(reply, "id", draw->order ? id : NULL);
	json_put_uint(reply, "bytes", draw->bytes);
	json_put_uint(reply, "since", draw->since_ns / NS_PER_SECOND);
	json_put_uint(reply, "until", until_ns / NS_PER_SECOND);
	json_put_bool(reply, "is_over", !orders_find(&host->orders, draw->order));
	if (memcmp(draw->body, none, sizeof(none)) != 0)
		json_put_text(reply, "order", hex_format(draw->body, sizeof(draw->body), body));
	json_close(reply, '}');
}

static void put_reserve(const struct host *host, const char *grant,
			const struct weir_limit *reserve, const struct reserve_state *state,
			struct json_out *reply)
{
	const struct orders *orders = &host->orders;
	uint64_t now = host_wall(host);

	json_open(reply, NULL, '{');
	json_put_text(reply, "grant", grant);
	json_put_uint(reply, "bytes", reserve->bytes);
	json_put_uint(reply, "span_seconds", reserve->window_ns / NS_PER_SECOND);
	json_put_uint(reply, "drawn_bytes", state->drawn_bytes);
	json_put_uint(reply, "left_bytes", state->left_bytes);
	json_open(reply, "draws", '[');
	for (size_t i = 0; i < orders->draw_count; i++) {
		const struct draw *draw = &orders->draw[i];

		if ((!draw->grant[0] || strcmp(draw->grant, grant) == 0) &&
		    draw_counts(draw, reserve->window_ns, now))
			put_draw(host, draw, reserve, reply);
	}
	json_close(reply, ']');
	json_close(reply, '}');
}

void drawing_put(const struct host *host, struct json_out *reply)
{
	struct reserve_state state;

	json_open(reply, "reserves", '[');
	for (uint32_t i = 1; i < host->image.head.grants && host->orders.draw_count; i++) {
		const struct weir_limit *reserve = &host->image.reserves[i];
		const char *grant = host->image.grant_names[i];

		if (!reserve->bytes)
			continue;
		reserve_look(&host->orders, grant, reserve, host_wall(host), 0, &state);
		if (state.drawn_bytes)
			put_reserve(host, grant, reserve, &state, reply);
	}
	json_close(reply, ']');
}
