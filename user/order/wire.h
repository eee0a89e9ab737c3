/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * wire.h - the SSH encoding of bytes, numbers and strings (RFC 4251 section 5), read within bounds.
 */
#ifndef WEIR_WIRE_H
#define WEIR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes. */
struct bytes {
	const uint8_t *data;
	size_t length;
};

static inline bool bytes_are(struct bytes bytes, const char *text)
{
	return strlen(text) == bytes.length && memcmp(bytes.data, text, bytes.length) == 0;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* What is left to be read moves on with each of these; false, and nothing moves, past its end. */
static inline bool wire_bytes(struct bytes *wire, size_t length, struct bytes *bytes)
{
	if (wire->length < length)
		return false;
	*bytes = (struct bytes){wire->data, length};
	wire->data += length;
	wire->length -= length;
	return true;
}

static inline bool wire_byte(struct bytes *wire, uint8_t *byte)
{
	struct bytes one;

	if (!wire_bytes(wire, 1, &one))
		return false;
	*byte = one.data[0];
	return true;
}

static inline bool wire_uint32(struct bytes *wire, uint32_t *number)
{
	struct bytes four;

	if (!wire_bytes(wire, 4, &four))
		return false;
	*number = (uint32_t)four.data[0] << 24 | (uint32_t)four.data[1] << 16 |
		  (uint32_t)four.data[2] << 8 | four.data[3];
	return true;
}

static inline bool wire_string(struct bytes *wire, struct bytes *string)
{
	struct bytes rest = *wire;
	uint32_t length;

	if (!wire_uint32(&rest, &length) || !wire_bytes(&rest, length, string))
		return false;
	*wire = rest;
	return true;
}

/* A positive mpint in its shortest form; `number` is without the zero that keeps it positive. */
static inline bool wire_mpint(struct bytes *wire, struct bytes *number)
{
	struct bytes rest = *wire, found;

	if (!wire_string(&rest, &found) || found.length == 0 || (found.data[0] & 0x80))
		return false;
	if (found.data[0] == 0) {
		if (found.length == 1 || !(found.data[1] & 0x80))
			return false;
		found.data++;
		found.length--;
	}
	*number = found;
	*wire = rest;
	return true;
}

static inline uint8_t *wire_put_uint32(uint8_t *to, uint32_t number)
{
	to[0] = number >> 24;
	to[1] = number >> 16;
	to[2] = number >> 8;
	to[3] = number;
	return to + 4;
}

static inline uint8_t *wire_put_string(uint8_t *to, const void *data, size_t length)
{
	to = wire_put_uint32(to, length);
	memcpy(to, data, length);
	return to + length;
}

#endif
