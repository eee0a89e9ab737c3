/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_layout.c - what a map's value looks like, and how it becomes that of another build.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/kernel/layout.h"

struct types {
	struct btf *btf;
	int u8, u32, u64, s32, s64, character;
};

static struct types types_new(void)
{
	struct types t = {.btf = btf__new_empty()};

	assert_non_null(t.btf);
	t.u8 = btf__add_int(t.btf, "u8", 1, 0);
	t.u32 = btf__add_int(t.btf, "u32", 4, 0);
	t.u64 = btf__add_int(t.btf, "u64", 8, 0);
	t.s32 = btf__add_int(t.btf, "s32", 4, BTF_INT_SIGNED);
	t.s64 = btf__add_int(t.btf, "s64", 8, BTF_INT_SIGNED);
	t.character = btf__add_int(t.btf, "char", 1, BTF_INT_CHAR);
	return t;
}

static int array_of(struct types *t, int type, unsigned count)
{
	return btf__add_array(t->btf, t->u32, type, count);
}

static int begin(struct types *t, const char *name, unsigned size)
{
	return btf__add_struct(t->btf, name, size);
}

static void field(struct types *t, const char *name, int type, unsigned offset)
{
	assert_int_equal(btf__add_field(t->btf, name, type, offset * 8, 0), 0);
}

static struct layout layout_get(struct types *t, int type)
{
	struct layout layout;

	assert_int_equal(layout_of(t->btf, type, &layout), 0);
	return layout;
}

static void test_nested_fields_have_paths(void **state)
{
	struct types t = types_new();
	int slices = array_of(&t, t.u64, 2), window = begin(&t, "window", 24), windows, meter;
	struct layout layout;

	(void)state;
	field(&t, "used", t.u64, 0);
	field(&t, "slice", slices, 8);
	windows = array_of(&t, btf__add_typedef(t.btf, "window_t", window), 2);
	meter = begin(&t, "meter", 56);
	field(&t, "key", t.u64, 0);
	field(&t, "window", windows, 8);
	layout = layout_get(&t, meter);
	assert_int_equal(layout.size, 56);
	assert_int_equal(layout.count, 7);
	assert_string_equal(layout.item[0].path, "key");
	assert_string_equal(layout.item[6].path, "window[1].slice[1]");
	assert_int_equal(layout.item[6].offset, 48);
	assert_int_equal(layout_find(&layout, "window[1].used")->offset, 32);
	assert_null(layout_find(&layout, "window[2].used"));
	layout_free(&layout);
	btf__free(t.btf);
}

static void test_lock_is_no_field_and_text_is_one(void **state)
{
	struct types t = types_new();
	int lock = begin(&t, "bpf_spin_lock", 4), text, value;
	struct layout layout;

	(void)state;
	field(&t, "val", t.u32, 0);
	text = array_of(&t, t.character, 12);
	value = begin(&t, "value", 16);
	field(&t, "lock", lock, 0);
	field(&t, "text", text, 4);
	layout = layout_get(&t, value);
	assert_int_equal(layout.count, 1);
	assert_int_equal(layout.item[0].size, 12);
	layout_free(&layout);
	btf__free(t.btf);
}

