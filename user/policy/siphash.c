/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * siphash.c - SipHash-2-4, as its paper gives it. The same on machines of either byte order.
 */
#include "user/policy/siphash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(uint64_t v[4], unsigned count)
{
	while (count--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

uint64_t siphash(const uint64_t key[2], const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t last = (uint64_t)length << 56;
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575ULL,
		key[1] ^ 0x646f72616e646f6dULL,
		key[0] ^ 0x6c7967656e657261ULL,
		key[1] ^ 0x7465646279746573ULL,
	};
	uint64_t word;
	size_t at;

	for (at = 0; at + 8 <= length; at += 8) {
		memcpy(&word, bytes + at, 8);
		absorb(v, le64toh(word));
	}
	for (unsigned shift = 0; at < length; at++, shift += 8)
		last |= (uint64_t)bytes[at] << shift;
	absorb(v, last);
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
