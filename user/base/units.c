/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* units.c - sizes, spans of time, and budget windows, as people write them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/base/units.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{"TiB", 1ull << 40}, {"GiB", 1ull << 30},    {"MiB", 1ull << 20},
	{"KiB", 1ull << 10}, {"TB", 1000000000000u}, {"GB", 1000000000},
	{"MB", 1000000},     {"KB", 1000},	     {"B", 1},
};

static const struct unit spans[] = {
	{"d", NS_PER_DAY},
	{"h", NS_PER_HOUR},
	{"m", NS_PER_MINUTE},
	{"s", NS_PER_SECOND},
};

static int quantity_parse(const char *text, size_t length, const struct unit *units, size_t count,
			  uint64_t *value)
{
	uint64_t number = 0, product;
	size_t digits = 0, i;
	int over = 0;

	for (; digits < length && text[digits] >= '0' && text[digits] <= '9'; digits++) {
		over |= __builtin_mul_overflow(number, 10, &number);
		over |= __builtin_add_overflow(number, (uint64_t)(text[digits] - '0'), &number);
	}
	if (digits == 0)
		return -EINVAL;
	for (i = 0; i < count; i++)
		if (strlen(units[i].name) == length - digits &&
		    memcmp(units[i].name, text + digits, length - digits) == 0)
			break;
	if (i == count)
		return -EINVAL;
	over |= __builtin_mul_overflow(number, units[i].factor, &product);
	if (over || product > INT64_MAX)
		return -ERANGE;
	*value = product;
	return 0;
}

int size_parse(const char *text, uint64_t *bytes)
{
	return quantity_parse(text, strlen(text), sizes, LENGTH(sizes), bytes);
}

int span_parse(const char *text, uint64_t *ns)
{
	return quantity_parse(text, strlen(text), spans, LENGTH(spans), ns);
}

int window_parse(const char *text, uint64_t *bytes, uint64_t *ns)
{
	const char *slash = strchr(text, '/');
	uint64_t size, span;
	int r;

	if (!slash)
		return -EDOM;
	r = quantity_parse(text, slash - text, sizes, LENGTH(sizes), &size);
	if (r < 0)
		return r;
	r = span_parse(slash + 1, &span);
	if (r < 0)
		return r == -EINVAL ? -EPROTO : r;
	*bytes = size;
	*ns = span;
	return 0;
}

void bytes_format(uint64_t bytes, char *text, size_t size)
{
	const struct unit *unit;
	size_t i;

	for (i = 0; i < LENGTH(sizes); i++) {
		unit = &sizes[i];
		if (bytes >= unit->factor && bytes % unit->factor == 0 &&
		    bytes / unit->factor < 10000) {
			snprintf(text, size, "%" PRIu64 "%s", bytes / unit->factor, unit->name);
			return;
		}
	}
	for (i = 0; i < 4; i++) /* the 1024s come first, the largest first */
		if (bytes >= sizes[i].factor)
			break;
	if (i == 4) {
		snprintf(text, size, "%" PRIu64 "B", bytes);
		return;
	}
	snprintf(text, size, "%.1f%s", (double)bytes / (double)sizes[i].factor, sizes[i].name);
}

static void short_span_format(uint64_t ns, char *text, size_t size)
{
	if (ns >= NS_PER_SECOND && ns % NS_PER_SECOND == 0)
		snprintf(text, size, "%" PRIu64 "s", ns / NS_PER_SECOND);
	else if (ns >= NS_PER_SECOND)
		snprintf(text, size, "%.1fs", (double)ns / 1e9);
	else if (ns >= 1000000)
		snprintf(text, size, "%.1fms", (double)ns / 1e6);
	else if (ns > 0)
		snprintf(text, size, "%.1fus", (double)ns / 1e3);
	else
		snprintf(text, size, "0s");
}

void span_format(uint64_t ns, char *text, size_t size)
{
	size_t used = 0, i;
	int put;

	if (ns < NS_PER_MINUTE) {
		short_span_format(ns, text, size);
		return;
	}
	/* Whole days only as days: budgets are written 24h, not 1d, when they are not days. */
	for (i = ns % NS_PER_DAY == 0 && ns > NS_PER_DAY ? 0 : 1; i < LENGTH(spans); i++) {
		if (ns < spans[i].factor)
			continue;
		put = snprintf(text + used, used < size ? size - used : 0, "%" PRIu64 "%s",
			       ns / spans[i].factor, spans[i].name);
		used += put > 0 ? (size_t)put : 0;
		ns %= spans[i].factor;
	}
}
