/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ruleset_partners.c - one chain of rules for all partners that are treated alike: same rules, same
 * validity, same cuts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/policy/ruleset_parts.h"

#define FOREVER UINT64_MAX

struct build {
	const struct ruleset *ruleset;
	const struct ruleset_cuts *cuts;
	struct ruleset_chains *chains;
	const struct image_pair **pairs; /* sorted by profile */
	uint16_t *list;			 /* scratch: the cuts of one partner */
	struct table alike;		 /* struct alike and its list -> chain */
	struct arena arena;
};

/* What the text of a partner's chain depends on. */
struct alike {
	uint64_t from_ns, until_ns;
	uint32_t profile;
	uint32_t cuts; /* how many indices follow */
};

static int pair_order(const void *a, const void *b)
{
	const struct image_pair *x = *(const struct image_pair *const *)a;
	const struct image_pair *y = *(const struct image_pair *const *)b;

	if (x->key.profile != y->key.profile)
		return x->key.profile < y->key.profile ? -1 : 1;
	return x->rules.first < y->rules.first ? -1 : x->rules.first > y->rules.first;
}

static int sort_pairs(struct build *build)
{
	const struct image *image = build->ruleset->image;

	build->pairs = malloc((image->pair_count + 1) * sizeof(*build->pairs));
	if (!build->pairs)
		return -ENOMEM;
	for (size_t i = 0; i < image->pair_count; i++)
		build->pairs[i] = &image->pairs[i];
	if (image->pair_count)
		qsort(build->pairs, image->pair_count, sizeof(*build->pairs), pair_order);
	return 0;
}

/* The first of the profile's pairs. */
static size_t find_pairs(const struct build *build, uint32_t profile)
{
	size_t low = 0, high = build->ruleset->image->pair_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (build->pairs[middle]->key.profile < profile)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- one chain ------------------------------------------------------------------------------ */

/* Lines that are there already add nothing. */
struct lines {
	FILE *out;
	struct table seen; /* struct line -> nothing */
	struct arena arena;
};

struct line {
	struct ruleset_match match;
	bool is_drop;
	uint32_t hours_first, hours_count;
};

static bool is_new(struct lines *lines, const struct line *line)
{
	uint32_t found;
	struct line *key = arena_take(&lines->arena, sizeof(*key));

	if (!key)
		return true;
	memset(key, 0, sizeof(*key)); /* the padding too */
	key->match.direction = line->match.direction;
	key->match.protocol = line->match.protocol;
	key->match.port_first = line->match.port_first;
	key->match.port_last = line->match.port_last;
	key->is_drop = line->is_drop;
	key->hours_first = line->hours_first;
	key->hours_count = line->hours_count;
	return table_put(&lines->seen, key, sizeof(*key), 0, &found) < 0 || found == TABLE_NONE;
}

/* "meta time { from-until, ... } "; nothing when the grant has no hours. False: it is closed from
 * now on. An interval ends before its last second: nftables counts that in. */
static bool print_hours(const struct ruleset *ruleset, const struct weir_grant *grant, FILE *out)
{
	uint64_t now = ruleset->wall_ns;
	bool has_any = false;

	if (!grant->hours_count)
		return true;
	for (uint32_t i = 0; i < grant->hours_count && !ruleset->hours_closed; i++) {
		const struct weir_interval *at = &ruleset->image->hours[grant->hours_first + i];
		uint64_t from = (at->from_ns + NS_PER_SECOND - 1) / NS_PER_SECOND;
		uint64_t until = at->until_ns / NS_PER_SECOND;

		if (at->until_ns <= now || until < from + 2)
			continue;
		if (at->from_ns > now && at->from_ns - now > RULESET_HOURS_NS)
			break;
		fprintf(out, "%s%llu-%llu", has_any ? ", " : "meta time { ",
			(unsigned long long)from, (unsigned long long)until - 1);
		has_any = true;
	}
	if (has_any)
		fputs(" } ", out);
	return has_any;
}

static int add_line(const struct build *build, struct lines *lines, const struct weir_rule *rule,
		    bool is_drop)
{
	const struct weir_grant *grant = &build->ruleset->image->grants[rule->grant];
	struct line line = {
		.match = {rule->direction, rule->protocol, rule->port_first, rule->port_last},
		.is_drop = is_drop};
	_cleanup_free_ char *hours = NULL;
	size_t length;
	FILE *text;
	bool is_open;

	if (!is_drop) {
		line.hours_first = grant->hours_first;
		line.hours_count = grant->hours_count;
	}
	if (!is_new(lines, &line))
		return 0;
	text = open_memstream(&hours, &length);
	if (!text)
		return -ENOMEM;
	is_open = is_drop || print_hours(build->ruleset, grant, text);
	if (fclose(text) != 0)
		return -ENOMEM;
	if (!is_open)
		return 0;
	fputs("\t\t", lines->out);
	ruleset_match(lines->out, &line.match, !is_drop);
	fprintf(lines->out, "%s%s\n", hours, is_drop ? RULESET_REFUSES : RULESET_PASSES);
	return 0;
}

/* Those that are cut, or those that are not. */
static int add_lines(const struct build *build, struct lines *lines, uint32_t partner, bool cut)
{
	const struct image *image = build->ruleset->image;
	uint32_t profile = image->partners[partner].profile;
	const struct weir_span *last = NULL;
	int r = 0;

	for (size_t i = find_pairs(build, profile);
	     r == 0 && i < image->pair_count && build->pairs[i]->key.profile == profile; i++) {
		const struct weir_span *span = &build->pairs[i]->rules;

		if (last && last->first == span->first && last->count == span->count)
			continue; /* services with the same rules share them */
		last = span;
		for (uint32_t j = 0; r == 0 && j < span->count; j++) {
			const struct weir_rule *rule = &image->rules[span->first + j];

			if (image->grants[rule->grant].mode != WEIR_OBSERVE &&
			    ruleset_is_cut(build->cuts, partner, rule->grant) == cut)
				r = add_line(build, lines, rule, cut);
		}
	}
	return r;
}

static void print_validity(const struct weir_partner *partner, FILE *out)
{
	if (partner->from_ns)
		fprintf(out, "\t\tmeta time < %llu " RULESET_REFUSES "\n",
			(unsigned long long)(partner->from_ns / NS_PER_SECOND));
	if (partner->until_ns != FOREVER)
		fprintf(out, "\t\tmeta time >= %llu " RULESET_REFUSES "\n",
			(unsigned long long)(partner->until_ns / NS_PER_SECOND));
}

/* What is cut comes first: where ports overlap, that is stricter. */
static int print_chain(const struct build *build, uint32_t partner, FILE *out)
{
	bool observes = build->ruleset->image->head.mode == WEIR_OBSERVE;
	bool rest_is_cut = ruleset_is_cut(build->cuts, partner, WEIR_NO_GRANT);
	struct lines lines = {.out = out};
	int r = 0;

	if (!observes || rest_is_cut)
		print_validity(&build->ruleset->image->partners[partner], out);
	r = add_lines(build, &lines, partner, true);
	if (r == 0 && (!observes || rest_is_cut))
		r = add_lines(build, &lines, partner, false);
	fprintf(out, "\t\t%s\n", observes && !rest_is_cut ? RULESET_PASSES : RULESET_REFUSES);
	table_free(&lines.seen);
	arena_free(&lines.arena);
	return r;
}

static int make_chain(const struct build *build, uint32_t partner, uint32_t *index)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	int r;

	if (!out)
		return -ENOMEM;
	r = print_chain(build, partner, out);
	if (fclose(out) != 0)
		r = -ENOMEM;
	return r < 0 ? r : ruleset_chain(build->chains, text, length, index);
}

