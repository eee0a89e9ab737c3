/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * address.h - IP addresses and prefixes as 16 bytes; IPv4 is v4-mapped (::ffff:a.b.c.d).
 *
 * Prefix lengths run from 0 to 128; those of IPv4 count from 96. An IPv6 prefix shorter than 96
 * bits (::/0) stands for IPv6 addresses only, whatever the mapped form suggests: see
 * prefix_covers().
 */
#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT 46 /* room for any address and its NUL */
#define PREFIX_TEXT  50 /* room for any prefix and its NUL */

/* "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1" (the same as 192.0.2.1). -EINVAL. */
int address_parse(const char *text, uint8_t address[16]);

/* IPv4 comes out dotted. `size` should be ADDRESS_TEXT. */
void address_format(const uint8_t address[16], char *text, size_t size);

bool address_is_v4(const uint8_t address[16]);

/*
 * ADDRESS or ADDRESS/LENGTH. -EINVAL: not an address; -ERANGE: no such length; -EDOM: bits are set
 * to the right of the prefix (prefix_split() takes that).
 */
int prefix_parse(const char *text, uint8_t address[16], uint8_t *bits);
int prefix_split(const char *text, uint8_t address[16], uint8_t *bits);

/* Clears what is to the right of the prefix; returns whether something was set there. */
bool prefix_mask(uint8_t address[16], uint8_t bits);

/* Whether the address lies in the prefix. IPv4 and IPv6 never cover each other. */
bool prefix_covers(const uint8_t prefix[16], uint8_t bits, const uint8_t address[16]);

/* By the bits alone: a short IPv6 prefix holds IPv4 addresses too, v4-mapped as they are. For cuts,
 * which may only be stricter. */
bool prefix_holds(const uint8_t prefix[16], uint8_t bits, const uint8_t address[16]);

/* Without "/32" or "/128" for a single address. `size` should be PREFIX_TEXT. */
void prefix_format(const uint8_t address[16], uint8_t bits, char *text, size_t size);

#endif
