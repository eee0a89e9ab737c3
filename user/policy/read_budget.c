/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* read_budget.c - budgets: up to three windows, `none`, or `deny`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/units.h"
#include "user/policy/read.h"

static void tell_window(struct reader *reader, const struct node *node, const char *text, int error)
{
	switch (error) {
	case -EDOM:
		read_fault(reader, node, "\"%.60s\" is no budget: SIZE/SPAN, such as 2GiB/1h",
			   text);
		break;
	case -EPROTO:
		read_fault(reader, node,
			   "\"%.60s\": the span is a whole number and a unit: s, m, h or d", text);
		break;
	case -ERANGE:
		read_fault(reader, node, "\"%.60s\" is too large", text);
		break;
	default:
		read_fault(reader, node,
			   "\"%.60s\": the size is a whole number and a unit: B, KB, MB, GB, TB, "
			   "KiB, MiB, GiB or TiB",
			   text);
	}
}

/* False after a fault. */
static bool read_limit(struct reader *reader, const struct node *node, const char *text,
		       struct weir_limit *limit)
{
	uint64_t bytes, ns;
	int r = window_parse(text, &bytes, &ns);

	if (r < 0) {
		tell_window(reader, node, text, r);
		return false;
	}
	*limit = (struct weir_limit){bytes, ns};
	return true;
}

static void read_window(struct reader *reader, const struct node *node, void *field)
{
	const char *text = read_text(reader, node);
	struct budget *budget = field;
	struct weir_limit limit;
	size_t at;

	if (!text || !read_limit(reader, node, text, &limit))
		return;
	if (limit.bytes == 0 || limit.window_ns == 0) {
		read_fault(reader, node, "\"%.60s\": a budget of 0", text);
		return;
	}
	for (at = 0; at < budget->count && budget->window[at].window_ns < limit.window_ns; at++)
		;
	if (at < budget->count && budget->window[at].window_ns == limit.window_ns) {
		read_fault(reader, node, "\"%.60s\": two windows of one span", text);
		return;
	}
	if (budget->count == WEIR_WINDOWS) {
		read_fault(reader, node, "\"%.60s\": more than %d windows", text, WEIR_WINDOWS);
		return;
	}
	memmove(&budget->window[at + 1], &budget->window[at],
		(budget->count - at) * sizeof(budget->window[0]));
	budget->window[at] = limit;
	budget->count++;
}

/* A longer window that holds no more bytes makes the shorter one idle. */
static void tell_idle(struct reader *reader, const struct node *node, const struct budget *budget)
{
	char small[BYTES_TEXT], large[BYTES_TEXT], brief[SPAN_TEXT], lasting[SPAN_TEXT];
	size_t i;

	for (i = 1; i < budget->count; i++) {
		if (budget->window[i].bytes > budget->window[i - 1].bytes)
			continue;
		bytes_format(budget->window[i - 1].bytes, large, sizeof(large));
		span_format(budget->window[i - 1].window_ns, brief, sizeof(brief));
		bytes_format(budget->window[i].bytes, small, sizeof(small));
		span_format(budget->window[i].window_ns, lasting, sizeof(lasting));
		faults_add(reader->faults, SEVERITY_WARNING, node_position(reader->tree, node),
			   "%s/%s is never reached: %s/%s allows no more", large, brief, small,
			   lasting);
	}
}

void read_windows(struct reader *reader, const struct node *value, void *field)
{
	struct budget budget = {.at = node_position(reader->tree, value)};

	if (value->kind == NODE_LIST && !value->first && !reader->tree->is_partial) {
		read_fault(reader, value, "an empty budget");
		return;
	}
	read_each(reader, value, &budget, read_window);
	tell_idle(reader, value, &budget);
	*(struct budget *)field = budget;
}

static bool is_word(struct reader *reader, const struct node *value, const char *word)
{
	return value->kind == NODE_SCALAR && strcmp(node_text(reader->tree, value), word) == 0;
}

void read_budget(struct reader *reader, const struct node *value, void *field)
{
	if (is_word(reader, value, "none"))
		*(struct budget *)field =
			(struct budget){.is_none = true, .at = node_position(reader->tree, value)};
	else
		read_windows(reader, value, field);
}

void read_stranger_budget(struct reader *reader, const struct node *value, void *field)
{
	if (is_word(reader, value, "deny"))
		*(struct budget *)field =
			(struct budget){.is_deny = true, .at = node_position(reader->tree, value)};
	else
		read_budget(reader, value, field);
}

/* Written as a window, also with a blank on each side of the slash. */
static bool without_blanks(const char *text, char plain[64])
{
	const char *slash = strchr(text, '/');
	size_t before = slash ? (size_t)(slash - text) : 0;

	if (!slash || strlen(text) >= 64)
		return false;
	if (before && text[before - 1] == ' ')
		before--;
	slash += slash[1] == ' ' ? 2 : 1;
	snprintf(plain, 64, "%.*s/%s", (int)before, text, slash);
	return true;
}

void read_reserve(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	struct reserve reserve = {.at = node_position(reader->tree, value)};
	char plain[64];

	if (!text ||
	    !read_limit(reader, value, without_blanks(text, plain) ? plain : text, &reserve.limit))
		return;
	if (reserve.limit.bytes == 0 || reserve.limit.window_ns == 0)
		read_fault(reader, value, "\"%.60s\": a reserve of 0", text);
	else
		*(struct reserve *)field = reserve;
}
