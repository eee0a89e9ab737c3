/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* text.h - names that are nearly right, and texts that others chose. */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The candidate nearest to a word, collected one after the other. */
struct near {
	const char *word;
	const char *best; /* NULL: none is near */
	unsigned int distance;
};

void near_start(struct near *near, const char *word);
void near_try(struct near *near, const char *candidate);

/* The name nearest to `word` (edit distance at most a third of its length), or NULL. */
const char *near_name(const char *word, char *const *names, size_t count);

/*
 * Whether a text has no control characters (C0, DEL, and C1 in UTF-8): those break a line, or steer
 * the terminal that shows it. text_make_plain() puts a "?" in the place of each of their bytes.
 */
bool text_is_plain(const char *text);
void text_make_plain(char *text);

#endif
