/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* words.c - the words of a line. */
#include "user/order/words.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool words_are_comment(const struct line *line)
{
	size_t at = 0;

	while (at < line->length && is_blank(line->text[at]))
		at++;
	return at == line->length || line->text[at] == '#';
}

int words_next(struct words *words, struct word *word, const char *what)
{
	const char *start = words->line.text, *end = start + words->line.length, *at = words->at;
	const char *from, *quote = NULL;

	while (at < end && is_blank(*at))
		at++;
	from = at;
	if (at == end)
		return order_fault_set(words->fault, words->line.number, at - start + 1,
				       "%s is missing", what);
	for (; at < end && (quote || !is_blank(*at)); at++) {
		if (*at == '"')
			quote = quote ? NULL : at;
		else if (*at == '\\')
			return order_fault_set(words->fault, words->line.number, at - start + 1,
					       "nothing here needs a backslash");
	}
	if (quote)
		return order_fault_set(words->fault, words->line.number, quote - start + 1,
				       "the quote is not closed");
	words->at = at;
	if (*from == '"' && memchr(from + 1, '"', at - from - 1) == at - 1) {
		from++;
		at--;
	}
	*word = (struct word){from, at - from, from - start + 1};
	return 0;
}

static void step(struct word *list, size_t length)
{
	list->text += length;
	list->length -= length;
	list->column += length;
}

bool word_option(struct word *list, struct word *name, struct word *value)
{
	struct word rest = *list;
	const char *quote;

	*name = (struct word){rest.text, 0, rest.column};
	*value = (struct word){0};
	while (name->length < rest.length && !strchr("=,\"", rest.text[name->length]))
		name->length++;
	step(&rest, name->length);
	if (rest.length && *rest.text == '=') {
		if (rest.length < 2 || rest.text[1] != '"')
			return false;
		step(&rest, 2);
		quote = memchr(rest.text, '"', rest.length);
		if (!quote)
			return false;
		*value = (struct word){rest.text, quote - rest.text, rest.column};
		step(&rest, value->length + 1);
	}
	if (rest.length && (*rest.text != ',' || rest.length == 1))
		return false;
	if (rest.length)
		step(&rest, 1);
	*list = rest;
	return name->length > 0;
}
