/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * near.c - near names by edit distance: inserted, left out, changed, or two neighbours swapped.
 */
#include "user/policy/near.h"

#include <string.h>

enum { LONGEST = 63 }; /* longer names are compared by their first bytes */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein's, and a swap of neighbours is one edit. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][LONGEST + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2], *spare;

	for (size_t j = 0; j <= b_length; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned change = last[j - 1] + (a[i - 1] != b[j - 1]);

			now[j] = least(change, least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_length];
}

/* Puts `name` where it belongs among the nearest so far. */
static size_t insert(const char *near[NEAR_MAX], unsigned scores[NEAR_MAX], size_t found,
		     const char *name, unsigned score)
{
	size_t at = found;

	while (at > 0 && scores[at - 1] > score)
		at--;
	if (at == NEAR_MAX)
		return found;
	if (found < NEAR_MAX)
		found++;
	for (size_t i = found - 1; i > at; i--) {
		near[i] = near[i - 1];
		scores[i] = scores[i - 1];
	}
	near[at] = name;
	scores[at] = score;
	return found;
}

size_t near_names(const char *name, char *const *names, size_t count, const char *near[NEAR_MAX])
{
	size_t length = strnlen(name, LONGEST);
	unsigned allowed = 1 + length / 4;
	unsigned scores[NEAR_MAX];
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		size_t other = names[i] ? strnlen(names[i], LONGEST) : 0;
		unsigned score;

		if (!other)
			continue;
		if (length >= 2 && other > length && !strncmp(names[i], name, length))
			score = allowed;
		else if ((other > length ? other - length : length - other) > allowed)
			continue;
		else
			score = distance(name, length, names[i], other);
		if (score <= allowed)
			found = insert(near, scores, found, names[i], score);
	}
	return found;
}
