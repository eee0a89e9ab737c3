/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* fields.c - lines KEY: VALUE of a signed text. */
#include "user/fleet/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/order/instant.h"
#include "user/order/lines.h"
#include "user/order/ssh_key.h"

/* ---- reading -------------------------------------------------------------------------------- */

/* Digits alone, without a zero before others: one form for each number. */
static bool read_number(const char *text, uint64_t *number)
{
	size_t length = strlen(text);

	if (length == 0 || length > 19 || strspn(text, "0123456789") != length ||
	    (length > 1 && text[0] == '0'))
		return false;
	*number = strtoull(text, NULL, 10);
	return true;
}

static bool read_value(const struct line_field *field, const char *text, void *at)
{
	switch (field->kind) {
	case LINE_VERSION:
		return strcmp(text, "1") == 0;
	case LINE_TEXT:
		/* no tab: what is written has none */
		if (strlen(text) >= field->size || !text_is_plain(text))
			return false;
		strcpy(at, text);
		return true;
	case LINE_NUMBER:
		return read_number(text, at);
	case LINE_TIME:
		return instant_parse(text, at) == 0;
	case LINE_BOOL:
		*(bool *)at = strcmp(text, "yes") == 0;
		return *(bool *)at || strcmp(text, "no") == 0;
	}
	return false;
}

/* The number of the line's field; LINE_FIELDS: it has none. */
static size_t field_of(const char *key, size_t length, const struct line_field *fields,
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(fields[i].key) == length && memcmp(fields[i].key, key, length) == 0)
			return i;
	}
	return LINE_FIELDS;
}

static int read_line(const struct line *line, const struct line_field *fields, size_t count,
		     bool seen[LINE_FIELDS], void *into, const char **why)
{
	const char *colon = memmem(line->text, line->length, ": ", 2);
	char value[512];
	size_t which, length;

	if (!colon)
		return ssh_refuse(why, "a line of it is no KEY: VALUE");
	which = field_of(line->text, colon - line->text, fields, count);
	if (which == LINE_FIELDS || (line->number == 1 && which != 0))
		return ssh_refuse(why, "it has a line that does not belong there");
	if (seen[which])
		return ssh_refuse(why, "one of its lines stands twice");
	seen[which] = true;
	length = line->text + line->length - (colon + 2);
	if (length == 0 || length >= sizeof(value) || memchr(colon + 2, '\0', length))
		return ssh_refuse(why, "a value of it is empty or too long");
	memcpy(value, colon + 2, length);
	value[length] = '\0';
	if (!read_value(&fields[which], value, (char *)into + fields[which].offset))
		return ssh_refuse(why, "a value of it is malformed");
	return 0;
}

int fields_read(const char *text, size_t length, const struct line_field *fields, size_t count,
		void *into, const char **why)
{
	struct lines lines = {text, text + length, 1};
	bool seen[LINE_FIELDS] = {false};
	struct line line;

	while (lines_next(&lines, &line)) {
		int r = read_line(&line, fields, count, seen, into, why);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < count; i++) {
		if (fields[i].is_required && !seen[i])
			return ssh_refuse(why, "a line of it is missing");
	}
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool is_empty(const struct line_field *field, const void *at)
{
	switch (field->kind) {
	case LINE_TEXT:
		return *(const char *)at == '\0';
	case LINE_NUMBER:
	case LINE_TIME:
		return *(const uint64_t *)at == 0;
	case LINE_BOOL:
		return !*(const bool *)at;
	default:
		return false;
	}
}

/* As long as it may be, cut between characters. */
static void put_text(FILE *out, const struct line_field *field, const char *text)
{
	_cleanup_free_ char *plain = strdup(text);
	size_t length = 0, step;

	if (!plain)
		return; /* the stream is out of memory as well: told when it is closed */
	text_make_plain(plain);
	while (plain[length] && (step = text_sequence((unsigned char *)plain + length)) > 0 &&
	       length + step < field->size)
		length += step;
	fprintf(out, "%.*s", (int)length, plain);
}

static void put_value(FILE *out, const struct line_field *field, const void *at)
{
	char time[INSTANT_TEXT];

	switch (field->kind) {
	case LINE_VERSION:
		fputs("1", out);
		break;
	case LINE_TEXT:
		put_text(out, field, at);
		break;
	case LINE_NUMBER:
		fprintf(out, "%" PRIu64, *(const uint64_t *)at);
		break;
	case LINE_TIME:
		fputs(instant_format(*(const uint64_t *)at, time), out);
		break;
	case LINE_BOOL:
		fputs(*(const bool *)at ? "yes" : "no", out);
		break;
	}
}

char *fields_write(const struct line_field *fields, size_t count, const void *from)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const void *at = (const char *)from + fields[i].offset;

		if (!fields[i].is_required && is_empty(&fields[i], at))
			continue;
		fprintf(out, "%s: ", fields[i].key);
		put_value(out, &fields[i], at);
		fputc('\n', out);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
