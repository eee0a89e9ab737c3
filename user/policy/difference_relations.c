/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference_relations.c - does the one let more leave than the other?
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/table.h"
#include "user/base/units.h"
#include "user/policy/difference_parts.h"
#include "user/policy/words.h"

enum relation relation_and(enum relation a, enum relation b)
{
	if (a == SAME)
		return b;
	if (b == SAME || a == b)
		return a;
	return UNLIKE;
}

/* From "what was is inside what is" and the other way round. */
static enum relation relation_of(bool grows, bool shrinks)
{
	if (grows && shrinks)
		return SAME;
	if (grows)
		return MORE;
	return shrinks ? LESS : UNLIKE;
}

/* ---- budgets: a list of limits, each of which must hold ------------------------------------ */

/* Whether whatever fits into the window fits into the limit: as many windows as it takes to cover
 * the limit's hold no more. */
static bool window_implies(const struct weir_limit *window, const struct weir_limit *limit)
{
	uint64_t covers = (limit->window_ns + window->window_ns - 1) / window->window_ns, bytes;

	return !__builtin_mul_overflow(covers, window->bytes, &bytes) && bytes <= limit->bytes;
}

static bool implies(const struct budget *budget, const struct weir_limit *limit)
{
	for (size_t i = 0; i < budget->count; i++) {
		if (window_implies(&budget->window[i], limit))
			return true;
	}
	return false;
}

static bool fits_into(const struct budget *inner, const struct budget *outer)
{
	if (inner->is_deny)
		return true;
	if (outer->is_deny)
		return false;
	for (size_t i = 0; i < outer->count; i++) {
		if (!implies(inner, &outer->window[i]))
			return false;
	}
	return true;
}

enum relation compare_budgets(const struct budget *before, const struct budget *after)
{
	return relation_of(fits_into(before, after), fits_into(after, before));
}

static void say_steps(struct comparison *comparison, const struct budget *before,
		      const struct budget *after)
{
	char bytes[BYTES_TEXT], span[SPAN_TEXT];

	for (size_t i = 0; i < after->count; i++) {
		for (size_t j = 0; j < before->count; j++) {
			uint64_t old = before->window[j].bytes, new = after->window[i].bytes;

			if (before->window[j].window_ns != after->window[i].window_ns || old == new)
				continue;
			bytes_format(new > old ? new - old : old - new, bytes, sizeof(bytes));
			span_format(after->window[i].window_ns, span, sizeof(span));
			fprintf(comparison->out, ", %s %s in any %s", bytes,
				new > old ? "more" : "less", span);
		}
	}
}

static const struct budget *given(const struct strangers *strangers, const struct budget *budget)
{
	static const struct budget deny = {.is_deny = true}, none = {.is_none = true};

	if (strangers->is_given)
		return budget;
	return budget == &strangers->total ? &none : &deny;
}

void compare_budget_of(struct comparison *comparison, const char *what, const struct budget *before,
		       const struct budget *after)
{
	enum relation relation = compare_budgets(before, after);

	if (relation == SAME)
		return;
	comparison_say(comparison, relation, "%s ", what);
	say_budget(before, comparison->out);
	fputs(" -> ", comparison->out);
	say_budget(after, comparison->out);
	say_steps(comparison, before, after);
}

void compare_strangers_of(struct comparison *comparison, const char *what,
			  const struct strangers *before, const struct strangers *after)
{
	const struct budget *pair[][2] = {
		{given(before, &before->serves), given(after, &after->serves)},
		{given(before, &before->calls), given(after, &after->calls)},
		{given(before, &before->total), given(after, &after->total)},
	};
	static const char *const name[] = {"each one served", "each one called", "all together"};
	enum relation relation = compare_breach(before->on_breach, after->on_breach);
	char label[64];

	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++) {
		snprintf(label, sizeof(label), "%s%s", what, name[i]);
		compare_budget_of(comparison, label, pair[i][0], pair[i][1]);
	}
	if (relation != SAME)
		comparison_say(comparison, relation, "%son_breach %s -> %s", what,
			       breach_name(before->on_breach), breach_name(after->on_breach));
}

/* ---- sets ---------------------------------------------------------------------------------- */

static bool endpoint_holds(const struct endpoint *outer, const struct endpoint *inner)
{
	if (outer->direction != inner->direction || outer->is_icmp != inner->is_icmp)
		return false;
	return outer->is_icmp ||
	       (outer->protocol == inner->protocol && outer->port_first <= inner->port_first &&
		outer->port_last >= inner->port_last);
}

static bool endpoints_hold(const struct endpoints *outer, const struct endpoints *inner)
{
	for (size_t i = 0; i < inner->count; i++) {
		size_t j = 0;

		while (j < outer->count && !endpoint_holds(&outer->item[j], &inner->item[i]))
			j++;
		if (j == outer->count)
			return false;
	}
	return true;
}

enum relation compare_endpoints(const struct endpoints *before, const struct endpoints *after)
{
	return relation_of(endpoints_hold(after, before), endpoints_hold(before, after));
}

