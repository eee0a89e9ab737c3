/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * parts.c - the parts that several pages have.
 */
#include "user/view/parts.h"

#include <inttypes.h>
#include <string.h>

#include "bpf/abi.h"
#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/base/text.h"
#include "user/base/units.h"

/* On a page; --json has more. */
enum { MOST_BUDGETS = 20, MOST_SESSIONS = 30, MOST_RECENT = 8 };

void print_plain(json_object *object, const char *key, FILE *out)
{
	_cleanup_free_ char *text = field_plain(object, key);

	fputs(text ? text : "", out);
}

/* "03:41:10", or with its day when that is not today. */
static void print_moment(uint64_t seconds, uint64_t now, FILE *out)
{
	char when[32], today[32];

	time_text(seconds, when);
	time_text(now, today);
	fputs(strncmp(when, today, 10) == 0 && strlen(when) > 11 ? when + 11 : when, out);
}

/* "now", or "at 03:41:10, in 12m4s". A moment is never told before it has come. */
static void print_room(json_object *object, const char *key, uint64_t now, FILE *out)
{
	uint64_t ms = field_number(object, key);
	char span[SPAN_TEXT];

	if (!field_object(object, key)) {
		fputs("never", out);
	} else if (!ms) {
		fputs("now", out);
	} else {
		span_format((ms + 999) / 1000 * NS_PER_SECOND, span, sizeof(span));
		fputs("at ", out);
		print_moment(now + (ms + 999) / 1000, now, out);
		fprintf(out, ", in %s", span);
	}
}

/* ---- the state ------------------------------------------------------------------------------ */

/* "grant billing (sftp)" */
static void print_budget_name(json_object *budget, FILE *out)
{
	const char *kind = field_text(budget, "kind"), *service = field_text(budget, "service");

	if (strcmp(kind, "strangers") == 0)
		fprintf(out, "all strangers of %s", service);
	else if (strcmp(kind, "stranger") == 0)
		fprintf(out, "this stranger, %s %s", service, field_text(budget, "direction"));
	else
		fprintf(out, "%s %s", kind, field_text(budget, kind));
	if (strcmp(kind, "grant") == 0)
		fprintf(out, " (%s%s%s)", service, field_text(budget, "partner")[0] ? ", " : "",
			field_text(budget, "partner"));
}

static void print_holding_cuts(json_object *answer, const char *covers, FILE *out)
{
	const char *before = ", by ";

	for (size_t i = 0; i < field_count(answer, "cuts"); i++) {
		json_object *cut = field_item(answer, "cuts", i);

		if (strcmp(field_text(cut, "covers"), covers) != 0)
			continue;
		fprintf(out, "%s%s (%s)", before, field_text(cut, "id"), field_text(cut, "target"));
		before = ", ";
	}
}

static void print_holding_budgets(json_object *answer, FILE *out)
{
	const char *before = ", by the budget of ";

	for (size_t i = 0; i < field_count(answer, "budgets"); i++) {
		json_object *budget = field_item(answer, "budgets", i);
		char bytes[BYTES_TEXT];

		if (!field_is(budget, "is_full"))
			continue;
		fputs(before, out);
		print_budget_name(budget, out);
		bytes_format(field_number(budget, "next_bytes"), bytes, sizeof(bytes));
		fprintf(out, ": %s fits ", bytes);
		print_room(budget, "next_fits_in_ms", field_number(answer, "now"), out);
		before = "; of ";
	}
}

void print_state(json_object *answer, FILE *out)
{
	const char *state = field_text(answer, "state"), *target = field_text(answer, "target");

	if (strcmp(state, "cut") == 0) {
		fprintf(out, "CUT       %s", target);
		print_holding_cuts(answer, "whole", out);
	} else if (strcmp(state, "severed") == 0) {
		fprintf(out, "SEVERED   %s, by the guard itself after a breach", target);
	} else if (strcmp(state, "held") == 0) {
		fprintf(out, "HELD      %s", target);
		print_holding_budgets(answer, out);
	} else if (strcmp(state, "closed") == 0) {
		fprintf(out, "CLOSED    %s: none of its grants is open at this hour", target);
	} else if (strcmp(state, "partly-cut") == 0) {
		fprintf(out, "PART CUT  %s", target);
		print_holding_cuts(answer, "part", out);
		print_holding_cuts(answer, "whole", out);
	} else {
		fprintf(out, "open      %s: not cut, and no budget is full", target);
	}
	fputc('\n', out);
	if (strcmp(field_text(answer, "mode"), "observe") == 0)
		fputs("          the guard observes: it refuses only what is cut\n", out);
	if (field_is(answer, "hours_closed"))
		fputs("          THE CLOCK STEPPED: all hours are closed\n", out);
}

