/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_file.c - the meters on disk: reading what this build or another one wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/meters_format.h"

/* Far above every budget and window, and low enough for sums and differences not to wrap. */
static const uint64_t highest = UINT64_C(1) << 56;

/* What is not there reads as 0, and is remembered. */
struct get {
	const uint8_t *at, *end;
	bool is_short;
};

static bool has(struct get *get, size_t bytes)
{
	if ((size_t)(get->end - get->at) < bytes)
		get->is_short = true;
	return !get->is_short;
}

static uint8_t get_u8(struct get *get)
{
	return has(get, 1) ? *get->at++ : 0;
}

static uint32_t get_u32(struct get *get)
{
	uint32_t value = 0;

	if (has(get, sizeof(value))) {
		memcpy(&value, get->at, sizeof(value));
		get->at += sizeof(value);
	}
	return le32toh(value);
}

static uint64_t get_u64(struct get *get)
{
	uint64_t value = 0;

	if (has(get, sizeof(value))) {
		memcpy(&value, get->at, sizeof(value));
		get->at += sizeof(value);
	}
	return le64toh(value);
}

struct found_group {
	uint32_t kind, records;
	struct meters_head head;
	uint64_t bytes; /* behind the head */
	uint32_t crc;
};

/* Whether a head stands at `data`, whatever follows it. */
static bool read_head(const uint8_t *data, size_t length, struct found_group *group)
{
	struct get get = {data + sizeof(meters_magic), data + HEAD_BYTES, false};
	uint32_t crc;

	if (length < HEAD_BYTES || memcmp(data, meters_magic, sizeof(meters_magic)) != 0)
		return false;
	group->kind = get_u32(&get);
	group->head.flags = get_u32(&get);
	group->records = get_u32(&get);
	group->head.why = get_u32(&get);
	group->bytes = get_u64(&get);
	memcpy(group->head.boot_id, get.at, sizeof(group->head.boot_id));
	get.at += sizeof(group->head.boot_id);
	group->head.boot_ns = get_u64(&get);
	group->head.wall_ns = get_u64(&get);
	group->head.secret[0] = get_u64(&get);
	group->head.secret[1] = get_u64(&get);
	group->head.link_bytes_per_s = get_u64(&get);
	group->head.assumed_since_ns = get_u64(&get);
	group->crc = get_u32(&get);
	crc = get_u32(&get);
	return crc == crc32(0, data, HEAD_BYTES - 4);
}

static bool is_whole(const uint8_t *data, size_t length, struct found_group *group)
{
	return read_head(data, length, group) && group->bytes <= length - HEAD_BYTES &&
	       group->crc == crc32(0, data + HEAD_BYTES, group->bytes);
}

static bool has_head_behind(const uint8_t *data, size_t length)
{
	struct found_group group;

	for (size_t i = 1; i + HEAD_BYTES <= length; i++) {
		const uint8_t *at =
			memmem(data + i, length - i, meters_magic, sizeof(meters_magic));

		if (!at)
			return false;
		i = at - data;
		if (read_head(at, length - i, &group))
			return true;
	}
	return false;
}

/* ---- what another build has in its meters --------------------------------------------------- */

struct column {
	char name[METERS_FIELD_TEXT];
	const struct field *field; /* NULL: this build has none of that name */
};

struct columns {
	struct column item[MOST_FIELDS];
	unsigned count;
};

struct form {
	unsigned windows, slices;
	struct columns meter, window;
};

static bool has_column(const struct columns *columns, const char *name)
{
	for (unsigned i = 0; i < columns->count; i++) {
		if (strcmp(columns->item[i].name, name) == 0)
			return true;
	}
	return false;
}

static int read_column(struct get *get, const struct field *field, size_t fields,
		       struct columns *columns)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_[].";
	struct column *column = &columns->item[columns->count];
	uint8_t length = get_u8(get);

	if (length == 0 || length >= sizeof(column->name) || !has(get, length))
		return -EBADMSG;
	*column = (struct column){0};
	memcpy(column->name, get->at, length);
	get->at += length;
	if (strspn(column->name, allowed) != length || has_column(columns, column->name))
		return -EBADMSG;
	for (size_t i = 0; i < fields && !column->field; i++) {
		if (strcmp(field[i].name, column->name) == 0)
			column->field = &field[i];
	}
	columns->count++;
	return 0;
}

static int read_columns(struct get *get, const struct field *field, size_t fields,
			struct columns *columns)
{
	unsigned count = get_u8(get);
	int r = count > MOST_FIELDS ? -EBADMSG : 0;

	columns->count = 0;
	while (r == 0 && columns->count < count)
		r = read_column(get, field, fields, columns);
	return r;
}

