/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference.c - walks two policies side by side: what is in one alone, what has another name, and
 * what says something else under the same name.
 */
#include "user/policy/difference.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/table.h"
#include "user/policy/difference_parts.h"
#include "user/policy/words.h"

/* ---- lines --------------------------------------------------------------------------------- */

const char *change_name(enum direction_of_change direction)
{
	static const char *const name[] = {"looser", "tighter", "changed"};

	return name[direction];
}

enum direction_of_change direction_of(enum relation relation)
{
	if (relation == MORE)
		return CHANGE_LOOSER;
	return relation == LESS ? CHANGE_TIGHTER : CHANGE_CHANGED;
}

__attribute__((format(printf, 3, 4))) static int
add_line(struct walk *walk, enum direction_of_change direction, const char *format, ...)
{
	struct difference *difference = walk->difference;
	struct difference_line *line;
	va_list list;
	int r;

	difference->of[direction]++;
	if (walk->of_kind++ >= DIFFERENCE_LINES) {
		difference->unlisted++;
		return 0;
	}
	line = ARRAY_ADD(difference->line, difference->count);
	if (!line)
		return -ENOMEM;
	line->direction = direction;
	va_start(list, format);
	r = vasprintf(&line->text, format, list);
	va_end(list);
	if (r < 0) {
		line->text = NULL;
		return -ENOMEM;
	}
	difference->count++;
	return 0;
}

static struct comparison comparison_open(const struct walk *walk)
{
	return (struct comparison){.out = walk->out, .relation = SAME};
}

void comparison_say(struct comparison *comparison, enum relation relation, const char *format, ...)
{
	va_list list;

	comparison->relation = relation_and(comparison->relation, relation);
	if (comparison->has_words)
		fputs("; ", comparison->out);
	comparison->has_words = true;
	va_start(list, format);
	vfprintf(comparison->out, format, list);
	va_end(list);
}

/* walk->words are the comparison's, and the next one's begin. */
static int end_words(struct walk *walk, const struct comparison *comparison)
{
	if (!comparison->has_words)
		return 0;
	fputc('\0', walk->out);
	if (fflush(walk->out) != 0 || ferror(walk->out))
		return -ENOMEM;
	rewind(walk->out);
	return 0;
}

static int comparison_close(struct walk *walk, const struct comparison *comparison,
			    const char *kind, const char *name)
{
	int r = end_words(walk, comparison);

	walk->difference->moved += comparison->moves;
	if (r < 0 || !comparison->has_words)
		return r;
	return add_line(walk, direction_of(comparison->relation), "%s%s%s: %s", kind,
			*name ? " " : "", name, walk->words);
}

/* ---- walking ------------------------------------------------------------------------------- */

/* Which of the one policy has the name of which of the other. */
struct pairs {
	uint32_t *before; /* by index in `after`; TABLE_NONE: none */
	bool *is_kept;	  /* by index in `before` */
};

static int index_names(const struct kind *kind, const struct policy *policy, struct table *table)
{
	uint32_t found;
	int r = table_reserve(table, kind->count(policy));

	for (size_t i = 0; r == 0 && i < kind->count(policy); i++) {
		const char *name = kind->name_of(policy, i);

		r = table_put(table, name, strlen(name), i, &found);
	}
	return r;
}

/* Most policies keep the order of the one before, so the next one's name is looked at first. */
static int find_before(const struct walk *walk, const struct kind *kind, const char *name,
		       uint32_t *next, struct table *names)
{
	size_t count = kind->count(walk->before);
	int r = 0;

	if (*next < count && strcmp(kind->name_of(walk->before, *next), name) == 0)
		return 0;
	if (names->size == 0)
		r = index_names(kind, walk->before, names);
	*next = r < 0 ? TABLE_NONE : table_get(names, name, strlen(name));
	return r;
}

static int make_pairs(const struct walk *walk, const struct kind *kind, struct pairs *pairs)
{
	size_t count = kind->count(walk->after);
	struct table names = {0};
	uint32_t next = 0;
	int r = 0;

	pairs->before = calloc(count + 1, sizeof(*pairs->before));
	pairs->is_kept = calloc(kind->count(walk->before) + 1, sizeof(*pairs->is_kept));
	if (!pairs->before || !pairs->is_kept)
		return -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++) {
		uint32_t found = next;

		r = find_before(walk, kind, kind->name_of(walk->after, i), &found, &names);
		pairs->before[i] = found;
		if (r < 0 || found == TABLE_NONE)
			continue;
		pairs->is_kept[found] = true;
		next = found + 1;
	}
	table_free(&names);
	return r;
}

