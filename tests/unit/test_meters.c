/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_meters.c - the meters on disk: what is written comes back; a file that is torn or flipped is
 * never worth less than what was surely saved; and what a meter is worth after a reboot.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "user/daemon/assumed.h"
#include "user/daemon/meters_restore.h"

#define SECOND UINT64_C(1000000000)

static const uint64_t hour = 3600 * SECOND;
static const struct weir_limits two = {
	.window = {{1000, 16 * SECOND}, {5000, 160 * SECOND}},
};

/* A meter with `bytes` in the slice that runs at `now`, and as much three slices before. */
static struct kept_meter a_meter(uint64_t grant, uint64_t bytes, uint64_t now)
{
	struct kept_meter kept;

	meter_make(&kept, grant, 300, 400, &two, now);
	kept.meter.sent_bytes[0] = 2 * bytes;
	for (int i = 0; i < 2; i++) {
		struct weir_window *w = &kept.meter.window[i];

		w->head = 5;
		w->slice[5] = w->slice[2] = bytes;
		w->used_bytes = 2 * bytes;
	}
	return kept;
}

static const struct meters_head a_head = {.boot_id = "boot boot boot!",
					  .boot_ns = 1000 * SECOND,
					  .wall_ns = 5000 * SECOND,
					  .secret = {1, 2},
					  .link_bytes_per_s = 125000000};

struct bytes {
	uint8_t *data;
	size_t length;
	size_t group[4]; /* where each begins */
};

