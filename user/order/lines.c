/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lines.c - text from outside, line by line. */
#include "user/order/lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"

int order_fault_set(struct order_fault *fault, uint32_t line, uint32_t column, const char *format,
		    ...)
{
	va_list arguments;

	fault->line = line;
	fault->column = column;
	va_start(arguments, format);
	vsnprintf(fault->text, sizeof(fault->text), format, arguments);
	va_end(arguments);
	text_make_plain(fault->text); /* it may quote what was read */
	return -EBADMSG;
}

bool lines_next(struct lines *lines, struct line *line)
{
	const char *end;

	if (lines->at == lines->end)
		return false;
	end = memchr(lines->at, '\n', lines->end - lines->at);
	if (!end)
		end = lines->end;
	*line = (struct line){lines->at, end - lines->at, lines->number++};
	lines->at = end == lines->end ? end : end + 1;
	return true;
}

bool lines_peek(const struct lines *lines, struct line *line)
{
	struct lines copy = *lines;

	return lines_next(&copy, line);
}

bool line_is(const struct line *line, const char *text)
{
	return strlen(text) == line->length && memcmp(line->text, text, line->length) == 0;
}

static bool is_control(const unsigned char *at, size_t length)
{
	if (length == 1)
		return (*at < ' ' && *at != '\t') || *at == 0x7f;
	return at[0] == 0xc2 && at[1] < 0xa0; /* C1 */
}

int lines_check(const char *text, size_t length, uint32_t first, struct order_fault *fault)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + length, *start = at;
	uint32_t line = first;
	size_t step;

	for (; at < end; at += step) {
		step = text_character(at, end);
		if (step == 0)
			return order_fault_set(fault, line, at - start + 1, "this is not UTF-8");
		if (*at == '\n') {
			line++;
			start = at + 1;
		} else if (*at == '\r') {
			return order_fault_set(fault, line, at - start + 1,
					       "a carriage return: lines end with a line feed "
					       "alone");
		} else if (is_control(at, step)) {
			return order_fault_set(fault, line, at - start + 1,
					       "a control character (0x%02x)", at[step - 1]);
		}
	}
	if (start != end)
		return order_fault_set(fault, line, end - start + 1, "the last line has no end");
	return 0;
}
