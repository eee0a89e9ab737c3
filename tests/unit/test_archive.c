/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Signed orders that are kept: found again by their ids, and a damaged one is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/file.h"
#include "user/base/hex.h"
#include "user/order/archive.h"

#define HEAD "issued: 2026-11-26T15:04:05Z\nnonce: %032d\nreason: a test\n"

static char top[] = "/tmp/weir-archive-XXXXXX";
static char directory[64];
static unsigned int made;

static void read_order(char *text, struct document *document)
{
	struct order_fault fault;

	if (document_read(text, strlen(text), document, &fault) < 0)
		fail_msg("%u:%u: %s", fault.line, fault.column, fault.text);
}

/* `target` "": the whole of the cut. */
static void make_reopening(char *text, const char *cut, const char *target,
			   struct document *document)
{
	int used =
		sprintf(text, "weir-order: 1\nkind: reopen\n" HEAD "cut: %s\n", (int)++made, cut);

	if (target[0])
		sprintf(text + used, "target: %s\n", target);
	read_order(text, document);
}

static void make_cut(char *text, struct document *document)
{
	sprintf(text, "weir-order: 1\nkind: cut\n" HEAD "target: partner:a\n", (int)++made);
	read_order(text, document);
}

struct seen {
	size_t count;
	char targets[256];
};

static int note(const struct document *document, void *data)
{
	struct seen *seen = data;

	seen->count++;
	for (size_t i = 0; i < document->targets.count; i++)
		strcat(seen->targets, document->targets.item[i]);
	return 0;
}

static int stop(const struct document *document, void *data)
{
	(void)document;
	++*(int *)data;
	return 7;
}

static void test_what_is_kept_is_found(void **state)
{
	char text[1024], other[1024];
	struct document cut, reopening;
	struct seen seen = {0};
	size_t damaged = 1;

	(void)state;
	make_cut(text, &cut);
	assert_int_equal(archive_has(directory, &cut), 0);
	assert_int_equal(archive_reopenings(directory, cut.id, note, &seen, &damaged), 0);
	assert_int_equal(seen.count + damaged, 0);
	make_reopening(other, cut.id, "partner:b", &reopening);
	assert_int_equal(archive_keep(directory, &reopening, other, strlen(other)), 0);
	assert_int_equal(archive_has(directory, &reopening), 1);
	assert_int_equal(archive_has(directory, &cut), 0); /* its reopening makes no cut */
	assert_int_equal(archive_keep(directory, &cut, text, strlen(text)), 0);
	assert_int_equal(archive_keep(directory, &cut, text, strlen(text)), 0);
	assert_int_equal(archive_has(directory, &cut), 1);
	assert_int_equal(archive_reopenings(directory, cut.id, note, &seen, &damaged), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(damaged, 0);
	assert_string_equal(seen.targets, "partner:b");
	document_free(&reopening);
	document_free(&cut);
}

static void test_what_is_forgotten_leaves_the_reopenings(void **state)
{
	char text[1024], other[1024];
	struct document cut, reopening;

	(void)state;
	make_cut(text, &cut);
	assert_int_equal(archive_forget(directory, cut.id), 0); /* it is not there */
	make_reopening(other, cut.id, "partner:b", &reopening);
	assert_int_equal(archive_keep(directory, &cut, text, strlen(text)), 0);
	assert_int_equal(archive_keep(directory, &reopening, other, strlen(other)), 0);
	assert_int_equal(archive_forget(directory, cut.id), 0);
	assert_int_equal(archive_has(directory, &cut), 0);
	assert_int_equal(archive_has(directory, &reopening), 1);
	document_free(&reopening);
	document_free(&cut);
}

static void test_each_reopening_of_this_cut_alone(void **state)
{
	char text[1024], other[1024];
	struct document cut, second, reopening;
	struct seen seen = {0};
	size_t damaged;
	int stopped = 0;

	(void)state;
	make_cut(text, &cut);
	make_cut(text, &second);
	for (int i = 0; i < 3; i++) {
		make_reopening(other, i == 2 ? second.id : cut.id, i == 1 ? "" : "partner:b",
			       &reopening);
		assert_int_equal(archive_keep(directory, &reopening, other, strlen(other)), 0);
		document_free(&reopening);
	}
	assert_int_equal(archive_reopenings(directory, cut.id, note, &seen, &damaged), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.targets, "partner:b");
	assert_int_equal(archive_reopenings(directory, cut.id, stop, &stopped, &damaged), 7);
	assert_int_equal(stopped, 1);
	document_free(&cut);
	document_free(&second);
}

/* Damaged, another's under its name, a cut in the place of a reopening, no file at all. */
static void test_damaged_one_lets_nothing_back(void **state)
{
	char text[1024], other[1024], path[512];
	struct document cut, reopening;
	struct seen seen = {0};
	size_t damaged;

	(void)state;
	make_cut(text, &cut);
	for (int i = 0; i < 3; i++) {
		make_reopening(other, cut.id, "partner:b", &reopening);
		assert_int_equal(archive_keep(directory, &reopening, other, strlen(other)), 0);
		snprintf(path, sizeof(path), "%s/%s/%s", directory, cut.id, reopening.id);
		document_free(&reopening);
		if (i == 0)
			assert_int_equal(file_write_atomic(path, other, strlen(other) / 2, 0640),
					 0);
		else if (i == 1)
			assert_int_equal(file_write_atomic(path, text, strlen(text), 0640), 0);
	}
	make_reopening(other, cut.id, "partner:c", &reopening);
	assert_int_equal(file_write_atomic(path, other, strlen(other), 0640), 0);
	snprintf(path, sizeof(path), "%s/%s/%s", directory, cut.id, reopening.id);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes into it */
	document_free(&reopening);
	alarm(20);
	assert_int_equal(archive_reopenings(directory, cut.id, note, &seen, &damaged), 0);
	alarm(0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(damaged, 4);
	document_free(&cut);
}

static void test_hex(void **state)
{
	const uint8_t bytes[] = {0x00, 0x9a, 0xff};
	uint8_t back[3];
	char text[7];

	(void)state;
	hex_format(bytes, sizeof(bytes), text);
	assert_string_equal(text, "009aff");
	assert_true(hex_parse(text, back, sizeof(back)));
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_false(hex_parse("009af", back, sizeof(back)));
	assert_false(hex_parse("009aff0", back, sizeof(back)));
	assert_false(hex_parse("009aFF", back, sizeof(back)));
	assert_false(hex_parse("009ag0", back, sizeof(back)));
	assert_false(hex_parse("", back, sizeof(back)));
}

static int make_top(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	snprintf(directory, sizeof(directory), "%s/orders", top);
	return 0;
}

static int remove_top(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept_is_found),
		cmocka_unit_test(test_what_is_forgotten_leaves_the_reopenings),
		cmocka_unit_test(test_each_reopening_of_this_cut_alone),
		cmocka_unit_test(test_damaged_one_lets_nothing_back),
		cmocka_unit_test(test_hex),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