void print_partner(json_object *partner, FILE *out)
{
	json_object *info = field_object(partner, "info");
	char when[32];

	if (!partner)
		return;
	if (info) {
		json_object_object_foreach(info, key, value)
		{
			(void)value;
			fprintf(out, "%-9s ", key);
			print_plain(info, key, out);
			fputc('\n', out);
		}
	}
	if (!field_is(partner, "is_valid"))
		fputs("EXPIRED   its from/until excludes this moment\n", out);
	if (field_object(partner, "until"))
		fprintf(out, "until     %s\n", time_text(field_number(partner, "until"), when));
}

/* ---- orders --------------------------------------------------------------------------------- */

void print_cuts(json_object *answer, FILE *out)
{
	char when[32];

	for (size_t i = 0; i < field_count(answer, "cuts"); i++) {
		json_object *cut = field_item(answer, "cuts", i);

		fprintf(out, "%-9s %s %s since %s by ",
			strcmp(field_text(cut, "by"), "guard") == 0 ? "severed" : "cut",
			field_text(cut, "id"), field_text(cut, "target"),
			time_text(field_number(cut, "since"), when));
		print_plain(cut, "by", out);
		fputs(": ", out);
		print_plain(cut, "reason", out);
		fputc('\n', out);
		if (strcmp(field_text(cut, "covers"), "part") == 0)
			fputs("          it means only a part of this\n", out);
		if (strcmp(field_text(cut, "let_back"), "part") == 0)
			fputs("          a part of this is let back\n", out);
		if (field_object(cut, "until"))
			fprintf(out, "          until %s\n",
				time_text(field_number(cut, "until"), when));
	}
}

void print_holding(json_object *answer, FILE *out)
{
	for (size_t i = 0; i < field_count(answer, "holding"); i++) {
		json_object *holding = field_item(answer, "holding", i);

		fprintf(out, "%s still holds %s%s: cut %s\n", field_text(holding, "id"),
			strcmp(field_text(holding, "how"), "part") == 0 ? "a part of " : "",
			field_text(holding, "holds"), field_text(holding, "target"));
	}
}

void print_percent(json_object *object, FILE *out)
{
	fprintf(out, "%.3g %%", 100.0 * (double)field_number(object, "parts") / WEIR_WHOLE);
}

static void print_change(json_object *override, FILE *out)
{
	const char *kind = field_text(override, "kind"), *target = field_text(override, "target");
	const char *id = field_text(override, "id");
	char more[BYTES_TEXT], when[32];

	if (strcmp(kind, "probation") == 0) {
		fprintf(out, "%-9s %s %s: ", "probation", id, target);
		print_percent(override, out);
		fputs(" of each grant's budget", out);
		return;
	}
	bytes_format(field_number(override, "more_bytes"), more, sizeof(more));
	if (strcmp(kind, "pause") == 0)
		fprintf(out, "PAUSED    %s %s: nothing is refused but what is cut", id, target);
	else if (strcmp(kind, "partner-add") == 0)
		fprintf(out, "added     %s %s counts as %s", id, field_text(override, "prefix"),
			target);
	else
		fprintf(out, "extended  %s grant %s lets pass %s more to %s", id,
			field_text(override, "grant"), more, target);
	fprintf(out, " until %s", time_text(field_number(override, "until"), when));
}

void print_override(json_object *override, FILE *out)
{
	const char *why = field_text(override, "why_void");

	print_change(override, out);
	fputs(" by ", out);
	print_plain(override, "by", out);
	fputs(": ", out);
	print_plain(override, "reason", out);
	fputc('\n', out);
	if (!field_is(override, "has_object"))
		fprintf(out, "          it changes nothing: %s\n",
			why[0] ? why : "the policy does not have it");
	if (!field_is(override, "counts"))
		fputs("          it does not count: its time is over, or the clock is in doubt\n",
		      out);
}

void print_overrides(json_object *answer, FILE *out)
{
	for (size_t i = 0; i < field_count(answer, "overrides"); i++)
		print_override(field_item(answer, "overrides", i), out);
}

