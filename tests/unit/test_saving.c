/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_saving.c - saves on a disk that is slow, or that hangs: what a head promises holds, and who
 * asks is told. The disk and the clock are the test's own: no time passes but on the disk.
 */
#include "tests/unit/a_host.h"

#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/units.h"
#include "user/daemon/metering.h"
#include "user/daemon/saver.h"

enum { SPEED = 125000000 };

/* ---- the disk, and the clock ---------------------------------------------------------------- */

static uint64_t passed_ns;     /* since the test began, in the test's clock alone */
static uint64_t sync_takes_ns; /* each */
static int syncs;
static bool hangs, is_held;
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turns = PTHREAD_COND_INITIALIZER;

/* Threads wait in real time. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int r = syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME) {
		uint64_t ns = now->tv_nsec + __atomic_load_n(&passed_ns, __ATOMIC_SEQ_CST);

		now->tv_sec += ns / NS_PER_SECOND;
		now->tv_nsec = ns % NS_PER_SECOND;
	}
	return r;
}

static void pass(uint64_t ns)
{
	__atomic_add_fetch(&passed_ns, ns, __ATOMIC_SEQ_CST);
}

static int sync_now(void)
{
	pthread_mutex_lock(&disk);
	syncs++;
	is_held = hangs;
	pthread_cond_broadcast(&turns);
	while (hangs)
		pthread_cond_wait(&turns, &disk);
	pthread_mutex_unlock(&disk);
	pass(sync_takes_ns);
	return 0;
}

int fsync(int fd)
{
	(void)fd;
	return sync_now();
}

int fdatasync(int fd)
{
	(void)fd;
	return sync_now();
}

static void set_hangs(bool value)
{
	pthread_mutex_lock(&disk);
	hangs = value;
	pthread_cond_broadcast(&turns);
	pthread_mutex_unlock(&disk);
}

/* Until somebody stands before the disk. */
static void wait_until_held(void)
{
	pthread_mutex_lock(&disk);
	while (!is_held)
		pthread_cond_wait(&turns, &disk);
	pthread_mutex_unlock(&disk);
}

/* ---- a saver -------------------------------------------------------------------------------- */

static struct {
	char *path, *latches_path, *latches_copy;
	struct meters_head about;
	struct assumed assumed;
	pthread_mutex_t mutex;
	struct saver *saver;
} one = {.about = {.link_bytes_per_s = SPEED}, .mutex = PTHREAD_MUTEX_INITIALIZER};

static int up(void **state)
{
	int r = host_up(state);

	passed_ns = sync_takes_ns = 0;
	one.path = host_path(*state, "meters");
	one.latches_path = host_path(*state, "latches");
	one.latches_copy = host_path(*state, "latches.copy");
	return r < 0 ? r
		     : saver_new(&(struct saver_options){.guard = &fake,
							 .path = one.path,
							 .latches_path = one.latches_path,
							 .latches_copy = one.latches_copy,
							 .about = &one.about,
							 .assumed = &one.assumed,
							 .mutex = &one.mutex},
				 &one.saver);
}

static int down(void **state)
{
	set_hangs(false);
	saver_free(one.saver);
	free(one.path);
	free(one.latches_path);
	free(one.latches_copy);
	return host_down(state);
}

/* A turn of the thread; something left since the last one, or nothing. */
static void turn(bool is_charged)
{
	uint64_t saved_ns;

	pass(NS_PER_SECOND / 2);
	fake.charges += is_charged;
	assert_int_equal(saver_save(one.saver, 0, SAVE_IF_CHARGED, &saved_ns), 0);
}

/* What would be assumed after a loss of power now: what the uplinks carry, or 0 for all there is.
 */
static uint64_t speed_on_disk(void)
{
	_cleanup_free_ char *data = NULL;
	struct meters_read read;
	uint64_t speed;
	size_t length;

	assert_int_equal(file_read(one.path, METERS_MOST_BYTES, &data, &length), 0);
	assert_int_equal(meters_file_read((const uint8_t *)data, length, &read), 0);
	speed = read.head.link_bytes_per_s;
	meters_read_free(&read);
	return speed;
}

/* ---- slow ----------------------------------------------------------------------------------- */

static void quick_saves_are_bounded(void **state)
{
	(void)state;
	sync_takes_ns = NS_PER_SECOND / 20;
	for (int i = 0; i < 5; i++) {
		turn(true);
		assert_int_equal(speed_on_disk(), SPEED);
	}
}

