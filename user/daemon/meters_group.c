/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_group.c - the meters on disk: writing a group.
 */
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "user/daemon/meters_format.h"

static int reserve(struct meters_group *group, size_t more)
{
	size_t capacity = group->capacity ?: 65536;
	uint8_t *data;

	while (capacity - group->length < more)
		capacity *= 2;
	if (capacity == group->capacity)
		return 0;
	data = realloc(group->data, capacity);
	if (!data)
		return -ENOMEM;
	group->data = data;
	group->capacity = capacity;
	return 0;
}

static void put_names(struct put *put, const struct field *field, size_t count)
{
	put_u8(put, count);
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(field[i].name);

		put_u8(put, length);
		memcpy(put->at, field[i].name, length);
		put->at += length;
	}
}

int meters_group_begin(struct meters_group *group)
{
	struct put put;
	int r;

	group->length = 0;
	group->records = 0;
	r = reserve(group, HEAD_BYTES + LONGEST_FORM);
	if (r < 0)
		return r;
	put.at = group->data + HEAD_BYTES;
	put_u8(&put, WEIR_WINDOWS);
	put_u8(&put, WEIR_SLICES);
	put_names(&put, meter_fields, COUNT(meter_fields));
	put_names(&put, window_fields, COUNT(window_fields));
	group->length = put.at - group->data;
	return 0;
}

static void put_values(struct put *put, const struct field *field, size_t count, const void *from)
{
	for (size_t i = 0; i < count; i++) {
		const void *at = (const char *)from + field[i].offset;

		put_u64(put, field[i].size == 4 ? *(const __u32 *)at : *(const __u64 *)at);
	}
}

static void put_window(struct put *put, const struct weir_window *w, const struct kept_part *part)
{
	uint8_t *count;

	put_u8(put, w->window_ns != 0);
	if (!w->window_ns)
		return;
	put_values(put, window_fields, COUNT(window_fields), w);
	count = put->at;
	put_u8(put, 0);
	for (unsigned age = 0; age < WEIR_SLICES; age++) {
		uint64_t bytes = w->slice[(w->head + WEIR_SLICES - age) % WEIR_SLICES];

		if (!bytes)
			continue;
		put_u8(put, age);
		put_u64(put, bytes);
		++*count;
	}
	put_u8(put, part->age);
	put_u64(put, part->bytes);
}

int meters_group_add(struct meters_group *group, const struct kept_meter *kept)
{
	struct put put;
	int r = reserve(group, LONGEST_RECORD);

	if (r < 0)
		return r;
	put.at = group->data + group->length;
	put_u64(&put, kept->key);
	put_u32(&put, kept->slot);
	put_values(&put, meter_fields, COUNT(meter_fields), &kept->meter);
	for (size_t i = 0; i < WEIR_WINDOWS; i++)
		put_window(&put, &kept->meter.window[i], &kept->part[i]);
	group->length = put.at - group->data;
	group->records++;
	return 0;
}

void meters_group_end(struct meters_group *group, enum meters_kind kind,
		      const struct meters_head *head)
{
	struct put put = {group->data};

	memcpy(put.at, meters_magic, sizeof(meters_magic));
	put.at += sizeof(meters_magic);
	put_u32(&put, kind);
	put_u32(&put, head->flags);
	put_u32(&put, group->records);
	put_u32(&put, head->why);
	put_u64(&put, group->length - HEAD_BYTES);
	memcpy(put.at, head->boot_id, sizeof(head->boot_id));
	put.at += sizeof(head->boot_id);
	put_u64(&put, head->boot_ns);
	put_u64(&put, head->wall_ns);
	put_u64(&put, head->secret[0]);
	put_u64(&put, head->secret[1]);
	put_u64(&put, head->link_bytes_per_s);
	put_u64(&put, head->assumed_since_ns);
	put_u32(&put, crc32(0, group->data + HEAD_BYTES, group->length - HEAD_BYTES));
	put_u32(&put, crc32(0, group->data, put.at - group->data));
}