static bool selectors_hold(const struct selectors *outer, const struct selector *inner)
{
	for (size_t i = 0; i < outer->count; i++) {
		const struct selector *selector = &outer->item[i];

		if (selector->kind == SELECT_ANY ||
		    (selector->kind == inner->kind && strcmp(selector->name, inner->name) == 0))
			return true;
	}
	return false;
}

static bool all_selectors_hold(const struct selectors *outer, const struct selectors *inner)
{
	for (size_t i = 0; i < inner->count; i++) {
		if (!selectors_hold(outer, &inner->item[i]))
			return false;
	}
	return true;
}

enum relation compare_selectors(const struct selectors *before, const struct selectors *after)
{
	return relation_of(all_selectors_hold(after, before), all_selectors_hold(before, after));
}

static bool names_hold(const struct names *outer, const struct names *inner)
{
	for (size_t i = 0; i < inner->count; i++) {
		size_t j = 0;

		while (j < outer->count && strcmp(outer->item[j].text, inner->item[i].text) != 0)
			j++;
		if (j == outer->count)
			return false;
	}
	return true;
}

bool names_are_equal(const struct names *before, const struct names *after)
{
	return names_hold(before, after) && names_hold(after, before);
}

/* ---- time ---------------------------------------------------------------------------------- */

enum { WEEK_MINUTES = 7 * 24 * 60 };

static void open_week(const struct hours_list *list, bool week[WEEK_MINUTES])
{
	memset(week, list->count == 0, WEEK_MINUTES);
	for (size_t i = 0; i < list->count; i++) {
		const struct hours *hours = &list->item[i];
		int length = hours->until_minute - hours->from_minute;

		if (length <= 0)
			length += 24 * 60;
		for (int day = 0; day < 7; day++) {
			if (!(hours->days >> day & 1))
				continue;
			for (int at = 0; at < length; at++)
				week[(day * 1440 + hours->from_minute + at) % WEEK_MINUTES] = true;
		}
	}
}

static bool zones_are_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

enum relation compare_hours(const struct hours_list *before, const char *zone_before,
			    const struct hours_list *after, const char *zone_after)
{
	bool old[WEEK_MINUTES], new[WEEK_MINUTES], grows = true, shrinks = true;

	if (before->count && after->count && !zones_are_equal(zone_before, zone_after))
		return UNLIKE;
	open_week(before, old);
	open_week(after, new);
	for (int at = 0; at < WEEK_MINUTES; at++) {
		grows = grows && new[at] >= old[at];
		shrinks = shrinks && new[at] <= old[at];
	}
	return relation_of(grows, shrinks);
}

enum relation compare_validity(const struct validity *before, const struct validity *after)
{
	return relation_of(after->from_ns <= before->from_ns && after->until_ns >= before->until_ns,
			   after->from_ns >= before->from_ns &&
				   after->until_ns <= before->until_ns);
}

enum relation compare_breach(enum weir_breach before, enum weir_breach after)
{
	static const int strictness[] = {[WEIR_ALERT] = 0, [WEIR_HOLD] = 1, [WEIR_SEVER] = 2};

	return relation_of(strictness[after] <= strictness[before],
			   strictness[after] >= strictness[before]);
}

/* ---- prefixes ------------------------------------------------------------------------------ */

enum { PREFIX_KEY = offsetof(struct prefix, bits) + 1, FEW = 8 };

static bool holds(const struct prefixes *in, const struct prefix *prefix)
{
	for (size_t i = 0; i < in->count; i++) {
		if (memcmp(&in->item[i], prefix, PREFIX_KEY) == 0)
			return true;
	}
	return false;
}

static int index_prefixes(const struct prefixes *in, struct table *table)
{
	uint32_t found;
	int r = table_reserve(table, in->count);

	for (size_t i = 0; r == 0 && i < in->count; i++)
		r = table_put(table, &in->item[i], PREFIX_KEY, i, &found);
	return r;
}

static int missing_from(const struct prefixes *in, const struct prefixes *of,
			struct prefixes *missing)
{
	struct table table = {0};
	bool is_short = in->count <= FEW;
	int r = is_short ? 0 : index_prefixes(in, &table);

	for (size_t i = 0; r == 0 && i < of->count; i++) {
		struct prefix *room;

		if (is_short ? holds(in, &of->item[i])
			     : table_get(&table, &of->item[i], PREFIX_KEY) != TABLE_NONE)
			continue;
		room = ARRAY_ADD(missing->item, missing->count);
		if (!room) {
			r = -ENOMEM;
			break;
		}
		*room = of->item[i];
		missing->count++;
	}
	table_free(&table);
	return r;
}

int compare_prefixes(const struct prefixes *before, const struct prefixes *after,
		     struct prefixes *added, struct prefixes *removed)
{
	int r = missing_from(before, after, added);

	return r < 0 ? r : missing_from(after, before, removed);
}