static int read_form(struct get *get, struct form *form)
{
	int r;

	form->windows = get_u8(get);
	form->slices = get_u8(get);
	if (form->windows == 0 || form->windows > MOST_WINDOWS || form->slices < 2 ||
	    form->slices > MOST_SLICES)
		return -EBADMSG;
	r = read_columns(get, meter_fields, COUNT(meter_fields), &form->meter);
	return r < 0 ? r : read_columns(get, window_fields, COUNT(window_fields), &form->window);
}

/* ---- records -------------------------------------------------------------------------------- */

static void note_unknown(struct meters_read *read, const char *name)
{
	if (!read->unknown[0])
		strcpy(read->unknown, name);
}

static int read_values(struct get *get, const struct columns *columns, void *to,
		       struct meters_read *read)
{
	for (unsigned i = 0; i < columns->count; i++) {
		const struct field *field = columns->item[i].field;
		uint64_t value = get_u64(get);

		if (!field && value)
			note_unknown(read, columns->item[i].name);
		if (!field)
			continue;
		if (field->size == 4 && value > UINT32_MAX)
			return -EBADMSG;
		if (field->size == 4)
			*(__u32 *)((char *)to + field->offset) = value;
		else
			*(__u64 *)((char *)to + field->offset) = value;
	}
	return 0;
}

static int read_slices(struct get *get, unsigned slices, struct weir_window *w)
{
	unsigned count = get_u8(get);
	int last = -1;

	for (unsigned i = 0; i < count; i++) {
		int age = get_u8(get);
		uint64_t bytes = get_u64(get);
		unsigned place = slices == WEIR_SLICES ? w->head + WEIR_SLICES - age : w->head;
		__u64 *slice = &w->slice[place % WEIR_SLICES];

		if (age <= last || age >= (int)slices || bytes > highest - *slice)
			return -EBADMSG;
		*slice += bytes;
		w->used_bytes += bytes;
		last = age;
	}
	return 0;
}

static int read_window(struct get *get, const struct form *form, uint64_t boot_ns,
		       struct weir_window *w, struct kept_part *part, struct meters_read *read)
{
	uint8_t in_use = get_u8(get);
	int r;

	if (in_use == 0)
		return 0;
	r = read_values(get, &form->window, w, read);
	w->slice_ns = w->window_ns / (WEIR_SLICES - 1);
	/* an age: a start before the boot has wrapped, and its age has not */
	if (r < 0 || in_use != 1 || w->slice_ns == 0 || w->window_ns > highest ||
	    w->head >= form->slices || boot_ns - w->slice_start_ns > highest)
		return -EBADMSG;
	if (form->slices != WEIR_SLICES) {
		w->head = 0;
		w->slice_start_ns = boot_ns;
	}
	r = read_slices(get, form->slices, w);
	part->age = get_u8(get);
	part->bytes = get_u64(get);
	if (r < 0 || part->age >= form->slices)
		return -EBADMSG;
	if (form->slices != WEIR_SLICES)
		part->age = 0;
	if (part->bytes > w->slice[(w->head + WEIR_SLICES - part->age) % WEIR_SLICES])
		return -EBADMSG;
	return 0;
}

/* Those that this build has no room for must not be in use. */
static int read_windows(struct get *get, const struct form *form, uint64_t boot_ns,
			struct kept_meter *kept, struct meters_read *read)
{
	int r = 0;

	for (unsigned i = 0; i < form->windows && r == 0; i++) {
		struct weir_window none = {0};
		struct kept_part no_part = {0};
		bool is_known = i < WEIR_WINDOWS;

		r = read_window(get, form, boot_ns, is_known ? &kept->meter.window[i] : &none,
				is_known ? &kept->part[i] : &no_part, read);
		if (none.window_ns)
			note_unknown(read, "window");
	}
	return r;
}

static int read_record(struct get *get, const struct form *form, uint64_t boot_ns,
		       struct kept_meter *kept, struct meters_read *read)
{
	int r;

	kept->key = get_u64(get);
	kept->slot = get_u32(get);
	r = read_values(get, &form->meter, &kept->meter, read);
	if (r == 0)
		r = read_windows(get, form, boot_ns, kept, read);
	if (r < 0 || get->is_short)
		return -EBADMSG;
	if (kept->slot != METERS_NO_SLOT)
		return kept->slot < WEIR_STRANGER_SLOTS && kept->key == WEIR_KEY_PEER ? 0
										      : -EBADMSG;
	return kept->key == weir_meter_key(kept->meter.grant_key, kept->meter.service_key,
					   kept->meter.partner_key)
		       ? 0
		       : -EBADMSG;
}

