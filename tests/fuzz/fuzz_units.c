/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_units.c - addresses, prefixes, sizes, spans and windows of any bytes; what was understood is
 * written so that it is understood as the same.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_addresses(const char *text)
{
	char written[PREFIX_TEXT];
	uint8_t address[16], again[16], bits, bits_again;

	if (address_parse(text, address) == 0) {
		address_format(address, written, sizeof(written));
		if (address_parse(written, again) < 0 || memcmp(address, again, 16) != 0)
			abort();
	}
	if (prefix_parse(text, address, &bits) == 0) {
		if (bits > 128)
			abort();
		prefix_format(address, bits, written, sizeof(written));
		if (prefix_parse(written, again, &bits_again) < 0 || bits != bits_again ||
		    memcmp(address, again, 16) != 0 || !prefix_covers(address, bits, again))
			abort();
	}
	if (prefix_split(text, address, &bits) == 0 && prefix_mask(address, bits) &&
	    prefix_mask(address, bits))
		abort(); /* what is masked has nothing left to mask */
}

static void check_units(const char *text)
{
	char written[SPAN_TEXT];
	uint64_t bytes = 7, ns = 7;
	int r = window_parse(text, &bytes, &ns);

	if (r < 0 && (bytes != 7 || ns != 7))
		abort(); /* a failed parse leaves its results alone */
	if (r == 0 && (bytes > INT64_MAX || ns > INT64_MAX))
		abort();
	if (size_parse(text, &bytes) == 0) {
		if (bytes > INT64_MAX)
			abort();
		bytes_format(bytes, written, sizeof(written));
	}
	if (span_parse(text, &ns) == 0) {
		if (ns > INT64_MAX)
			abort();
		span_format(ns, written, sizeof(written));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[128];

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_addresses(text);
	check_units(text);
	return 0;
}