static void free_pairs(struct pairs *pairs)
{
	free(pairs->before);
	free(pairs->is_kept);
}

/* What is gone, by its words, so that it is found again under another name. */
struct gone {
	struct table by_words;
	char **words;	/* by index in `before`; NULL: not gone */
	bool *is_named; /* it came back under another name */
};

static int collect_gone(const struct kind *kind, const struct policy *before,
			const struct pairs *pairs, struct gone *gone)
{
	size_t count = kind->count(before);
	uint32_t found;

	gone->words = calloc(count + 1, sizeof(*gone->words));
	gone->is_named = calloc(count + 1, sizeof(*gone->is_named));
	if (!gone->words || !gone->is_named)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (pairs->is_kept[i])
			continue;
		gone->words[i] = kind->words_of(before, i);
		if (!gone->words[i] || table_put(&gone->by_words, gone->words[i],
						 strlen(gone->words[i]), i, &found) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void free_gone(struct gone *gone, size_t count)
{
	for (size_t i = 0; gone->words && i < count; i++)
		free(gone->words[i]);
	free(gone->words);
	free(gone->is_named);
	table_free(&gone->by_words);
}

/* The same words and nothing that differs: of long lists, the words tell only the beginning. */
static int is_renamed(struct walk *walk, const struct kind *kind, size_t before, size_t after)
{
	struct comparison comparison = comparison_open(walk);
	int r = kind->compare(walk, &comparison, before, after), end;

	end = end_words(walk, &comparison);
	if (r < 0 || end < 0)
		return r < 0 ? r : end;
	return !comparison.has_words;
}

static int tell_added(struct walk *walk, const struct kind *kind, size_t i, struct gone *gone)
{
	const struct policy *before = walk->before, *after = walk->after;
	const char *name = kind->name_of(after, i);
	_cleanup_free_ char *words = kind->words_of(after, i);
	uint32_t old = words ? table_get(&gone->by_words, words, strlen(words)) : TABLE_NONE;
	int r = words ? 0 : -ENOMEM;

	if (old != TABLE_NONE && !gone->is_named[old])
		r = is_renamed(walk, kind, old, i);
	if (r < 0)
		return r;
	walk->difference->moved++;
	if (r > 0) {
		gone->is_named[old] = true;
		return add_line(walk, CHANGE_LOOSER, "%s %s has the name %s now: %s start afresh",
				kind->name, kind->name_of(before, old), name, kind->of_rename);
	}
	return add_line(walk,
			kind->only_adds(walk, before, after, i) ? CHANGE_LOOSER : CHANGE_CHANGED,
			"%s %s is added: %s", kind->name, name, words);
}

static int tell_removed(struct walk *walk, const struct kind *kind, struct gone *gone)
{
	const struct policy *before = walk->before;
	int r = 0;

	for (size_t i = 0; r == 0 && i < kind->count(before); i++) {
		if (!gone->words[i] || gone->is_named[i])
			continue;
		walk->difference->moved++;
		r = add_line(walk,
			     kind->only_adds(walk, walk->after, before, i) ? CHANGE_TIGHTER
									   : CHANGE_CHANGED,
			     "%s %s is removed: %s", kind->name, kind->name_of(before, i),
			     gone->words[i]);
	}
	return r;
}

static int compare_one(struct walk *walk, const struct kind *kind, size_t before, size_t after)
{
	struct comparison comparison = comparison_open(walk);
	int r = kind->compare(walk, &comparison, before, after), end;

	end = comparison_close(walk, &comparison, kind->name, kind->name_of(walk->after, after));
	return r < 0 ? r : end;
}

static int walk_kind(struct walk *walk, const struct kind *kind)
{
	struct pairs pairs = {0};
	struct gone gone = {0};
	int r = make_pairs(walk, kind, &pairs);

	walk->of_kind = 0;
	if (r == 0)
		r = collect_gone(kind, walk->before, &pairs, &gone);
	for (size_t i = 0; r == 0 && i < kind->count(walk->after); i++)
		r = pairs.before[i] == TABLE_NONE ? tell_added(walk, kind, i, &gone)
						  : compare_one(walk, kind, pairs.before[i], i);
	if (r == 0)
		r = tell_removed(walk, kind, &gone);
	free_gone(&gone, kind->count(walk->before));
	free_pairs(&pairs);
	return r;
}

/* ---- what has no name ---------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static int walk_policy(struct walk *walk)
{
	const struct policy *old = walk->before, *new = walk->after;
	struct comparison comparison = comparison_open(walk);

	walk->of_kind = 0;
	if (!same_text(old->name, new->name))
		comparison_say(&comparison, UNLIKE, "name %s -> %s", old->name, new->name);
	if (old->mode != new->mode)
		comparison_say(&comparison, new->mode == WEIR_OBSERVE ? MORE : LESS,
			       "mode %s -> %s%s", mode_name(old->mode), mode_name(new->mode),
			       new->mode == WEIR_OBSERVE ? ": nothing is refused but what is cut"
							 : "");
	if (old->four_eyes != new->four_eyes)
		comparison_say(&comparison, old->four_eyes ? MORE : LESS,
			       "four_eyes %s: one person alone %s loosen by local orders",
			       old->four_eyes ? "true -> false" : "false -> true",
			       old->four_eyes ? "may" : "may not");
	if (!same_text(old->zone, new->zone))
		comparison_say(&comparison, UNLIKE, "zone %s -> %s",
			       old->zone ? old->zone : "the host's",
			       new->zone ? new->zone : "the host's");
	return comparison_close(walk, &comparison, "policy", "");
}

static int walk_strangers(struct walk *walk)
{
	struct comparison comparison = comparison_open(walk);

	compare_strangers_of(&comparison, "", &walk->before->strangers, &walk->after->strangers);
	return comparison_close(walk, &comparison, "strangers", "");
}

static const struct lifeline *find_lifeline(const struct policy *policy, const char *words,
					    bool *is_out_of_memory)
{
	for (size_t i = 0; i < policy->lifeline_count; i++) {
		_cleanup_free_ char *other = lifeline_words(&policy->lifelines[i]);

		*is_out_of_memory = *is_out_of_memory || !other;
		if (other && strcmp(other, words) == 0)
			return &policy->lifelines[i];
	}
	return NULL;
}

/* Rules of `of` that `in` does not have. */
static int tell_lifelines(struct walk *walk, const struct policy *of, const struct policy *in,
			  enum direction_of_change direction, const char *what)
{
	bool is_out_of_memory = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < of->lifeline_count; i++) {
		const struct lifeline *one = &of->lifelines[i], *other;
		_cleanup_free_ char *words = lifeline_words(one);

		if (!words)
			return -ENOMEM;
		other = find_lifeline(in, words, &is_out_of_memory);
		if (!other)
			r = add_line(walk, direction, "lifeline %s is %s", words, what);
		else if (direction == CHANGE_LOOSER &&
			 compare_budgets(&one->warn, &other->warn) != SAME)
			r = add_line(walk, CHANGE_CHANGED, "lifeline %s: another warning", words);
	}
	return is_out_of_memory ? -ENOMEM : r;
}

/* Looser lines first, which nobody may overlook; each group as it was found. */
static int order_lines(struct difference *difference)
{
	struct difference_line *line = calloc(difference->count + 1, sizeof(*line));
	size_t count = 0;

	if (!line)
		return -ENOMEM;
	for (int direction = 0; direction < CHANGES; direction++) {
		for (size_t i = 0; i < difference->count; i++) {
			if ((int)difference->line[i].direction == direction)
				line[count++] = difference->line[i];
		}
	}
	free(difference->line);
	difference->line = line;
	return 0;
}

static int walk_all(struct walk *walk)
{
	const struct policy *before = walk->before, *after = walk->after;
	int r = walk_policy(walk);

	if (r == 0)
		r = walk_strangers(walk);
	if (r == 0)
		r = tell_lifelines(walk, after, before, CHANGE_LOOSER, "added");
	if (r == 0)
		r = tell_lifelines(walk, before, after, CHANGE_TIGHTER, "removed");
	for (size_t i = 0; r == 0 && i < DIFFERENCE_KINDS; i++)
		r = walk_kind(walk, &difference_kinds[i]);
	return r;
}

int difference_make(const struct policy *before, const struct policy *after,
		    struct difference *difference)
{
	struct walk walk = {.before = before, .after = after, .difference = difference};
	int r;

	*difference = (struct difference){0};
	walk.out = open_memstream(&walk.words, &walk.length);
	if (!walk.out)
		return -ENOMEM;
	r = walk_all(&walk);
	fclose(walk.out);
	free(walk.words);
	return r < 0 ? r : order_lines(difference);
}

void difference_free(struct difference *difference)
{
	for (size_t i = 0; i < difference->count; i++)
		free(difference->line[i].text);
	free(difference->line);
	*difference = (struct difference){0};
}
