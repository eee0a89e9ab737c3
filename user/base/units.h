/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * units.h - sizes, spans of time, and budget windows, as people write them.
 *
 * A whole number and a unit, nothing between them: "10MiB", "2GB", "20h", "2GiB/1h". All parsers
 * answer -EINVAL for what is no such thing and -ERANGE above 2^63 - 1.
 */
#ifndef WEIR_UNITS_H
#define WEIR_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MINUTE (60 * NS_PER_SECOND)
#define NS_PER_HOUR   (60 * NS_PER_MINUTE)
#define NS_PER_DAY    (24 * NS_PER_HOUR)

#define BYTES_TEXT 24 /* room for what bytes_format() writes */
#define SPAN_TEXT  48 /* room for what span_format() writes */

/* B, KB, MB, GB, TB (1000), KiB, MiB, GiB, TiB (1024) */
int size_parse(const char *text, uint64_t *bytes);

/* s, m, h, d */
int span_parse(const char *text, uint64_t *ns);

/* SIZE/SPAN. -EINVAL for the size, -EPROTO for the span, -EDOM without a slash. */
int window_parse(const char *text, uint64_t *bytes, uint64_t *ns);

/* "2GiB", "64KiB", "1500B"; exact where a unit divides it, else rounded: "1.4GiB". */
void bytes_format(uint64_t bytes, char *text, size_t size);

/* "20h", "1h30m", "12.5ms". From one minute on, rounded down to whole seconds. */
void span_format(uint64_t ns, char *text, size_t size);

#endif
