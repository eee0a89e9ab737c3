/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* hex.h - bytes as hexadecimal digits in small letters, and back. */
#ifndef WEIR_HEX_H
#define WEIR_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEX_TEXT(bytes) (2 * (bytes) + 1) /* room for so many, and the NUL */

/* `text` holds HEX_TEXT(count). Returns it. */
const char *hex_format(const uint8_t *bytes, size_t count, char *text);

/* False when `text` is not exactly 2 * count such digits; then `bytes` is undefined. */
bool hex_parse(const char *text, uint8_t *bytes, size_t count);

#endif