static int read_records(const uint8_t *data, const struct found_group *group,
			struct meters_read *read)
{
	struct get get = {data, data + group->bytes, false};
	struct form form;
	int r = read_form(&get, &form);

	for (uint32_t i = 0; i < group->records && r == 0; i++) {
		struct kept_meter *kept = ARRAY_ADD(read->item, read->count);

		if (!kept)
			return -ENOMEM;
		r = read_record(&get, &form, group->head.boot_ns, kept, read);
		kept->turn = read->count++;
	}
	return r < 0 ? r : get.at == get.end ? 0 : -EBADMSG;
}

static bool is_of_one_life(const struct meters_head *a, const struct meters_head *b)
{
	return memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0 &&
	       memcmp(a->secret, b->secret, sizeof(a->secret)) == 0;
}

static int read_groups(const uint8_t *data, size_t length, struct meters_read *read)
{
	struct found_group group;

	for (size_t at = 0; at < length || at == 0; at += HEAD_BYTES + group.bytes) {
		bool is_first = at == 0;
		int r;

		if (!is_whole(data + at, length - at, &group)) {
			if (is_first || has_head_behind(data + at, length - at))
				return -EBADMSG;
			read->is_torn = true;
			read->head.flags = 0;
			return 0;
		}
		if (group.kind != (is_first ? METERS_SNAPSHOT : METERS_CHANGES) ||
		    (!is_first && !is_of_one_life(&read->head, &group.head)))
			return -EBADMSG;
		r = read_records(data + at + HEAD_BYTES, &group, read);
		if (r < 0)
			return r;
		read->head = group.head;
	}
	return 0;
}

static int by_place(const struct kept_meter *a, const struct kept_meter *b)
{
	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return a->key < b->key ? -1 : a->key > b->key;
}

static int by_place_and_turn(const void *left, const void *right)
{
	const struct kept_meter *a = left, *b = right;

	return by_place(a, b) ?: (a->turn < b->turn ? -1 : a->turn > b->turn);
}

/* Of each meter the one that came last. */
static void keep_last(struct meters_read *read)
{
	size_t kept = 0;

	if (read->count == 0)
		return;
	qsort(read->item, read->count, sizeof(*read->item), by_place_and_turn);
	for (size_t i = 0; i < read->count; i++) {
		if (i + 1 < read->count && by_place(&read->item[i], &read->item[i + 1]) == 0)
			continue;
		if (kept != i)
			read->item[kept] = read->item[i];
		kept++;
	}
	read->count = kept;
}

int meters_file_read(const uint8_t *data, size_t length, struct meters_read *read)
{
	int r;

	*read = (struct meters_read){0};
	r = read_groups(data, length, read);
	if (r < 0)
		meters_read_free(read);
	else
		keep_last(read);
	return r;
}

void meters_read_free(struct meters_read *read)
{
	free(read->item);
	*read = (struct meters_read){0};
}

int meters_file_mark(uint8_t *data, size_t length, uint32_t flags, size_t *at, size_t *end)
{
	struct found_group group;
	size_t begin = 0, next = 0;
	struct put put;

	while (is_whole(data + next, length - next, &group)) {
		begin = next;
		next += HEAD_BYTES + group.bytes;
	}
	if (next == 0 || has_head_behind(data + next, length - next))
		return -EBADMSG;
	put.at = data + begin + sizeof(meters_magic) + 4; /* behind the kind */
	put_u32(&put, flags);
	put.at = data + begin + HEAD_BYTES - 4;
	put_u32(&put, crc32(0, data + begin, HEAD_BYTES - 4));
	*at = begin;
	*end = next;
	return 0;
}

int meters_mark(const char *path, uint32_t flags)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_free_ char *data = NULL;
	size_t length, at, end;
	int r = fd < 0 ? -errno : file_read(path, METERS_MOST_BYTES, &data, &length);

	if (r == 0)
		r = meters_file_mark((uint8_t *)data, length, flags, &at, &end);
	if (r < 0)
		return r;
	/* a torn group behind it would make its flags worth nothing */
	if (ftruncate(fd, end) < 0)
		return -errno;
	if (pwrite(fd, data + at, METERS_HEAD_BYTES, at) != METERS_HEAD_BYTES)
		return -EIO;
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int compare_place(const void *left, const void *right)
{
	return by_place(left, right);
}

struct kept_meter *meters_read_find(const struct meters_read *read, uint64_t key, uint32_t slot)
{
	struct kept_meter wanted = {.key = key, .slot = slot};

	return read->count
		       ? bsearch(&wanted, read->item, read->count, sizeof(wanted), compare_place)
		       : NULL;
}
