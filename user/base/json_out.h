/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * json_out.h - writes JSON to a stream as it goes, on one line, without a tree in memory.
 *
 * `key` is NULL inside an array and for the outermost value. Text is escaped; bytes that are no
 * UTF-8 come out as U+FFFD, so that the line is valid whatever it was given. A NULL text is null.
 */
#ifndef WEIR_JSON_OUT_H
#define WEIR_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_out {
	FILE *out;
	bool needs_comma;
};

void json_open(struct json_out *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_out *json, char bracket);		      /* '}' or ']' */
void json_put_text(struct json_out *json, const char *key, const char *text);
void json_put_uint(struct json_out *json, const char *key, uint64_t number);
void json_put_int(struct json_out *json, const char *key, int64_t number);
void json_put_bool(struct json_out *json, const char *key, bool value);
void json_put_null(struct json_out *json, const char *key);
/* A number with three digits behind the point: milliseconds from nanoseconds and the like. */
void json_put_thousandths(struct json_out *json, const char *key, uint64_t thousandths);

#endif
