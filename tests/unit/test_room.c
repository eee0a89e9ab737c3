/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_room.c - when a window has room again, against a window that is played through, nanosecond
 * by nanosecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/daemon/room.h"

enum { CHARGES = 24, LIMIT = 1000 };

/* What a window is made of: charges, each in a slice counted from the window's beginning. A slice
 * counts until WEIR_SLICES - 1 others have begun after it, and passed. */
struct model {
	uint64_t began_ns, slice_ns;
	uint64_t slice[CHARGES], bytes[CHARGES];
	unsigned count;
};

static uint64_t used_at(const struct model *model, uint64_t at)
{
	uint64_t running = (at - model->began_ns) / model->slice_ns, used = 0;

	for (unsigned i = 0; i < model->count; i++) {
		if (running - model->slice[i] < WEIR_SLICES)
			used += model->bytes[i];
	}
	return used;
}

/* As the kernel left it at its last charge. */
static struct weir_window window_of(const struct model *model)
{
	struct weir_window w = {.window_ns = model->slice_ns * (WEIR_SLICES - 1),
				.slice_ns = model->slice_ns,
				.slice_start_ns = model->began_ns};
	uint64_t running = model->count ? model->slice[model->count - 1] : 0;

	w.slice_start_ns += running * model->slice_ns;
	w.head = running % WEIR_SLICES;
	for (unsigned i = 0; i < model->count; i++) {
		if (running - model->slice[i] >= WEIR_SLICES)
			continue;
		w.slice[model->slice[i] % WEIR_SLICES] += model->bytes[i];
		w.used_bytes += model->bytes[i];
	}
	return w;
}

/* A charge passes only if it fits, so a window never holds more than its limit. */
static struct model a_model(uint64_t began_ns, uint64_t *now)
{
	struct model model = {.began_ns = began_ns, .slice_ns = 1 + rand() % 5};

	*now = began_ns;
	while (model.count < CHARGES) {
		uint64_t bytes = rand() % (LIMIT / 3);

		*now += rand() % (4 * model.slice_ns);
		if (used_at(&model, *now) + bytes > LIMIT)
			continue;
		model.slice[model.count] = (*now - began_ns) / model.slice_ns;
		model.bytes[model.count++] = bytes;
	}
	*now += rand() % (20 * model.slice_ns);
	return model;
}

static void check(uint64_t began_ns)
{
	uint64_t now, bytes = 1 + rand() % LIMIT, at;
	struct model model = a_model(began_ns, &now);
	struct weir_window w = window_of(&model);

	for (at = now; used_at(&model, at) + bytes > LIMIT;)
		at++;
	assert_int_equal(room_at(&w, LIMIT, bytes, now), at);
}

static void it_is_the_first_moment(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++)
		check(1000);
}

/* What a reboot brings back began before it: the start wraps. */
static void it_is_so_over_a_reboot(void **state)
{
	(void)state;
	srand(2);
	for (int i = 0; i < 20000; i++)
		check(UINT64_MAX - 100 + rand() % 100);
}

static void what_is_larger_than_the_limit_never_fits(void **state)
{
	struct weir_window empty = {.window_ns = 16, .slice_ns = 1, .slice_start_ns = 5};

	(void)state;
	assert_int_equal(room_at(&empty, LIMIT, LIMIT + 1, 9), ROOM_NEVER);
	assert_int_equal(room_at(&empty, LIMIT, LIMIT, 9), 9);
}

static void a_window_that_is_not_in_use_has_room(void **state)
{
	struct weir_window unused = {0};

	(void)state;
	assert_int_equal(room_at(&unused, LIMIT, 1, 9), 9);
}

static void it_comes_when_the_oldest_slices_have_left(void **state)
{
	struct weir_window w = {.window_ns = 1600, .slice_ns = 100, .slice_start_ns = 5000};

	(void)state;
	w.head = 3;
	w.slice[3] = 10; /* running */
	w.slice[4] = 40; /* the oldest: leaves first, when the head comes to it */
	w.slice[5] = 50;
	w.used_bytes = 100;
	assert_int_equal(room_at(&w, 100, 0, 5010), 5010);
	assert_int_equal(room_at(&w, 100, 30, 5010), 5100);
	assert_int_equal(room_at(&w, 100, 41, 5010), 5200);
	assert_int_equal(room_at(&w, 100, 90, 5010), 5200);
	assert_int_equal(room_at(&w, 100, 91, 5010), 5000 + 17 * 100);
	assert_int_equal(room_at(&w, 100, 30, 5150), 5150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_first_moment),
		cmocka_unit_test(it_is_so_over_a_reboot),
		cmocka_unit_test(it_comes_when_the_oldest_slices_have_left),
		cmocka_unit_test(what_is_larger_than_the_limit_never_fits),
		cmocka_unit_test(a_window_that_is_not_in_use_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
