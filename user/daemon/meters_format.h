/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_format.h - the format of the meters on disk, between the file that writes it
 * (meters_group.c) and the one that reads it (meters_file.c): the fields by their names, and how a
 * number is put down.
 */
#ifndef WEIR_METERS_FORMAT_H
#define WEIR_METERS_FORMAT_H

#include <endian.h>
#include <string.h>

#include "user/daemon/meters_file.h"

struct field {
	char name[METERS_FIELD_TEXT];
	uint32_t offset, size; /* 4 or 8 bytes */
};

#define FIELD(type, member)                                                                        \
	{                                                                                          \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member)         \
	}

static const struct field meter_fields[] = {
	FIELD(weir_meter, grant_key),
	FIELD(weir_meter, service_key),
	FIELD(weir_meter, partner_key),
	FIELD(weir_meter, sent_bytes[0]),
	FIELD(weir_meter, sent_bytes[1]),
	FIELD(weir_meter, sent_packets[0]),
	FIELD(weir_meter, sent_packets[1]),
	FIELD(weir_meter, acked_bytes[0]),
	FIELD(weir_meter, acked_bytes[1]),
	FIELD(weir_meter, refused_bytes),
	FIELD(weir_meter, refused_packets),
	FIELD(weir_meter, would_refuse_bytes),
	FIELD(weir_meter, would_refuse_packets),
	FIELD(weir_meter, last_sent_ns),
	FIELD(weir_meter, told_ns),
	FIELD(weir_meter, told),
	FIELD(weir_meter, untold),
	FIELD(weir_meter, severed_ns),
};

/* The others follow from these and from the slices. */
static const struct field window_fields[] = {
	FIELD(weir_window, window_ns),
	FIELD(weir_window, slice_start_ns),
	FIELD(weir_window, warned_until_ns),
	FIELD(weir_window, alerted_until_ns),
	FIELD(weir_window, head),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(8 * COUNT(meter_fields) == offsetof(struct weir_meter, window),
	       "a field of the meter is missing above: it would not outlive a reboot");

enum {
	HEAD_BYTES = METERS_HEAD_BYTES,
	LONGEST_FORM = 4 + (COUNT(meter_fields) + COUNT(window_fields)) * METERS_FIELD_TEXT,
	LONGEST_WINDOW = 1 + 8 * COUNT(window_fields) + 1 + 9 * WEIR_SLICES + 9,
	LONGEST_RECORD = 12 + 8 * COUNT(meter_fields) + WEIR_WINDOWS * LONGEST_WINDOW,
	/* of another build */
	MOST_FIELDS = 64,
	MOST_WINDOWS = 16,
	MOST_SLICES = 64,
};

static const char meters_magic[8] = "weirmtr2";

struct put {
	uint8_t *at;
};

static inline void put_u8(struct put *put, uint8_t value)
{
	*put->at++ = value;
}

static inline void put_u32(struct put *put, uint32_t value)
{
	value = htole32(value);
	memcpy(put->at, &value, sizeof(value));
	put->at += sizeof(value);
}

static inline void put_u64(struct put *put, uint64_t value)
{
	value = htole64(value);
	memcpy(put->at, &value, sizeof(value));
	put->at += sizeof(value);
}

#endif
