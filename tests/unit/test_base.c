/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_base.c - files, addresses, units, near names, arrays, tables, zones. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/table.h"
#include "user/base/text.h"
#include "user/base/units.h"
#include "user/base/zone.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- files ------------------------------------------------------------------------------------*/

struct place {
	char directory[64], path[80];
};

static int make_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->directory, "/tmp/weir-test-base-XXXXXX");
	*state = place;
	if (!mkdtemp(place->directory))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/file", place->directory);
	return 0;
}

static int remove_place(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	rmdir(place->path);
	/* Fails, and the test with it, when something was left beside the file. */
	if (rmdir(place->directory) < 0)
		return -1;
	free(place);
	return 0;
}

static void test_a_file_comes_back_as_it_was_written(void **state)
{
	const struct place *place = *state;
	char *text;
	size_t length;

	assert_int_equal(file_write_atomic(place->path, "a\0b", 3, 0640), 0);
	assert_int_equal(file_read(place->path, 100, &text, &length), 0);
	assert_int_equal(length, 3);
	assert_memory_equal(text, "a\0b", 4);
	free(text);
}

static void test_a_new_file_has_its_mode_whatever_the_umask(void **state)
{
	const struct place *place = *state;
	mode_t before = umask(077);
	struct stat st;

	assert_int_equal(file_write_atomic(place->path, "a", 1, 0644), 0);
	umask(before);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static void test_a_file_is_replaced_not_written_into(void **state)
{
	const struct place *place = *state;
	struct stat before, after;

	assert_int_equal(file_write_atomic(place->path, "old", 3, 0600), 0);
	assert_int_equal(stat(place->path, &before), 0);
	assert_int_equal(file_write_atomic(place->path, "new", 3, 0600), 0);
	assert_int_equal(stat(place->path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
}

static void test_a_failed_write_leaves_nothing_behind(void **state)
{
	const struct place *place = *state;

	assert_int_equal(mkdir(place->path, 0700), 0);
	assert_int_equal(file_write_atomic(place->path, "x", 1, 0600), -EISDIR);
}

static void test_what_a_killed_writer_leaves_has_its_own_names(void **state)
{
	(void)state;
	assert_true(file_is_part("orders.json.part-aB3xYz"));
	assert_false(file_is_part("applied.digest"));
	assert_false(file_is_part("orders.json.copy"));
	assert_false(file_is_part("orders.json.part-aB3xY"));
	assert_false(file_is_part(".part-aB3xYz"));
}

static void test_a_file_of_exactly_the_limit_is_read(void **state)
{
	const struct place *place = *state;
	char *text;
	size_t length;

	assert_int_equal(file_write_atomic(place->path, "12345678", 8, 0600), 0);
	assert_int_equal(file_read(place->path, 8, &text, &length), 0);
	assert_int_equal(length, 8);
	free(text);
}

static void test_a_larger_file_is_refused(void **state)
{
	const struct place *place = *state;
	char *text = NULL;
	size_t length;

	assert_int_equal(file_write_atomic(place->path, "123456789", 9, 0600), 0);
	assert_int_equal(file_read(place->path, 8, &text, &length), -EFBIG);
	assert_null(text);
}

static void test_what_has_no_size_is_bounded_too(void **state)
{
	char *text = NULL;
	size_t length;

	(void)state;
	assert_int_equal(file_read("/dev/zero", 1 << 20, &text, &length), -EFBIG);
	assert_null(text);
}

static void test_a_file_under_proc_is_read_to_its_end(void **state)
{
	char *text;
	size_t length;

	(void)state;
	assert_int_equal(file_read("/proc/self/maps", 1 << 20, &text, &length), 0);
	assert_true(length > 100);
	assert_int_equal(strlen(text), length);
	free(text);
}

static void test_a_directory_is_no_file(void **state)
{
	char *text;
	size_t length;

	(void)state;
	assert_int_equal(file_read("/", 100, &text, &length), -EISDIR);
}

static void test_a_missing_file(void **state)
{
	const struct place *place = *state;
	char *text;
	size_t length;

	assert_int_equal(file_read(place->path, 100, &text, &length), -ENOENT);
}

static void test_taking_empties_the_variable(void **state)
{
	char *pointer = malloc(1), *taken;
	int fd = 7, taken_fd;

	(void)state;
	taken = TAKE_PTR(pointer);
	taken_fd = TAKE_FD(fd);
	assert_null(pointer);
	assert_non_null(taken);
	assert_int_equal(fd, -1);
	assert_int_equal(taken_fd, 7);
	free(taken);
}

/* ---- addresses --------------------------------------------------------------------------------*/

static void test_prefixes_come_back(void **state)
{
	static const struct {
		const char *text, *back;
		uint8_t bits;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1", 128},
		{"192.0.2.1/32", "192.0.2.1", 128},
		{"198.51.100.0/28", "198.51.100.0/28", 124},
		{"0.0.0.0/0", "0.0.0.0/0", 96},
		{"::/0", "::/0", 0},
		{"2001:DB8:1::/64", "2001:db8:1::/64", 64},
		{"2001:db8::1", "2001:db8::1", 128},
		{"::ffff:192.0.2.0/120", "192.0.2.0/24", 120},
	};
	uint8_t address[16], bits;
	char text[PREFIX_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(prefix_parse(rows[i].text, address, &bits), 0);
		assert_int_equal(bits, rows[i].bits);
		prefix_format(address, bits, text, sizeof(text));
		assert_string_equal(text, rows[i].back);
	}
}

static void test_what_is_no_prefix(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{"", -EINVAL},
		{"192.0.2", -EINVAL},
		{"192.0.2.256", -EINVAL},
		{"192.0.2.01", -EINVAL},
		{"2001:db8:::1", -EINVAL},
		{"fe80::1%eth0", -EINVAL},
		{" 192.0.2.1", -EINVAL},
		{"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000/64", -EINVAL},
		{"192.0.2.0/", -ERANGE},
		{"192.0.2.0/33", -ERANGE},
		{"192.0.2.0/024", -ERANGE},
		{"192.0.2.0/-1", -ERANGE},
		{"192.0.2.0/24/8", -ERANGE},
		{"192.0.2.0/4294967320", -ERANGE},
		{"::/129", -ERANGE},
		{"192.0.2.1/24", -EDOM},
		{"::1/64", -EDOM},
		{"::ffff:0.0.0.0/80", -EDOM},
	};
	uint8_t address[16] = {42}, bits = 42;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		assert_int_equal(prefix_parse(rows[i].text, address, &bits), rows[i].error);
	assert_int_equal(address[0], 42);
	assert_int_equal(bits, 42);
}

static bool covers(const char *prefix, const char *address)
{
	uint8_t p[16], a[16], bits;

	assert_int_equal(prefix_parse(prefix, p, &bits), 0);
	assert_int_equal(address_parse(address, a), 0);
	return prefix_covers(p, bits, a);
}

static void test_what_a_prefix_covers(void **state)
{
	(void)state;
	assert_true(covers("192.0.2.0/25", "192.0.2.127"));
	assert_false(covers("192.0.2.0/25", "192.0.2.128"));
	assert_true(covers("0.0.0.0/0", "255.255.255.255"));
	assert_true(covers("2001:db8::/33", "2001:db8:7fff::"));
	assert_false(covers("2001:db8::/33", "2001:db8:8000::"));
	assert_true(covers("::/0", "ff02::1"));
}

static void test_the_families_do_not_cover_each_other(void **state)
{
	(void)state;
	assert_false(covers("::/0", "192.0.2.1"));
	assert_false(covers("0.0.0.0/0", "2001:db8::1"));
}

/* ---- units ------------------------------------------------------------------------------------*/

static void test_sizes(void **state)
{
	uint64_t bytes;

	(void)state;
	assert_int_equal(size_parse("0B", &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(size_parse("10MiB", &bytes), 0);
	assert_int_equal(bytes, 10 << 20);
	assert_int_equal(size_parse("2GB", &bytes), 0);
	assert_int_equal(bytes, 2000000000);
	assert_int_equal(size_parse("9223372036854775807B", &bytes), 0);
	assert_int_equal(bytes, INT64_MAX);
}

static void test_what_is_no_size(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{"", -EINVAL},		 {"5", -EINVAL},
		{"MiB", -EINVAL},	 {"5mib", -EINVAL},
		{"5 MiB", -EINVAL},	 {"-5MiB", -EINVAL},
		{"+5MiB", -EINVAL},	 {"1.5MiB", -EINVAL},
		{"5MiBs", -EINVAL},	 {"0x10B", -EINVAL},
		{"5PiB", -EINVAL},	 {"9223372036854775808B", -ERANGE},
		{"8388608TiB", -ERANGE}, {"18446744073709551617B", -ERANGE},
	};
	uint64_t bytes = 42;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		assert_int_equal(size_parse(rows[i].text, &bytes), rows[i].error);
	assert_int_equal(bytes, 42);
}

static void test_spans(void **state)
{
	uint64_t ns = 0;

	(void)state;
	assert_int_equal(span_parse("90s", &ns), 0);
	assert_int_equal(ns, 90 * NS_PER_SECOND);
	assert_int_equal(span_parse("1d", &ns), 0);
	assert_int_equal(ns, NS_PER_DAY);
	assert_int_equal(span_parse("106752d", &ns), -ERANGE);
	assert_int_equal(span_parse("5ms", &ns), -EINVAL);
	assert_int_equal(ns, NS_PER_DAY);
}

static void test_windows(void **state)
{
	uint64_t bytes = 0, ns = 0;

	(void)state;
	assert_int_equal(window_parse("2GiB/1h", &bytes, &ns), 0);
	assert_int_equal(bytes, UINT64_C(2) << 30);
	assert_int_equal(ns, NS_PER_HOUR);
	assert_int_equal(window_parse("2GiB", &bytes, &ns), -EDOM);
	assert_int_equal(window_parse("2Gib/1h", &bytes, &ns), -EINVAL);
	assert_int_equal(window_parse("2GiB/1H", &bytes, &ns), -EPROTO);
	assert_int_equal(window_parse("2GiB/1h/2h", &bytes, &ns), -EPROTO);
}

static void test_sizes_as_text(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0B"},
		{1023, "1023B"},
		{65536, "64KiB"},
		{UINT64_C(2) << 30, "2GiB"},
		{2000000000, "2GB"},
		{1288490189, "1.2GiB"},
		{UINT64_MAX, "16777216.0TiB"},
	};
	char text[BYTES_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		bytes_format(rows[i].bytes, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

static void test_spans_as_text(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{0, "0s"},
		{4200000, "4.2ms"},
		{12000, "12.0us"},
		{1500000000, "1.5s"},
		{NS_PER_MINUTE, "1m"},
		{90 * NS_PER_SECOND, "1m30s"},
		{20 * NS_PER_HOUR, "20h"},
		{NS_PER_DAY, "24h"},
		{2 * NS_PER_DAY, "2d"},
		{UINT64_MAX, "5124095h34m33s"},
	};
	char text[SPAN_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		span_format(rows[i].ns, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

/* ---- near names -------------------------------------------------------------------------------*/

static void test_near_names(void **state)
{
	static char *const names[] = {(char *)"klinik-nord",
				      (char *)"klinik-sued",
				      (char *)"store",
				      (char *)"tcp",
				      NULL,
				      (char *)""};

	(void)state;
	assert_string_equal(near_name("klinik-nrod", names, COUNT(names)), "klinik-nord");
	assert_string_equal(near_name("klinik-sud", names, COUNT(names)), "klinik-sued");
	assert_string_equal(near_name("stroe", names, COUNT(names)), "store");
	assert_string_equal(near_name("tpc", names, COUNT(names)), "tcp");
	assert_null(near_name("portal", names, COUNT(names)));
	assert_null(near_name("x", names, COUNT(names)));
}

static void test_control_characters_come_out_plain(void **state)
{
	char text[] = "a\x1b[31m\n\x7f\xc2\x9b\xc3\xbc";

	(void)state;
	assert_false(text_is_plain(text));
	text_make_plain(text);
	assert_string_equal(text, "a?[31m????\xc3\xbc");
	assert_true(text_is_plain(text));
	assert_true(text_is_plain(""));
}

/* Eight bytes are looked at together: at each place of one that is not ASCII. */
static void test_what_is_utf8_at_any_place(void **state)
{
	(void)state;
	for (size_t length = 0; length < 20; length++) {
		char text[24] = "aaaaaaaaaaaaaaaaaaaaaaa";

		assert_true(text_is_utf8(text, length));
		assert_int_equal(text_ascii_length(text, length), length);
		for (size_t i = 0; i < length; i++) {
			text[i] = '\xc3';
			assert_int_equal(text_ascii_length(text, length), i);
			assert_false(text_is_utf8(text, length));
			text[i + 1] = '\xa4';
			assert_int_equal(text_is_utf8(text, length), i + 1 < length);
			text[i] = '\0';
			text[i + 1] = 'a';
			assert_true(text_is_utf8(text, length));
			text[i] = 'a';
		}
	}
}

static void test_very_long_words_have_no_near_name(void **state)
{
	static char word[5000];
	static char *const names[] = {word};

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	assert_null(near_name(word, names, 1));
}

/* ---- arrays and tables ------------------------------------------------------------------------*/

static void test_an_array_grows(void **state)
{
	uint32_t *array = NULL, *item;
	size_t count = 0, i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		item = ARRAY_ADD(array, count);
		assert_non_null(item);
		assert_int_equal(*item, 0);
		*item = (uint32_t)i;
		count++;
	}
	for (i = 0; i < count; i++)
		assert_int_equal(array[i], i);
	free(array);
}

static void test_a_table_finds_what_was_put(void **state)
{
	static char keys[5000][8];
	struct table table = {0};
	uint32_t found, i;

	(void)state;
	assert_int_equal(table_get(&table, "x", 1), TABLE_NONE);
	for (i = 0; i < COUNT(keys); i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		assert_int_equal(table_put(&table, keys[i], strlen(keys[i]), i, &found), 0);
		assert_int_equal(found, TABLE_NONE);
	}
	for (i = 0; i < COUNT(keys); i++)
		assert_int_equal(table_get(&table, keys[i], strlen(keys[i])), i);
	assert_int_equal(table_get(&table, "k5000", 5), TABLE_NONE);
	assert_int_equal(table_get(&table, "k1", 1), TABLE_NONE);
	table_free(&table);
}

static void test_the_first_value_of_a_key_stands(void **state)
{
	struct table table = {0};
	uint32_t found;

	(void)state;
	assert_int_equal(table_put(&table, "a", 1, 1, &found), 0);
	assert_int_equal(table_put(&table, "a", 1, 2, &found), 0);
	assert_int_equal(found, 1);
	assert_int_equal(table_get(&table, "a", 1), 1);
	assert_int_equal(table.count, 1);
	table_free(&table);
}

static void test_keys_that_differ_at_their_end(void **state)
{
	static const char *const keys[] = {"12345678", "123456789", "1234567", "12345678\0"};
	struct table table = {0};
	uint32_t found, i;

	(void)state;
	for (i = 0; i < COUNT(keys); i++) {
		size_t length = i == 3 ? 9 : strlen(keys[i]);

		assert_int_equal(table_put(&table, keys[i], length, i, &found), 0);
		assert_int_equal(found, TABLE_NONE);
	}
	table_free(&table);
}

/* ---- zones ------------------------------------------------------------------------------------*/

static uint64_t wall(const char *zone, int year, int month, int day, int minute)
{
	struct zone_guard guard;
	uint64_t ns = 0;

	assert_int_equal(zone_enter(&guard, zone), 0);
	assert_int_equal(zone_wall(year, month, day, minute, &ns), 0);
	zone_leave(&guard);
	return ns / NS_PER_SECOND;
}

static void test_days_of_a_zone(void **state)
{
	(void)state;
	assert_int_equal(wall("UTC", 2026, 1, 1, 0), 1767225600);
	assert_int_equal(wall("Europe/Berlin", 2026, 1, 1, 0), 1767225600 - 3600);
	assert_int_equal(wall("Europe/Berlin", 2026, 7, 1, 0), 1782864000 - 7200);
	assert_int_equal(wall("UTC", 2026, 1, 31, 1440), 1769904000);
}

static void test_leaving_a_zone_puts_back_what_was(void **state)
{
	(void)state;
	setenv("TZ", "Asia/Tokyo", 1);
	wall("Europe/Berlin", 2026, 1, 1, 0);
	assert_string_equal(getenv("TZ"), "Asia/Tokyo");
	unsetenv("TZ");
	wall("Europe/Berlin", 2026, 1, 1, 0);
	assert_null(getenv("TZ"));
}

static void test_which_zones_exist(void **state)
{
	(void)state;
	assert_true(zone_exists("UTC"));
	assert_true(zone_exists("Europe/Berlin"));
	assert_false(zone_exists("Europe"));
	assert_false(zone_exists("Europe/Atlantis"));
	assert_false(zone_exists(""));
	assert_false(zone_exists("/etc/localtime"));
	assert_false(zone_exists("../zoneinfo/UTC"));
	assert_false(zone_exists("Europe/Berlin "));
}

static void test_dates(void **state)
{
	int year = 0, month = 0, day = 0;

	(void)state;
	assert_int_equal(date_parse("2028-02-29", &year, &month, &day), 0);
	assert_int_equal(year * 10000 + month * 100 + day, 20280229);
	assert_int_equal(date_parse("2027-02-29", &year, &month, &day), -EINVAL);
	assert_int_equal(date_parse("2027-13-01", &year, &month, &day), -EINVAL);
	assert_int_equal(date_parse("2027-1-1", &year, &month, &day), -EINVAL);
	assert_int_equal(date_parse("2027-01-01 ", &year, &month, &day), -EINVAL);
	assert_int_equal(date_parse("1969-12-31", &year, &month, &day), -EINVAL);
	assert_int_equal(date_parse("+027-01-01", &year, &month, &day), -EINVAL);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		in_place(test_a_file_comes_back_as_it_was_written),
		in_place(test_a_new_file_has_its_mode_whatever_the_umask),
		in_place(test_a_file_is_replaced_not_written_into),
		in_place(test_a_failed_write_leaves_nothing_behind),
		cmocka_unit_test(test_what_a_killed_writer_leaves_has_its_own_names),
		in_place(test_a_file_of_exactly_the_limit_is_read),
		in_place(test_a_larger_file_is_refused),
		in_place(test_a_missing_file),
		cmocka_unit_test(test_what_has_no_size_is_bounded_too),
		cmocka_unit_test(test_a_file_under_proc_is_read_to_its_end),
		cmocka_unit_test(test_a_directory_is_no_file),
		cmocka_unit_test(test_taking_empties_the_variable),
		cmocka_unit_test(test_prefixes_come_back),
		cmocka_unit_test(test_what_is_no_prefix),
		cmocka_unit_test(test_what_a_prefix_covers),
		cmocka_unit_test(test_the_families_do_not_cover_each_other),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_what_is_no_size),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_sizes_as_text),
		cmocka_unit_test(test_spans_as_text),
		cmocka_unit_test(test_near_names),
		cmocka_unit_test(test_control_characters_come_out_plain),
		cmocka_unit_test(test_what_is_utf8_at_any_place),
		cmocka_unit_test(test_very_long_words_have_no_near_name),
		cmocka_unit_test(test_an_array_grows),
		cmocka_unit_test(test_a_table_finds_what_was_put),
		cmocka_unit_test(test_the_first_value_of_a_key_stands),
		cmocka_unit_test(test_keys_that_differ_at_their_end),
		cmocka_unit_test(test_days_of_a_zone),
		cmocka_unit_test(test_leaving_a_zone_puts_back_what_was),
		cmocka_unit_test(test_which_zones_exist),
		cmocka_unit_test(test_dates),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
