/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* hex.c - bytes as hexadecimal digits. */
#include "user/base/hex.h"

const char *hex_format(const uint8_t *bytes, size_t count, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * count] = '\0';
	return text;
}
