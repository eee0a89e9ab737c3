/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * json_out.c - writes JSON to a stream as it goes.
 */
#include "user/base/json_out.h"

#include <inttypes.h>
#include <stddef.h>

#include "user/base/text.h"

/* Bytes that stand as they are, at the beginning of a text; those that take a look are left out. */
static size_t plain_length(const unsigned char *text)
{
	size_t length = 0;

	while (text[length] >= 0x20 && text[length] < 0x7f && text[length] != '"' &&
	       text[length] != '\\')
		length++;
	return length;
}

/* A writer is one thread's. */
static void put_escaped(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	fputc_unlocked('"', out);
	for (;;) {
		size_t length = plain_length(at);

		fwrite_unlocked(at, 1, length, out);
		at += length;
		if (!*at)
			break;
		length = text_sequence(at);
		if (length == 0) {
			fputs_unlocked("\\ufffd", out);
			length = 1;
		} else if (*at == '"' || *at == '\\') {
			fputc_unlocked('\\', out);
			fputc_unlocked(*at, out);
		} else if (*at == '\n' || *at == '\t') { /* short: whole files are kept so */
			fputs_unlocked(*at == '\n' ? "\\n" : "\\t", out);
		} else if (*at < 0x20 || *at == 0x7f) {
			fprintf(out, "\\u%04x", *at);
		} else if (*at == 0xc2 && at[1] < 0xa0) { /* C1, which steers terminals too */
			fprintf(out, "\\u%04x", at[1]);
		} else {
			fwrite_unlocked(at, 1, length, out);
		}
		at += length;
	}
	fputc_unlocked('"', out);
}

static void begin(struct json_out *json, const char *key)
{
	if (json->needs_comma)
		fputc(',', json->out);
	if (key) {
		put_escaped(json->out, key);
		fputc(':', json->out);
	}
	json->needs_comma = true;
}

void json_open(struct json_out *json, const char *key, char bracket)
{
	begin(json, key);
	fputc(bracket, json->out);
	json->needs_comma = false;
}

void json_close(struct json_out *json, char bracket)
{
	fputc(bracket, json->out);
	json->needs_comma = true;
}

void json_put_text(struct json_out *json, const char *key, const char *text)
{
	if (!text) {
		json_put_null(json, key);
		return;
	}
	begin(json, key);
	put_escaped(json->out, text);
}

void json_put_uint(struct json_out *json, const char *key, uint64_t number)
{
	begin(json, key);
	fprintf(json->out, "%" PRIu64, number);
}

void json_put_int(struct json_out *json, const char *key, int64_t number)
{
	begin(json, key);
	fprintf(json->out, "%" PRId64, number);
}

void json_put_bool(struct json_out *json, const char *key, bool value)
{
	begin(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_put_null(struct json_out *json, const char *key)
{
	begin(json, key);
	fputs("null", json->out);
}

void json_put_thousandths(struct json_out *json, const char *key, uint64_t thousandths)
{
	begin(json, key);
	fprintf(json->out, "%" PRIu64 ".%03u", thousandths / 1000, (unsigned)(thousandths % 1000));
}
