/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * lines.h - text from outside, line by line, and the first thing that is wrong with it.
 */
#ifndef WEIR_LINES_H
#define WEIR_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where reading ended. What is signed is taken whole or not at all: one fault is enough. */
struct order_fault {
	uint32_t line;	 /* 1-based */
	uint32_t column; /* 1-based, in bytes */
	char text[240];	 /* one line without control characters, no full stop */
};

/* Fills `fault` and returns -EBADMSG. */
int order_fault_set(struct order_fault *fault, uint32_t line, uint32_t column, const char *format,
		    ...) __attribute__((format(printf, 4, 5)));

struct line {
	const char *text; /* without its end; not NUL-terminated */
	size_t length;
	uint32_t number;
};

struct lines {
	const char *at, *end;
	uint32_t number; /* of the line that comes next */
};

/* False after the last one. */
bool lines_next(struct lines *lines, struct line *line);
/* The same, and the line comes again. */
bool lines_peek(const struct lines *lines, struct line *line);
bool line_is(const struct line *line, const char *text);

/*
 * Whether it is text: UTF-8, whose lines all end with a line feed, without control characters but
 * the tab. `first` is the number of its first line. 0, or -EBADMSG with a fault. No text at all is
 * good.
 */
int lines_check(const char *text, size_t length, uint32_t first, struct order_fault *fault);

#endif