/* Two builds: a field moves, one comes, one grows, text grows. */
static void test_fields_find_their_places(void **state)
{
	struct types t = types_new();
	int text8 = array_of(&t, t.character, 8), text16 = array_of(&t, t.character, 16);
	int before = begin(&t, "order", 32), now;
	struct layout from, to;
	struct conversion conversion;
	struct {
		uint64_t id;
		uint32_t count, flags;
		char text[8];
		uint64_t until;
	} old = {7, 5, 3, "because", 99};
	struct {
		uint64_t until, more, id, count;
		char text[16];
	} new;
	const char *path = NULL;

	(void)state;
	field(&t, "id", t.u64, 0);
	field(&t, "count", t.u32, 8);
	field(&t, "flags", t.u32, 12);
	field(&t, "text", text8, 16);
	field(&t, "until", t.u64, 24);
	now = begin(&t, "order", sizeof(new));
	field(&t, "until", t.u64, 0);
	field(&t, "more", t.u64, 8);
	field(&t, "id", t.u64, 16);
	field(&t, "count", t.u64, 24);
	field(&t, "text", text16, 32);
	from = layout_get(&t, before);
	to = layout_get(&t, now);
	assert_false(layout_is_same(&from, &to));
	assert_true(layout_is_same(&from, &from));
	assert_int_equal(conversion_make(&from, &to, &conversion), 0);
	memset(&new, 0xaa, sizeof(new));
	assert_int_equal(conversion_run(&conversion, &old, &new, &path), -EPROTO);
	assert_string_equal(path, "flags"); /* in use, and without a place */
	old.flags = 0;
	assert_int_equal(conversion_run(&conversion, &old, &new, &path), 0);
	assert_int_equal(new.id, 7);
	assert_int_equal(new.count, 5);
	assert_int_equal(new.until, 99);
	assert_int_equal(new.more, 0);
	assert_string_equal(new.text, "because");
	conversion_free(&conversion);

	/* and back: what grew has room as long as it is not used */
	assert_int_equal(conversion_make(&to, &from, &conversion), 0);
	assert_int_equal(conversion_run(&conversion, &new, &old, &path), 0);
	assert_int_equal(old.count, 5);
	new.count = 1ull << 32;
	assert_int_equal(conversion_run(&conversion, &new, &old, &path), -EPROTO);
	assert_string_equal(path, "count");
	new.count = 5;
	strcpy(new.text, "because of it");
	assert_int_equal(conversion_run(&conversion, &new, &old, &path), -EPROTO);
	assert_string_equal(path, "text");
	conversion_free(&conversion);
	layout_free(&from);
	layout_free(&to);
	btf__free(t.btf);
}

static void test_same_size_in_another_order_is_another_layout(void **state)
{
	struct types t = types_new();
	int one = begin(&t, "pair", 16), other;
	struct layout a, b;

	(void)state;
	field(&t, "sent", t.u64, 0);
	field(&t, "acked", t.u64, 8);
	other = begin(&t, "pair", 16);
	field(&t, "acked", t.u64, 0);
	field(&t, "sent", t.u64, 8);
	a = layout_get(&t, one);
	b = layout_get(&t, other);
	assert_false(layout_is_same(&a, &b));
	layout_free(&a);
	layout_free(&b);
	btf__free(t.btf);
}

static void test_what_cannot_be_converted_is_refused(void **state)
{
	struct types t = types_new();
	int bits = begin(&t, "bits", 4), narrow, wide, large, self;
	struct conversion conversion;
	struct layout from, to, layout;

	(void)state;
	assert_int_equal(btf__add_field(t.btf, "flag", t.u32, 0, 3), 0);
	assert_int_equal(layout_of(t.btf, bits, &layout), -EPROTO);
	layout_free(&layout);
	assert_int_equal(layout_of(t.btf, 0, &layout), -EINVAL);
	assert_int_equal(layout_of(t.btf, 9999, &layout), -EINVAL);
	large = array_of(&t, t.u64, 5000);
	assert_int_equal(layout_of(t.btf, large, &layout), -EPROTO);
	layout_free(&layout);
	self = t.u64;
	for (int i = 0; i < 12; i++) /* deeper than any value of ours */
		self = array_of(&t, self, 1);
	assert_int_equal(layout_of(t.btf, self, &layout), -EPROTO);
	layout_free(&layout);
	narrow = begin(&t, "offset", 4);
	field(&t, "offset", t.s32, 0);
	wide = begin(&t, "offset", 8);
	field(&t, "offset", t.s64, 0);
	from = layout_get(&t, narrow);
	to = layout_get(&t, wide);
	assert_int_equal(conversion_make(&from, &to, &conversion), -EPROTO);
	conversion_free(&conversion);
	layout_free(&from);
	layout_free(&to);
	btf__free(t.btf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nested_fields_have_paths),
		cmocka_unit_test(test_lock_is_no_field_and_text_is_one),
		cmocka_unit_test(test_fields_find_their_places),
		cmocka_unit_test(test_same_size_in_another_order_is_another_layout),
		cmocka_unit_test(test_what_cannot_be_converted_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
