/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* address.c - IP addresses and prefixes as 16 bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/address.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_is_v4(const uint8_t address[16])
{
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

int address_parse(const char *text, uint8_t address[16])
{
	uint8_t parsed[16];

	if (inet_pton(AF_INET, text, parsed + 12) == 1)
		memcpy(parsed, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, text, parsed) != 1)
		return -EINVAL;
	memcpy(address, parsed, sizeof(parsed));
	return 0;
}

void address_format(const uint8_t address[16], char *text, size_t size)
{
	char full[INET6_ADDRSTRLEN];

	if (address_is_v4(address))
		inet_ntop(AF_INET, address + 12, full, sizeof(full));
	else
		inet_ntop(AF_INET6, address, full, sizeof(full));
	snprintf(text, size, "%s", full);
}

/* Up to three digits, no sign, no leading zero. */
static int length_parse(const char *text, unsigned int max, unsigned int *length)
{
	unsigned int value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 3; i++)
		value = value * 10 + (unsigned int)(text[i] - '0');
	if (i == 0 || text[i] != '\0' || (text[0] == '0' && i > 1) || value > max)
		return -ERANGE;
	*length = value;
	return 0;
}

int prefix_split(const char *text, uint8_t address[16], uint8_t *bits)
{
	const char *slash = strchr(text, '/');
	unsigned int max = strchr(text, ':') ? 128 : 32, length = max;
	uint8_t parsed[16];
	char host[ADDRESS_TEXT];
	int r;

	if (slash) {
		if ((size_t)(slash - text) >= sizeof(host))
			return -EINVAL;
		memcpy(host, text, slash - text);
		host[slash - text] = '\0';
	}
	r = address_parse(slash ? host : text, parsed);
	if (r < 0)
		return r;
	if (slash) {
		r = length_parse(slash + 1, max, &length);
		if (r < 0)
			return r;
	}
	memcpy(address, parsed, sizeof(parsed));
	*bits = (uint8_t)(128 - max + length);
	return 0;
}

bool prefix_mask(uint8_t address[16], uint8_t bits)
{
	bool was_set = false;
	uint8_t keep;
	size_t i;

	for (i = bits / 8; i < 16; i++) {
		keep = i == bits / 8 ? (uint8_t)(0xff00 >> (bits % 8)) : 0;
		was_set |= (address[i] & ~keep) != 0;
		address[i] &= keep;
	}
	return was_set;
}

int prefix_parse(const char *text, uint8_t address[16], uint8_t *bits)
{
	uint8_t parsed[16], length;
	int r;

	r = prefix_split(text, parsed, &length);
	if (r < 0)
		return r;
	if (prefix_mask(parsed, length))
		return -EDOM;
	memcpy(address, parsed, sizeof(parsed));
	*bits = length;
	return 0;
}

bool prefix_covers(const uint8_t prefix[16], uint8_t bits, const uint8_t address[16])
{
	uint8_t masked[16];

	if (bits < 96 && address_is_v4(address))
		return false;
	memcpy(masked, address, sizeof(masked));
	prefix_mask(masked, bits);
	return memcmp(masked, prefix, sizeof(masked)) == 0;
}

bool prefix_holds(const uint8_t prefix[16], uint8_t bits, const uint8_t address[16])
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (bits > 128 || memcmp(prefix, address, bytes))
		return false;
	return !rest || !((prefix[bytes] ^ address[bytes]) >> (8 - rest));
}

void prefix_format(const uint8_t address[16], uint8_t bits, char *text, size_t size)
{
	char host[ADDRESS_TEXT];
	unsigned int length = bits;

	address_format(address, host, sizeof(host));
	if (bits >= 96 && address_is_v4(address))
		length -= 96;
	if (bits == 128)
		snprintf(text, size, "%s", host);
	else
		snprintf(text, size, "%s/%u", host, length);
}
