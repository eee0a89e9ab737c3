/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * words.h - the words of a line, as allowed_signers has them: blanks end a word, but not in quotes.
 */
#ifndef WEIR_ORDER_WORDS_H
#define WEIR_ORDER_WORDS_H

#include "user/order/lines.h"

struct word {
	const char *text; /* not NUL-terminated; NULL: there is none */
	size_t length;
	uint32_t column; /* in its line, from 1 */
};

struct words {
	struct line line;
	const char *at; /* starts as line.text */
	struct order_fault *fault;
};

/* Whether nothing stands on the line, or only what begins with "#". */
bool words_are_comment(const struct line *line);

/*
 * The next word, without its quotes when all of it stands in them. 0, or -EBADMSG with a fault: the
 * line is over ("WHAT is missing"), a quote is not closed, or something is escaped, which nothing
 * here needs.
 */
int words_next(struct words *words, struct word *word, const char *what);

/*
 * Takes NAME, or NAME="VALUE", and the comma behind it, from the beginning of a list of options. A
 * name alone has a value of NULL. False for another form.
 */
bool word_option(struct word *list, struct word *name, struct word *value);

#endif
