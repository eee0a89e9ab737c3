/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* hex.h - bytes as hexadecimal digits, in small letters. */
#ifndef WEIR_HEX_H
#define WEIR_HEX_H

#include <stddef.h>
#include <stdint.h>

#define HEX_TEXT(bytes) (2 * (bytes) + 1) /* room for so many, and the NUL */

/* `text` holds HEX_TEXT(count). Returns it. */
const char *hex_format(const uint8_t *bytes, size_t count, char *text);

#endif