/* ---- which one is whose ---------------------------------------------------------------------- */

static int choose_chain(struct build *build, uint32_t partner, uint32_t *index)
{
	const struct weir_partner *of = &build->ruleset->image->partners[partner];
	size_t cuts = ruleset_cuts_of(build->cuts, partner, build->list);
	size_t length = sizeof(struct alike) + cuts * sizeof(*build->list);
	struct alike *key = arena_take(&build->arena, length);
	uint32_t found;
	int r;

	if (!key)
		return -ENOMEM;
	*key = (struct alike){of->from_ns, of->until_ns, of->profile, cuts};
	memcpy(key + 1, build->list, cuts * sizeof(*build->list));
	found = table_get(&build->alike, key, length);
	if (found != TABLE_NONE) {
		*index = found;
		return 0;
	}
	r = make_chain(build, partner, index);
	return r < 0 ? r : table_put(&build->alike, key, length, *index, &found);
}

int ruleset_partners(const struct ruleset *ruleset, const struct ruleset_cuts *cuts,
		     struct ruleset_chains *chains, uint32_t *verdict)
{
	struct build build = {.ruleset = ruleset, .cuts = cuts, .chains = chains};
	size_t most = ruleset->cuts ? ruleset->cuts->count : 0;
	int r;

	build.list = calloc(most + 1, sizeof(*build.list));
	r = build.list ? sort_pairs(&build) : -ENOMEM;
	for (uint32_t i = 1; r == 0 && i < ruleset->image->head.partners; i++)
		r = choose_chain(&build, i, &verdict[i]);
	table_free(&build.alike);
	arena_free(&build.arena);
	free(build.pairs);
	free(build.list);
	return r;
}
