/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* base64.h - base64 (RFC 4648 section 4) in its one strict form. */
#ifndef WEIR_BASE64_H
#define WEIR_BASE64_H

#include <stddef.h>
#include <stdint.h>

enum { BASE64_MAX_TEXT = 8192 };

/* Room for what so many characters stand for. */
#define BASE64_DATA(length) ((length) / 4 * 3 + 1)

/*
 * Decodes `length` characters: padded, without blanks, unused bits zero, so that no two texts stand
 * for the same bytes. `data` holds BASE64_DATA(length). 0; -E2BIG above BASE64_MAX_TEXT; -EINVAL.
 */
int base64_decode(const char *text, size_t length, uint8_t *data, size_t *size);

#endif
