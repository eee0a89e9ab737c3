/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * hash.bpf.h - SipHash-2-4 (Aumasson, Bernstein 2012) over whole words, keyed with the guard's
 * secret: a peer that picks its addresses must not be able to pick its place in a table.
 */
#ifndef WEIR_HASH_BPF_H
#define WEIR_HASH_BPF_H

#include "policy.bpf.h"

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))

#define SIPROUND                                                                                   \
	do {                                                                                       \
		v0 += v1;                                                                          \
		v1 = ROTATE(v1, 13) ^ v0;                                                          \
		v0 = ROTATE(v0, 32);                                                               \
		v2 += v3;                                                                          \
		v3 = ROTATE(v3, 16) ^ v2;                                                          \
		v0 += v3;                                                                          \
		v3 = ROTATE(v3, 21) ^ v0;                                                          \
		v2 += v1;                                                                          \
		v1 = ROTATE(v1, 17) ^ v2;                                                          \
		v2 = ROTATE(v2, 32);                                                               \
	} while (0)

WEIR_FUNCTION __u64 keyed_hash(__u64 a, __u64 b, __u64 c, __u64 d)
{
	const struct weir_control *control = control_get();
	__u64 words[5] = {a, b, c, d, 32ULL << 56};
	__u64 k0, k1, v0, v1, v2, v3;

	if (!control)
		return 0;
	k0 = control->secret[0];
	k1 = control->secret[1];
	v0 = k0 ^ 0x736f6d6570736575ULL;
	v1 = k1 ^ 0x646f72616e646f6dULL;
	v2 = k0 ^ 0x6c7967656e657261ULL;
	v3 = k1 ^ 0x7465646279746573ULL;
#pragma unroll
	for (int i = 0; i < 5; i++) {
		v3 ^= words[i];
		SIPROUND;
		SIPROUND;
		v0 ^= words[i];
	}
	v2 ^= 0xff;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

#undef SIPROUND
#undef ROTATE

static __always_inline __u64 address_high(const struct weir_address *a)
{
	return (__u64)bpf_ntohl(a->word[0]) << 32 | bpf_ntohl(a->word[1]);
}

static __always_inline __u64 address_low(const struct weir_address *a)
{
	return (__u64)bpf_ntohl(a->word[2]) << 32 | bpf_ntohl(a->word[3]);
}

#endif
