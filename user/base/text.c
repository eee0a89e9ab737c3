/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* text.c - names that are nearly right (edit distance), and texts that others chose. */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"

enum { NEAR_MAX = 64 }; /* bytes that take part; longer words have no near name */

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein, with a swap of neighbours as one step ("tpc" for "tcp"). */
static unsigned int distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned int rows[3][NEAR_MAX + 1];
	unsigned int *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t i, j;

	for (j = 0; j <= b_length; j++)
		last[j] = (unsigned int)j;
	for (i = 1; i <= a_length; i++) {
		row[0] = (unsigned int)i;
		for (j = 1; j <= b_length; j++) {
			row[j] = least(last[j] + 1, row[j - 1] + 1,
				       last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_length];
}

void near_start(struct near *near, const char *word)
{
	size_t length = strlen(word);

	near->word = word;
	near->best = NULL;
	/* Only what is nearer than this is taken: one mistake in short words, a third in long. */
	near->distance = length <= 4 ? 2 : (unsigned int)(length / 3) + 1;
}

void near_try(struct near *near, const char *candidate)
{
	size_t a = strlen(near->word), b = candidate ? strlen(candidate) : 0;
	unsigned int d;

	if (b == 0 || a > NEAR_MAX || b > NEAR_MAX || (a > b ? a - b : b - a) >= near->distance)
		return;
	d = distance(near->word, a, candidate, b);
	if (d < near->distance) {
		near->distance = d;
		near->best = candidate;
	}
}

const char *near_name(const char *word, char *const *names, size_t count)
{
	struct near near;
	size_t i;

	near_start(&near, word);
	for (i = 0; i < count; i++)
		near_try(&near, names[i]); /* a NULL among them is passed over */
	return near.best;
}

/* Bytes of the control character at `text`, 0 when it is none. */
static size_t control_length(const char *text)
{
	unsigned char first = text[0], second = first ? text[1] : 0;

	if (first < ' ' || first == 0x7f)
		return 1;
	return first == 0xc2 && second >= 0x80 && second < 0xa0 ? 2 : 0;
}

bool text_is_plain(const char *text)
{
	for (; *text; text++)
		if (control_length(text))
			return false;
	return true;
}

void text_make_plain(char *text)
{
	for (; *text; text++)
		for (size_t length = control_length(text); length; length--)
			text[length - 1] = '?';
}

void text_put_line(FILE *out, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		fputs("(out of memory)\n", out);
		return;
	}
	text_make_plain(text);
	fprintf(out, "%s\n", text);
	free(text);
}

size_t text_sequence(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	if (text[0] == 0xed)
		high = 0x9f;
	if (text[0] == 0xf0)
		low = 0x90;
	if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	}
	return length;
}

size_t text_character(const unsigned char *at, const unsigned char *end)
{
	size_t length = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;

	return length <= (size_t)(end - at) && text_sequence(at) == length ? length : 0;
}

size_t text_ascii_length(const char *text, size_t length)
{
	const uint64_t high_bits = UINT64_C(0x8080808080808080);
	size_t count = 0;
	uint64_t part;

	for (; length - count >= sizeof(part); count += sizeof(part)) {
		memcpy(&part, text + count, sizeof(part));
		if (part & high_bits)
			break;
	}
	while (count < length && !(text[count] & 0x80))
		count++;
	return count;
}

bool text_is_utf8(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + length;

	while (at < end) {
		size_t step;

		at += text_ascii_length((const char *)at, end - at);
		if (at == end)
			break;
		step = text_character(at, end);
		if (step == 0)
			return false;
		at += step;
	}
	return true;
}