/* When it is done the file must not say that no more than two seconds are missing. */
static void slow_save_is_not(void **state)
{
	(void)state;
	turn(true);
	sync_takes_ns = NS_PER_SECOND;
	turn(true);
	assert_int_equal(speed_on_disk(), 0);
}

/* Also the first one that there is. */
static void slow_first_save_is_not(void **state)
{
	(void)state;
	sync_takes_ns = 2 * NS_PER_SECOND;
	turn(true);
	assert_int_equal(speed_on_disk(), 0);
}

/* A disk that was slow a moment ago may be so again. */
static void slow_disk_is_trusted_after_a_minute(void **state)
{
	(void)state;
	turn(true);
	sync_takes_ns = NS_PER_SECOND;
	turn(true);
	sync_takes_ns = 0;
	for (int i = 0; i < 110; i++) {
		turn(i % 2);
		assert_int_equal(speed_on_disk(), 0);
	}
	for (int i = 0; i < 20; i++)
		turn(false); /* nothing left: that is no reason to assume all there is */
	assert_int_equal(speed_on_disk(), SPEED);
}

/* A thread that did not get its turn lags behind as much; that is known before it writes. */
static void late_turn_is_not(void **state)
{
	int before;

	(void)state;
	turn(true);
	pass(NS_PER_SECOND);
	before = syncs;
	turn(true);
	assert_int_equal(syncs, before + 1);
	assert_int_equal(speed_on_disk(), 0);
}

static void nothing_to_save_is_no_lag(void **state)
{
	(void)state;
	turn(true);
	for (int i = 0; i < 100; i++)
		turn(false);
	turn(true);
	assert_int_equal(speed_on_disk(), SPEED);
}

/* ---- latches -------------------------------------------------------------------------------- */

static size_t latches_in(const char *path)
{
	_cleanup_free_ char *data = NULL;
	struct meters_read read;
	size_t length, count;

	assert_int_equal(file_read(path, METERS_MOST_BYTES, &data, &length), 0);
	assert_int_equal(meters_file_read((const uint8_t *)data, length, &read), 0);
	count = read.count;
	meters_read_free(&read);
	return count;
}

static void latches_are_saved_twice(void **state)
{
	(void)state;
	turn(true);
	fake.meter_keys[0] = weir_meter_key(1, 2, 3);
	fake.meters[0] = (struct weir_meter){
		.grant_key = 1, .service_key = 2, .partner_key = 3, .severed_ns = 4};
	fake.meter_count = 1;
	assert_int_equal(latches_in(one.latches_path), 0);
	turn(true);
	assert_int_equal(latches_in(one.latches_path), 1);
	assert_int_equal(latches_in(one.latches_copy), 1);
}

/* ---- hanging -------------------------------------------------------------------------------- */

static void assert_unsaved(struct host *host, const char *what)
{
	json_object *answer = ask(host, "{\"request\":\"status\"}");
	const char *meters = json_object_get_string(member(member(answer, "unsaved"), "meters"));

	if (what)
		assert_string_equal(meters, what);
	else
		assert_null(meters);
	json_object_put(answer);
}

/* No save ends, so none can fail: who asks is told all the same, and nobody waits. */
static void hanging_disk_is_told(void **state)
{
	struct host *host = *state;

	assert_int_equal(metering_start(host, NULL, NULL, 0), 0);
	assert_int_equal(metering_run(host->metering), 0);
	assert_unsaved(host, NULL);
	set_hangs(true);
	fake.charges++;
	wait_until_held();
	assert_int_equal(metering_trouble(host->metering), 0);
	pass(3 * NS_PER_SECOND);
	assert_int_equal(metering_trouble(host->metering), -ETIME);
	assert_unsaved(host, strerror(ETIME));
	set_hangs(false);
	while (metering_trouble(host->metering))
		poll(NULL, 0, 10);
	assert_unsaved(host, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(quick_saves_are_bounded, up, down),
		cmocka_unit_test_setup_teardown(slow_save_is_not, up, down),
		cmocka_unit_test_setup_teardown(slow_first_save_is_not, up, down),
		cmocka_unit_test_setup_teardown(slow_disk_is_trusted_after_a_minute, up, down),
		cmocka_unit_test_setup_teardown(late_turn_is_not, up, down),
		cmocka_unit_test_setup_teardown(nothing_to_save_is_no_lag, up, down),
		cmocka_unit_test_setup_teardown(latches_are_saved_twice, up, down),
		cmocka_unit_test_setup_teardown(hanging_disk_is_told, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
