/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * siphash.h - SipHash-2-4 (Aumasson and Bernstein, 2012): 64 bits of any bytes under a 128-bit key.
 */
#ifndef WEIR_SIPHASH_H
#define WEIR_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *data, size_t length);

#endif
