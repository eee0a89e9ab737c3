/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * field.h - the fields of a JSON object, for who takes what is missing or of another type as none:
 * of an answer, or a line of the journal.
 */
#ifndef WEIR_FIELD_H
#define WEIR_FIELD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "", 0, false, NULL when it is not there. */
const char *field_text(json_object *object, const char *key);
/* For a terminal, whoever chose the text: without control characters. malloc'd; NULL: no memory. */
char *field_plain(json_object *object, const char *key);
uint64_t field_number(json_object *object, const char *key);
double field_real(json_object *object, const char *key);
bool field_is(json_object *object, const char *key);
json_object *field_object(json_object *object, const char *key);
size_t field_count(json_object *object, const char *key);
json_object *field_item(json_object *object, const char *key, size_t index);

/* "2026-11-22 03:05:07", local time. `text` holds 32 bytes. */
const char *time_text(uint64_t seconds, char *text);

#endif