static void print_draw(json_object *draw, FILE *out)
{
	char bytes[BYTES_TEXT], when[32];

	if (field_number(draw, "bytes") == UINT64_MAX)
		snprintf(bytes, sizeof(bytes), "all of it");
	else
		bytes_format(field_number(draw, "bytes"), bytes, sizeof(bytes));
	fprintf(out, "          %s by %s%s, until %s\n", bytes,
		field_text(draw, "id")[0] ? field_text(draw, "id") : "what is not known any more",
		field_text(draw, "id")[0] && field_is(draw, "is_over") ? ", which is over" : "",
		time_text(field_number(draw, "until"), when));
}

void print_reserves(json_object *answer, FILE *out)
{
	for (size_t i = 0; i < field_count(answer, "reserves"); i++) {
		json_object *reserve = field_item(answer, "reserves", i);
		char size[BYTES_TEXT], span[SPAN_TEXT], left[BYTES_TEXT];

		bytes_format(field_number(reserve, "bytes"), size, sizeof(size));
		span_format(field_number(reserve, "span_seconds") * NS_PER_SECOND, span,
			    sizeof(span));
		bytes_format(field_number(reserve, "left_bytes"), left, sizeof(left));
		fprintf(out, "reserve   of grant %s: %s of %s in %s left; drawn are\n",
			field_text(reserve, "grant"), left, size, span);
		for (size_t j = 0; j < field_count(reserve, "draws"); j++)
			print_draw(field_item(reserve, "draws", j), out);
	}
}

/* ---- budgets -------------------------------------------------------------------------------- */

static void print_window(json_object *budget, json_object *window, uint64_t now, FILE *out)
{
	uint64_t limit = field_number(window, "limit_bytes");
	uint64_t used_bytes = field_number(window, "used_bytes");
	uint64_t assumed_bytes = field_number(window, "assumed_bytes");
	char used[BYTES_TEXT], of[BYTES_TEXT], next[BYTES_TEXT], span[SPAN_TEXT],
		assumed[BYTES_TEXT];

	bytes_format(used_bytes, used, sizeof(used));
	bytes_format(limit, of, sizeof(of));
	bytes_format(assumed_bytes, assumed, sizeof(assumed));
	bytes_format(field_number(budget, "next_bytes"), next, sizeof(next));
	span_format(field_real(window, "seconds") * (double)NS_PER_SECOND, span, sizeof(span));
	fprintf(out, "    %9s of %s in %s (%.0f %%)", used, of, span,
		100.0 * (double)used_bytes / ((double)limit ?: 1));
	if (assumed_bytes)
		fprintf(out, ", of it assumed %s", assumed);
	fprintf(out, ": %s fits ", next);
	print_room(window, "next_fits_in_ms", now, out);
	if (used_bytes) {
		fputs("; all ", out);
		print_room(window, "all_fits_in_ms", now, out);
	}
	fputc('\n', out);
}

static void print_hours(json_object *budget, uint64_t now, FILE *out)
{
	bool is_open = field_is(budget, "is_open");
	const char *edge = is_open ? "closes_at" : "opens_at";

	if (!is_open)
		fputs(", CLOSED at this hour", out);
	if (!field_object(budget, edge))
		return;
	fputs(is_open ? ", open until " : ", opens ", out);
	print_moment(field_number(budget, edge), now, out);
}

static void print_budget(json_object *budget, uint64_t now, FILE *out)
{
	char more[BYTES_TEXT];

	fprintf(out, "  %s", field_is(budget, "is_full") ? "FULL " : "");
	print_budget_name(budget, out);
	fprintf(out, ", on breach: %s", field_text(budget, "on_breach"));
	if (field_is(budget, "observe"))
		fputs(", only observed", out);
	if (field_number(budget, "more_bytes")) {
		bytes_format(field_number(budget, "more_bytes"), more, sizeof(more));
		fprintf(out, ", extended by %s", more);
	}
	if (field_number(budget, "parts")) {
		fputs(", on probation: ", out);
		print_percent(budget, out);
		fputs(" of it", out);
	}
	if (field_object(budget, "is_open"))
		print_hours(budget, now, out);
	fputc('\n', out);
	if (!field_count(budget, "windows"))
		fputs("    no limit\n", out);
	for (size_t i = 0; i < field_count(budget, "windows"); i++)
		print_window(budget, field_item(budget, "windows", i), now, out);
}

/* A service's ceiling, or a stranger's, of which nothing is used: there can be one per service. */
static bool is_idle(json_object *budget)
{
	const char *kind = field_text(budget, "kind");
	uint64_t used_bytes = 0;

	for (size_t i = 0; i < field_count(budget, "windows"); i++)
		used_bytes |= field_number(field_item(budget, "windows", i), "used_bytes");
	return !used_bytes && strcmp(kind, "grant") != 0 && strcmp(kind, "partner") != 0;
}

