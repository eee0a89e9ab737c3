/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* text.h - names that are nearly right, and texts that others chose. */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

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
/* One line of such a text on `out`, and its end. */
void text_put_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes of the UTF-8 sequence that a text begins with, no more than stand before its NUL; 0: it is
 * none (RFC 3629: no overlong ones, no surrogates). */
size_t text_sequence(const unsigned char *text);
/* The same in a text that ends at `end`, where no NUL need stand; at < end. */
size_t text_character(const unsigned char *at, const unsigned char *end);
/* Bytes at the beginning of a text of `length` bytes that are ASCII; NULs are. */
size_t text_ascii_length(const char *text, size_t length);
/* Whether all of it is; NULs are. */
bool text_is_utf8(const char *text, size_t length);

#endif
