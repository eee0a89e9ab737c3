/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ruleset_ranges.c - nested prefixes as ranges that do not overlap: an interval set of nftables
 * takes no others.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/policy/ruleset_parts.h"

typedef unsigned __int128 wide;

enum { DEEPEST = 129 }; /* prefixes around one address */

struct range {
	wide first, last;
	uint32_t verdict;
};

struct sweep {
	FILE *out;
	const char *name;
	void (*verdict)(FILE *out, uint32_t verdict);
	bool is_v4;
	bool has_any;	      /* the declaration was begun */
	struct range pending; /* may grow by the next one */
	bool has_pending;
	struct range around[DEEPEST]; /* open prefixes, the innermost last */
	size_t depth;
	wide next;	/* the first address that is not told yet */
	bool has_ended; /* the last address of all is told */
};

static int prefix_order(const void *a, const void *b)
{
	const struct ruleset_prefix *x = a, *y = b;
	int order = memcmp(x->address, y->address, sizeof(x->address));

	if (order)
		return order;
	return x->bits < y->bits ? -1 : x->bits > y->bits;
}

void ruleset_sort(struct ruleset_prefix *prefix, size_t count)
{
	if (count)
		qsort(prefix, count, sizeof(*prefix), prefix_order);
}

static wide number_of(const uint8_t address[16])
{
	wide number = 0;

	for (int i = 0; i < 16; i++)
		number = number << 8 | address[i];
	return number;
}

static void print_address(const struct sweep *sweep, wide number)
{
	uint8_t address[16];
	char text[INET6_ADDRSTRLEN];

	for (int i = 15; i >= 0; i--, number >>= 8)
		address[i] = (uint8_t)number;
	if (sweep->is_v4)
		address_format(address, text, sizeof(text));
	else
		inet_ntop(AF_INET6, address, text, sizeof(text));
	fputs(text, sweep->out);
}

static void print_pending(struct sweep *sweep)
{
	const char *type = sweep->is_v4 ? "ipv4_addr" : "ipv6_addr";

	if (!sweep->has_pending)
		return;
	if (sweep->has_any)
		fputs(",\n", sweep->out);
	else
		fprintf(sweep->out,
			"\t%s %s%d {\n\t\ttype %s%s\n\t\tflags interval\n\t\telements = {\n",
			sweep->verdict ? "map" : "set", sweep->name, sweep->is_v4 ? 4 : 6, type,
			sweep->verdict ? " : verdict" : "");
	sweep->has_any = true;
	sweep->has_pending = false;
	fputs("\t\t\t", sweep->out);
	print_address(sweep, sweep->pending.first);
	if (sweep->pending.last != sweep->pending.first) {
		fputc('-', sweep->out);
		print_address(sweep, sweep->pending.last);
	}
	if (sweep->verdict) {
		fputs(" : ", sweep->out);
		sweep->verdict(sweep->out, sweep->pending.verdict);
	}
}

static void add_range(struct sweep *sweep, wide first, wide last, uint32_t verdict)
{
	if (sweep->has_pending && sweep->pending.verdict == verdict &&
	    sweep->pending.last + 1 == first) {
		sweep->pending.last = last;
		return;
	}
	print_pending(sweep);
	sweep->pending = (struct range){first, last, verdict};
	sweep->has_pending = true;
}

static void close_innermost(struct sweep *sweep)
{
	const struct range *range = &sweep->around[--sweep->depth];

	if (sweep->has_ended || sweep->next > range->last)
		return;
	add_range(sweep, sweep->next, range->last, range->verdict);
	sweep->next = range->last + 1;
	sweep->has_ended = sweep->next == 0;
}

static void open_prefix(struct sweep *sweep, const struct range *range)
{
	while (sweep->depth && sweep->around[sweep->depth - 1].last < range->first)
		close_innermost(sweep);
	if (sweep->depth && sweep->next < range->first)
		add_range(sweep, sweep->next, range->first - 1,
			  sweep->around[sweep->depth - 1].verdict);
	if (sweep->depth && sweep->around[sweep->depth - 1].first == range->first &&
	    sweep->around[sweep->depth - 1].last == range->last)
		return; /* the same prefix once more */
	sweep->next = range->first;
	sweep->around[sweep->depth++] = *range;
}

static void write_family(struct sweep *sweep, const struct ruleset_prefix *prefix, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool is_v4 = prefix[i].bits >= 96 && address_is_v4(prefix[i].address);
		struct range range = {.first = number_of(prefix[i].address),
				      .verdict = prefix[i].verdict};

		if (is_v4 != sweep->is_v4 || prefix[i].verdict == VERDICT_NONE)
			continue;
		range.last = range.first;
		if (prefix[i].bits < 128)
			range.last |= ~(wide)0 >> prefix[i].bits;
		open_prefix(sweep, &range);
	}
	while (sweep->depth)
		close_innermost(sweep);
	print_pending(sweep);
	if (sweep->has_any)
		fputs("\n\t\t}\n\t}\n", sweep->out);
	else
		fprintf(sweep->out, "\t%s %s%d { type %s%s; flags interval; }\n",
			sweep->verdict ? "map" : "set", sweep->name, sweep->is_v4 ? 4 : 6,
			sweep->is_v4 ? "ipv4_addr" : "ipv6_addr",
			sweep->verdict ? " : verdict" : "");
}

void ruleset_ranges(FILE *out, const char *name, const struct ruleset_prefix *prefix, size_t count,
		    void (*verdict)(FILE *out, uint32_t verdict))
{
	for (int family = 0; family < 2; family++) {
		struct sweep sweep = {
			.out = out, .name = name, .verdict = verdict, .is_v4 = family == 0};

		write_family(&sweep, prefix, count);
	}
}