static void add_group(struct bytes *file, int number, enum meters_kind kind,
		      const struct meters_head *head, const struct kept_meter *kept, size_t count)
{
	struct meters_group group = {0};

	assert_int_equal(meters_group_begin(&group), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(meters_group_add(&group, &kept[i]), 0);
	meters_group_end(&group, kind, head);
	file->group[number] = file->length;
	file->data = realloc(file->data, file->length + group.length);
	memcpy(file->data + file->length, group.data, group.length);
	file->length += group.length;
	free(group.data);
}

/* Three groups: two meters, then the first of them changed twice. */
static struct bytes a_file(void)
{
	struct bytes file = {0};
	struct meters_head head = a_head;
	struct kept_meter kept[3] = {a_meter(1000, 10, 990 * SECOND),
				     a_meter(1001, 20, 990 * SECOND),
				     {.key = WEIR_KEY_PEER, .slot = 77}};

	kept[2].meter.severed_ns = 3;
	add_group(&file, 0, METERS_SNAPSHOT, &head, kept, 3);
	kept[0] = a_meter(1000, 30, 995 * SECOND);
	head.boot_ns += SECOND;
	add_group(&file, 1, METERS_CHANGES, &head, kept, 1);
	kept[0] = a_meter(1000, 50, 996 * SECOND);
	head.boot_ns += SECOND;
	head.flags = METERS_COMPLETE;
	add_group(&file, 2, METERS_CHANGES, &head, kept, 1);
	return file;
}

static uint64_t used_of(const struct meters_read *read, uint64_t grant)
{
	struct kept_meter *kept =
		meters_read_find(read, weir_meter_key(grant, 300, 400), METERS_NO_SLOT);

	assert_non_null(kept);
	return kept->meter.window[0].used_bytes;
}

static void comes_back(void **state)
{
	struct bytes file = a_file();
	struct meters_read read;

	(void)state;
	assert_int_equal(meters_file_read(file.data, file.length, &read), 0);
	assert_int_equal(read.count, 3);
	assert_int_equal(used_of(&read, 1000), 100);
	assert_int_equal(used_of(&read, 1001), 40);
	assert_int_equal(meters_read_find(&read, WEIR_KEY_PEER, 77)->meter.severed_ns, 3);
	assert_null(meters_read_find(&read, WEIR_KEY_PEER, 78));
	assert_int_equal(read.head.flags, METERS_COMPLETE);
	assert_int_equal(read.head.boot_ns, a_head.boot_ns + 2 * SECOND);
	assert_false(read.is_torn);
	meters_read_free(&read);
	free(file.data);
}

/* Never a crash, and the state of the last whole group; then nothing says that it is complete. */
static void torn_at_every_byte(void **state)
{
	struct bytes file = a_file();

	(void)state;
	for (size_t length = 0; length < file.length; length++) {
		uint8_t *copy = malloc(length + 1); /* so that a sanitizer sees where it ends */
		struct meters_read read;
		int r;

		memcpy(copy, file.data, length);
		r = meters_file_read(copy, length, &read);
		if (length < file.group[1]) {
			assert_int_equal(r, -EBADMSG);
			free(copy);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(read.head.flags, 0);
		assert_int_equal(read.is_torn, length != file.group[1] && length != file.group[2]);
		assert_int_equal(used_of(&read, 1000), length < file.group[2] ? 20 : 60);
		meters_read_free(&read);
		free(copy);
	}
	free(file.data);
}

/* Torn or not, the last whole group says it, and the file reads as before. */
static void nobody_saves_any_more(void **state)
{
	struct bytes file = a_file();
	size_t begin = file.group[2], at, end;
	struct meters_read read;

	(void)state;
	for (size_t length = file.length; length > begin; length--) {
		assert_int_equal(meters_file_mark(file.data, length, METERS_UNWATCHED, &at, &end),
				 0);
		assert_int_equal(at, length == file.length ? begin : file.group[1]);
		assert_int_equal(end, length == file.length ? length : begin);
		assert_int_equal(meters_file_read(file.data, end, &read), 0);
		assert_int_equal(read.head.flags, METERS_UNWATCHED);
		assert_false(read.is_torn);
		assert_int_equal(read.count, 3);
		meters_read_free(&read);
	}
	assert_int_equal(meters_file_mark(file.data, 50, METERS_UNWATCHED, &at, &end), -EBADMSG);
	file.data[file.group[1] + 50] ^= 1; /* in the middle: it stays damaged */
	assert_int_equal(meters_file_mark(file.data, file.length, METERS_UNWATCHED, &at, &end),
			 -EBADMSG);
	free(file.data);
}

static void every_bit_flipped(void **state)
{
	struct bytes file = a_file();

	(void)state;
	for (size_t bit = 0; bit < 8 * file.length; bit++) {
		struct meters_read read;
		int r;

		file.data[bit / 8] ^= 1 << bit % 8;
		r = meters_file_read(file.data, file.length, &read);
		if (bit / 8 < file.group[2]) {
			assert_int_equal(r, -EBADMSG);
		} else { /* as if it had been torn: the moments before the end count as unsaved */
			assert_int_equal(r, 0);
			assert_true(read.is_torn);
			assert_int_equal(read.head.flags, 0);
			assert_int_equal(used_of(&read, 1000), 60);
		}
		meters_read_free(&read);
		file.data[bit / 8] ^= 1 << bit % 8;
	}
	free(file.data);
}

static void refuses(const struct kept_meter *kept, const struct meters_head *second)
{
	struct bytes file = {0};
	struct meters_read read;

	add_group(&file, 0, METERS_SNAPSHOT, &a_head, kept, 1);
	if (second)
		add_group(&file, 1, METERS_CHANGES, second, kept, 1);
	assert_int_equal(meters_file_read(file.data, file.length, &read), -EBADMSG);
	free(file.data);
}

/* What checks and still cannot be. */
static void impossible_values(void **state)
{
	struct kept_meter good = a_meter(1000, 10, 990 * SECOND), bad;
	struct meters_head head = a_head;

	(void)state;
	bad = good;
	bad.key++;
	refuses(&bad, NULL);
	bad = good;
	bad.meter.window[0].head = WEIR_SLICES;
	refuses(&bad, NULL);
	bad = good;
	bad.meter.window[0].window_ns = 3;
	refuses(&bad, NULL);
	bad = good; /* charged after it was saved */
	bad.meter.window[1].slice_start_ns = a_head.boot_ns + 1;
	refuses(&bad, NULL);
	bad = good; /* more assumed than charged */
	bad.part[0] = (struct kept_part){11, 0};
	refuses(&bad, NULL);
	bad = good;
	bad.slot = WEIR_STRANGER_SLOTS;
	bad.key = WEIR_KEY_PEER;
	refuses(&bad, NULL);
	head.secret[0]++; /* another guard's */
	refuses(&good, &head);
}

/* ---- another build's ------------------------------------------------------------------------ */

/* What a build with other meters has written: one meter with one window in use. */
struct foreign {
	struct {
		const char *name;
		uint64_t value;
	} field[8], window_field[8];
	unsigned windows, slices;
	unsigned age;  /* of 30 bytes beside 10 in the running slice */
	unsigned used; /* which window is */
};

/* Fewer fields than this build has, in another order. */
static const struct foreign a_foreign = {
	.field = {{"severed_ns", 7},
		  {"partner_key", 400},
		  {"sent_bytes[1]", 55},
		  {"grant_key", 1000},
		  {"service_key", 300}},
	.window_field = {{"head", 5},
			 {"slice_start_ns", 990 * SECOND},
			 {"window_ns", 160 * SECOND}},
	.windows = WEIR_WINDOWS,
	.slices = WEIR_SLICES,
	.age = 3,
};

static void put(struct bytes *file, uint64_t value, unsigned width)
{
	file->data = realloc(file->data, file->length + width);
	for (unsigned i = 0; i < width; i++)
		file->data[file->length++] = value >> 8 * i;
}

static void put_head(struct bytes *file)
{
	struct bytes behind = *file;
	struct meters_group group = {0};
	uint64_t bytes = behind.length;
	uint32_t crc;

	assert_int_equal(meters_group_begin(&group), 0);
	group.records = 1;
	meters_group_end(&group, METERS_SNAPSHOT, &a_head);
	file->length = METERS_HEAD_BYTES + bytes;
	file->data = malloc(file->length);
	memcpy(file->data, group.data, METERS_HEAD_BYTES);
	memcpy(file->data + METERS_HEAD_BYTES, behind.data, bytes);
	memcpy(file->data + 24, &bytes, sizeof(bytes));
	crc = crc32(0, behind.data, bytes);
	memcpy(file->data + 96, &crc, sizeof(crc));
	crc = crc32(0, file->data, 100);
	memcpy(file->data + 100, &crc, sizeof(crc));
	free(behind.data);
	free(group.data);
}

/* As meters_file.h has it. */
static struct bytes foreign_file(const struct foreign *from)
{
	struct bytes file = {0};

	put(&file, from->windows, 1);
	put(&file, from->slices, 1);
	for (int part = 0; part < 2; part++) {
		unsigned count = 0;

		while (count < 8 && (part ? from->window_field : from->field)[count].name)
			count++;
		put(&file, count, 1);
		for (unsigned i = 0; i < count; i++) {
			const char *name = (part ? from->window_field : from->field)[i].name;

			put(&file, strlen(name), 1);
			for (size_t at = 0; name[at]; at++)
				put(&file, name[at], 1);
		}
	}
	put(&file, weir_meter_key(1000, 300, 400), 8);
	put(&file, METERS_NO_SLOT, 4);
	for (unsigned i = 0; i < 8 && from->field[i].name; i++)
		put(&file, from->field[i].value, 8);
	for (unsigned window = 0; window < from->windows; window++) {
		put(&file, window == from->used, 1);
		if (window != from->used)
			continue;
		for (unsigned i = 0; i < 8 && from->window_field[i].name; i++)
			put(&file, from->window_field[i].value, 8);
		put(&file, 2, 1);
		put(&file, 0, 1);
		put(&file, 10, 8);
		put(&file, from->age, 1);
		put(&file, 30, 8);
		put(&file, from->age, 1);
		put(&file, 20, 8); /* assumed */
	}
	put_head(&file);
	return file;
}

static int read_foreign(const struct foreign *from, struct meters_read *read)
{
	struct bytes file = foreign_file(from);
	int r = meters_file_read(file.data, file.length, read);

	free(file.data);
	return r;
}

static void fields_in_another_order(void **state)
{
	struct meters_read read;
	const struct kept_meter *kept;

	(void)state;
	assert_int_equal(read_foreign(&a_foreign, &read), 0);
	assert_int_equal(read.count, 1);
	kept = &read.item[0];
	assert_int_equal(kept->meter.severed_ns, 7);
	assert_int_equal(kept->meter.sent_bytes[0], 0); /* which that build did not have */
	assert_int_equal(kept->meter.sent_bytes[1], 55);
	assert_int_equal(kept->meter.window[0].window_ns, 160 * SECOND);
	assert_int_equal(kept->meter.window[0].slice_ns, 10 * SECOND);
	assert_int_equal(kept->meter.window[0].slice_start_ns, 990 * SECOND);
	assert_int_equal(kept->meter.window[0].slice[5], 10);
	assert_int_equal(kept->meter.window[0].slice[2], 30);
	assert_int_equal(kept->part[0].bytes, 20);
	assert_int_equal(kept->part[0].age, 3);
	assert_string_equal(read.unknown, "");
	meters_read_free(&read);
}

/* Nothing is lost by not knowing it, as long as it is not used. */
static void fields_that_this_build_lacks(void **state)
{
	struct foreign from = a_foreign;
	struct meters_read read;

	(void)state;
	from.field[5].name = "later";
	from.window_field[3].name = "sooner";
	assert_int_equal(read_foreign(&from, &read), 0);
	assert_string_equal(read.unknown, "");
	assert_int_equal(used_of(&read, 1000), 40);
	meters_read_free(&read);
	from.window_field[3].value = 1;
	assert_int_equal(read_foreign(&from, &read), 0);
	assert_string_equal(read.unknown, "sooner");
	assert_int_equal(used_of(&read, 1000), 40);
	meters_read_free(&read);
	from.field[5].value = 1;
	assert_int_equal(read_foreign(&from, &read), 0);
	assert_string_equal(read.unknown, "later");
	meters_read_free(&read);
}

/* All of it counts as if it had left when it was saved. */
static void slices_of_another_length(void **state)
{
	struct foreign from = a_foreign;
	struct meters_read read;
	const struct weir_window *w;

	(void)state;
	from.slices = 33;
	from.window_field[0].value = 30;
	from.age = 20;
	assert_int_equal(read_foreign(&from, &read), 0);
	w = &read.item[0].meter.window[0];
	assert_int_equal(w->slice[w->head], 40);
	assert_int_equal(w->slice_start_ns, a_head.boot_ns);
	assert_int_equal(w->slice_ns, 10 * SECOND);
	assert_int_equal(read.item[0].part[0].bytes, 20);
	assert_int_equal(read.item[0].part[0].age, 0);
	meters_read_free(&read);
}

static void more_windows_than_this_build_has(void **state)
{
	struct foreign from = a_foreign;
	struct meters_read read;

	(void)state;
	from.windows = WEIR_WINDOWS + 1;
	assert_int_equal(read_foreign(&from, &read), 0);
	assert_string_equal(read.unknown, "");
	meters_read_free(&read);
	from.used = WEIR_WINDOWS;
	assert_int_equal(read_foreign(&from, &read), 0);
	assert_string_equal(read.unknown, "window");
	meters_read_free(&read);
}

static void refuses_foreign(struct foreign from)
{
	struct meters_read read;

	assert_int_equal(read_foreign(&from, &read), -EBADMSG);
}

static void impossible_forms(void **state)
{
	struct foreign bad;

	(void)state;
	bad = a_foreign; /* whose account is it? */
	bad.field[3].name = "later";
	refuses_foreign(bad);
	bad = a_foreign;
	bad.field[5].name = "severed_ns";
	refuses_foreign(bad);
	bad = a_foreign;
	bad.field[5].name = "a_name_that_is_far_too_long";
	refuses_foreign(bad);
	bad = a_foreign;
	bad.field[5].name = "UPPER";
	refuses_foreign(bad);
	bad = a_foreign;
	bad.window_field[2].name = "length_ns";
	refuses_foreign(bad);
	bad = a_foreign;
	bad.window_field[0].value = UINT64_C(1) << 32;
	refuses_foreign(bad);
	bad = a_foreign;
	bad.slices = 1;
	refuses_foreign(bad);
	bad = a_foreign;
	bad.age = WEIR_SLICES;
	refuses_foreign(bad);
}

/* ---- what it is worth ----------------------------------------------------------------------- */

static const struct meters_times a_reboot = {.saved_boot_ns = 1000 * SECOND,
					     .saved_wall_ns = 5000 * SECOND,
					     .now_boot_ns = 5 * SECOND,
					     .now_wall_ns = 9000 * SECOND};

static void carried_with_its_age(void **state)
{
	/* 16 s: slices of 1 s; the running one began 0.5 s before the save, the other is 3 older */
	struct kept_meter kept = a_meter(1000, 10, 1000 * SECOND - SECOND / 2);
	const struct weir_window *w = &kept.meter.window[0];

	(void)state;
	kept.meter.severed_ns = 900 * SECOND; /* 100 s before the save */
	kept.meter.window[0].warned_until_ns = 1007 * SECOND;
	meter_carry(&kept, &two, &a_reboot);
	assert_int_equal(w->used_bytes, 20);
	assert_int_equal(a_reboot.now_boot_ns - w->slice_start_ns, SECOND / 2);
	assert_int_equal(w->warned_until_ns, 12 * SECOND);
	assert_int_equal(kept.meter.sent_bytes[0], 20);
	/* by the wall clock it stays where it was: 4900 */
	assert_int_equal(kept.meter.severed_ns + (9000 - 5) * SECOND, 4900 * SECOND);
}

/* A window that runs for a day, on a host that is up for 5 s: its start lies before the boot. */
static void start_before_the_boot(void **state)
{
	const struct weir_limits day = {.window = {{1000, 24 * hour}}};
	struct kept_meter kept;
	struct weir_window *w = &kept.meter.window[0];

	(void)state;
	meter_make(&kept, 1000, 300, 400, &day, 100 * SECOND);
	w->slice[0] = w->used_bytes = 10;
	meter_carry(&kept, &day, &a_reboot);
	assert_int_equal(w->used_bytes, 10);
	assert_int_equal(a_reboot.now_boot_ns - w->slice_start_ns, 900 * SECOND);
	assert_true(w->slice_start_ns + w->slice_ns > a_reboot.now_boot_ns);
}

static void what_ran_out_before_the_save_is_gone(void **state)
{
	struct kept_meter kept = a_meter(1000, 10, 990 * SECOND - SECOND / 2);

	(void)state;
	meter_carry(&kept, &two, &a_reboot); /* running slice 10 s old, the other 13 s */
	assert_int_equal(kept.meter.window[0].used_bytes, 20);
	kept = a_meter(1000, 10, 985 * SECOND - SECOND / 2);
	meter_carry(&kept, &two, &a_reboot); /* 15 s; 18 s: gone from the 16 s, not from the 160 */
	assert_int_equal(kept.meter.window[0].used_bytes, 10);
	assert_int_equal(kept.meter.window[1].used_bytes, 20);
	kept = a_meter(1000, 10, 100 * SECOND);
	meter_carry(&kept, &two, &a_reboot);
	assert_int_equal(kept.meter.window[0].used_bytes, 0);
	assert_int_equal(kept.meter.window[1].used_bytes, 0);
}

/* A meter of the kernel's is read while a packet may be making its window. */
static void window_that_is_just_being_made(void **state)
{
	struct kept_meter kept = a_meter(1000, 10, 1000 * SECOND);

	(void)state;
	kept.meter.window[0].slice_ns = 0;
	meter_carry(&kept, &two, &a_reboot);
	assert_int_equal(kept.meter.window[1].used_bytes, 20);
}

static void windows_of_another_length(void **state)
{
	const struct weir_limits longer = {.window = {{1000, 320 * SECOND}}};
	const struct weir_limits shorter = {.window = {{1000, 4 * SECOND}, {5000, 160 * SECOND}}};
	struct kept_meter kept = a_meter(1000, 10, 1000 * SECOND);

	(void)state;
	meter_carry(&kept, &longer, &a_reboot);
	assert_int_equal(kept.meter.window[0].window_ns, 320 * SECOND);
	assert_int_equal(kept.meter.window[0].used_bytes, 20);
	assert_int_equal(kept.meter.window[1].window_ns, 0);
	assert_int_equal(kept.meter.window[1].used_bytes, 0);
	kept = a_meter(1000, 10, 1000 * SECOND);
	meter_carry(&kept, &shorter, &a_reboot);
	assert_int_equal(kept.meter.window[0].window_ns, 4 * SECOND);
	assert_in_range(kept.meter.window[0].used_bytes, 10, 20);
	assert_int_equal(kept.meter.window[1].used_bytes, 20);
}

static void assumes_the_room(void **state)
{
	struct kept_meter kept = a_meter(1000, 100, 1000 * SECOND);

	(void)state;
	meter_carry(&kept, &two, &a_reboot);
	assert_int_equal(meter_assume(&kept, &two, 300, false), 300); /* the link's bound */
	assert_int_equal(kept.meter.window[0].used_bytes, 500);
	assert_int_equal(meter_assume(&kept, &two, UINT64_MAX, false),
			 500); /* the shortest's room */
	assert_int_equal(kept.meter.window[0].used_bytes, 1000);
	assert_int_equal(kept.meter.window[1].used_bytes, 1000);
	assert_int_equal(kept.part[0].bytes, 800); /* never what was measured */
	assert_int_equal(kept.part[1].bytes, 800);
	assert_int_equal(meter_assume(&kept, &two, UINT64_MAX, false), 0);
}

static void damage_fills_the_shortest_alone(void **state)
{
	struct kept_meter kept;

	(void)state;
	meter_make(&kept, 1000, 300, 400, &two, 5 * SECOND);
	assert_int_equal(meter_assume(&kept, &two, UINT64_MAX, true), 1000);
	assert_int_equal(kept.meter.window[0].used_bytes, 1000);
	assert_int_equal(kept.meter.window[1].used_bytes, 0);
	assert_int_equal(kept.part[1].bytes, 0);
}

/* The assumed part is found again by where it lies, for as long as its slice lives. */
static void part_ages_with_its_slice(void **state)
{
	struct assumed assumed = {0};
	struct kept_meter kept;
	struct weir_window *w = &kept.meter.window[0];

	(void)state;
	meter_make(&kept, 1000, 300, 400, &two, 5 * SECOND);
	meter_assume(&kept, &two, 600, false);
	assert_int_equal(assumed_add(&assumed, &kept), 0);
	assumed_sort(&assumed);
	w->head = 4; /* four slices later, with 7 bytes more */
	w->slice_start_ns += 4 * SECOND;
	w->slice[4] = 7;
	w->used_bytes += 7;
	assumed_place(&assumed, &kept);
	assert_int_equal(kept.part[0].bytes, 600);
	assert_int_equal(kept.part[0].age, 4);
	assert_int_equal(assumed_bytes(&assumed.item[0], 9 * SECOND), 600);
	w->slice_start_ns += 1; /* refitted: it lies elsewhere */
	assumed_place(&assumed, &kept);
	assert_int_equal(kept.part[0].bytes, 0);
	w->slice_start_ns += 13 * SECOND - 1; /* 17 slices later it has left the shorter window */
	w->head = 0;
	assumed_place(&assumed, &kept);
	assert_int_equal(kept.part[0].bytes, 0);
	assert_int_equal(assumed_end(&assumed.item[0]), (5 + 170) * SECOND);
	assert_int_equal(assumed_bytes(&assumed.item[0], 175 * SECOND), 0);
	assumed_free(&assumed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(torn_at_every_byte),
		cmocka_unit_test(nobody_saves_any_more),
		cmocka_unit_test(every_bit_flipped),
		cmocka_unit_test(impossible_values),
		cmocka_unit_test(fields_in_another_order),
		cmocka_unit_test(fields_that_this_build_lacks),
		cmocka_unit_test(slices_of_another_length),
		cmocka_unit_test(more_windows_than_this_build_has),
		cmocka_unit_test(impossible_forms),
		cmocka_unit_test(carried_with_its_age),
		cmocka_unit_test(start_before_the_boot),
		cmocka_unit_test(what_ran_out_before_the_save_is_gone),
		cmocka_unit_test(window_that_is_just_being_made),
		cmocka_unit_test(windows_of_another_length),
		cmocka_unit_test(assumes_the_room),
		cmocka_unit_test(damage_fills_the_shortest_alone),
		cmocka_unit_test(part_ages_with_its_slice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
