/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* json_in.h - JSON from outside: a control client's, or a file's that somebody may have touched. */
#ifndef WEIR_JSON_IN_H
#define WEIR_JSON_IN_H

#include <stddef.h>

struct json_object;

/* One object and nothing behind it, strictly JSON and UTF-8, at most `depth` levels; NULL
 * otherwise. The caller's to put. */
struct json_object *json_in(const char *text, size_t length, int depth);

#endif
