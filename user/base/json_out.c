/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * json_out.c - writes JSON to a stream as it goes.
 */
#include "user/base/json_out.h"

#include <inttypes.h>
#include <stddef.h>

/* Length of the UTF-8 sequence at `text` (RFC 3629, section 4), 0 when it is none. */
static size_t sequence_length(const unsigned char *text)
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

static void put_escaped(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	fputc('"', out);
	while (*at) {
		size_t length = sequence_length(at);

		if (length == 0) {
			fputs("\\ufffd", out);
			length = 1;
		} else if (*at == '"' || *at == '\\') {
			fprintf(out, "\\%c", *at);
		} else if (*at == '\n' || *at == '\t') { /* short: whole files are kept so */
			fputs(*at == '\n' ? "\\n" : "\\t", out);
		} else if (*at < 0x20 || *at == 0x7f) {
			fprintf(out, "\\u%04x", *at);
		} else if (*at == 0xc2 && at[1] < 0xa0) { /* C1, which steers terminals too */
			fprintf(out, "\\u%04x", at[1]);
		} else {
			fwrite(at, 1, length, out);
		}
		at += length;
	}
	fputc('"', out);
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