void print_budgets(json_object *answer, FILE *out)
{
	size_t count = field_count(answer, "budgets"), all = field_number(answer, "budget_count");
	size_t shown = 0;

	if (!count)
		return;
	fputs("budgets\n", out);
	for (size_t i = 0; i < count && shown < MOST_BUDGETS; i++) {
		json_object *budget = field_item(answer, "budgets", i);

		if (is_idle(budget))
			continue;
		print_budget(budget, field_number(answer, "now"), out);
		shown++;
	}
	if (all > shown)
		fprintf(out, "  %s%zu %s (--json)\n", shown ? "and " : "", all - shown,
			shown == MOST_BUDGETS ? "less full" : "of which nothing is used");
}

/* ---- connections ---------------------------------------------------------------------------- */

/* Who holds it now; else who made it or its listener. */
static void print_holders(json_object *session, FILE *out)
{
	size_t count = field_count(session, "holders");

	fprintf(out, "    %s", count ? "" : "made by ");
	for (size_t i = 0; i < count; i++) {
		json_object *holder = field_item(session, "holders", i);

		fputs(i ? ", " : "", out);
		print_plain(holder, "program", out);
		fprintf(out, " %" PRIu64 " ", field_number(holder, "pid"));
		print_plain(holder, "user", out);
	}
	if (!count) {
		print_plain(session, "made_by", out);
		fprintf(out, " %" PRIu64 " ", field_number(session, "made_by_pid"));
		print_plain(session, "user", out);
	}
	fputc('\n', out);
}

static void print_session(json_object *session, FILE *out)
{
	const char *partner = field_text(session, "partner");
	uint64_t waiting_bytes = field_number(session, "waiting_bytes");
	char sent[BYTES_TEXT], acked[BYTES_TEXT], waiting[BYTES_TEXT];

	bytes_format(field_number(session, "sent_bytes"), sent, sizeof(sent));
	bytes_format(field_number(session, "acked_bytes"), acked, sizeof(acked));
	bytes_format(waiting_bytes, waiting, sizeof(waiting));
	fprintf(out, "  %s %s %s: %s port %" PRIu64 " %s %s port %" PRIu64,
		field_text(session, "service"), field_text(session, "direction"),
		partner[0] ? partner : "stranger", field_text(session, "local"),
		field_number(session, "local_port"), field_text(session, "protocol"),
		field_text(session, "peer"), field_number(session, "peer_port"));
	if (strcmp(field_text(session, "verdict"), "refuse") == 0)
		fprintf(out, ", REFUSED: %s", field_text(session, "reason"));
	fputc('\n', out);
	if (field_object(session, "sent_bytes"))
		fprintf(out, "    sent %s, acknowledged %s", sent, acked);
	else
		fputs("    bytes are not known", out);
	if (waiting_bytes)
		fprintf(out, ", waiting %s", waiting);
	fputc('\n', out);
	print_holders(session, out);
}

void print_sessions(json_object *answer, FILE *out)
{
	size_t count = field_count(answer, "sessions"), all = field_number(answer, "session_count");

	fprintf(out, "sessions  %zu open now\n", all);
	for (size_t i = 0; i < count && i < MOST_SESSIONS; i++)
		print_session(field_item(answer, "sessions", i), out);
	if (all > MOST_SESSIONS)
		fprintf(out, "  and %zu more (--json has the first 1000)\n", all - MOST_SESSIONS);
	if (field_object(answer, "sessions_problem"))
		fprintf(out, "  NOT ALL ARE HERE: %s\n", field_text(answer, "sessions_problem"));
}

/* ---- what was, and what to do --------------------------------------------------------------- */

void print_recent(json_object *answer, FILE *out)
{
	size_t count = field_count(answer, "recent");
	char when[32];

	if (count)
		fputs("recent\n", out);
	for (size_t i = count > MOST_RECENT ? count - MOST_RECENT : 0; i < count; i++) {
		json_object *event = field_item(answer, "recent", i);

		fprintf(out, "  %s  ", time_text(field_number(event, "time"), when));
		print_plain(event, "message", out);
		fputc('\n', out);
	}
}

void print_next(json_object *answer, FILE *out)
{
	size_t count = field_count(answer, "next");

	if (count)
		fputs("next\n", out);
	for (size_t i = 0; i < count; i++) {
		json_object *next = field_item(answer, "next", i);

		fputs("  ", out);
		print_plain(next, "command", out);
		fprintf(out, "    # %s\n", field_text(next, "why"));
	}
}
