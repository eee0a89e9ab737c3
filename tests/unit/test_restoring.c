/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_restoring.c - the meters come back from the disk into the fake guard: from what another
 * build wrote too, and from what is damaged.
 */
#include "tests/unit/a_host.h"

#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/restoring.h"
#include "user/daemon/without_guard.h"

#define MIB UINT64_C(1048576)

/* What is severed by itself, what only holds, and strangers. */
static const char text[] =
	"weir: 1\nname: test\nmode: enforce\n"
	"services:\n"
	"  sftp: {cgroup: system.slice/sftp.service}\n"
	"partners:\n"
	"  nord: {addresses: [198.51.100.0/28]}\n"
	"  sued: {addresses: [198.51.100.16/28]}\n"
	"grants:\n"
	"  - {name: hold, service: sftp, partner: nord, serves: tcp/22, budget: [1MiB/1h, "
	"8MiB/1d]}\n"
	"  - {name: latch, service: sftp, partner: sued, serves: tcp/22, budget: [1MiB/1h],\n"
	"     on_breach: sever}\n"
	"strangers: {serves: [64KiB/10m], calls: deny, total: none}\n";

static int up(void **state)
{
	int r = host_up(state);

	take_policy(*state, text);
	return r;
}

/* The account of the grant and its only partner. */
static struct kept_meter account_of(const struct host *host, uint32_t grant)
{
	const struct image *image = &host->image;
	struct kept_meter kept;

	meter_make(&kept, image->grants[grant].key, image->services[WEIR_SERVICE_NAMED].key,
		   image->partners[grant].key, &image->grants[grant].budget, boot_now());
	return kept;
}

/* In the image's order, which is that of the file. */
enum { HOLD = 1, LATCH = 2 };

/* A file with one meter of 1000 bytes and, when `severed`, the other's latch. */
static struct meters_group a_file(const struct host *host, bool severed)
{
	struct kept_meter hold = account_of(host, HOLD), latch = account_of(host, LATCH);
	const struct meters_head head = {.flags = METERS_COMPLETE,
					 .boot_ns = boot_now(),
					 .wall_ns = wall_now(),
					 .secret = {1, 2}};
	struct meters_group group = {0};

	for (int i = 0; i < 2; i++)
		hold.meter.window[i].slice[0] = hold.meter.window[i].used_bytes = 1000;
	hold.meter.would_refuse_bytes = 5;
	latch.meter.severed_ns = severed ? boot_now() : 0;
	assert_int_equal(meters_group_begin(&group), 0);
	assert_int_equal(meters_group_add(&group, &hold), 0);
	assert_int_equal(meters_group_add(&group, &latch), 0);
	meters_group_end(&group, METERS_SNAPSHOT, &head);
	return group;
}

static void write_state(const struct host *host, const char *name, const void *data, size_t length)
{
	_cleanup_free_ char *path = host_path(host, name);

	assert_int_equal(file_write_atomic(path, data, length, 0640), 0);
}

static void write_file(const struct host *host, const char *name, struct meters_group file)
{
	write_state(host, name, file.data, file.length);
	free(file.data);
}

static void restore(struct host *host)
{
	struct guard_options options = {0};
	struct restoring restoring;
	char *problem = NULL;

	assert_int_equal(restoring_begin(&restoring, host, &host->image, true, &options, &problem),
			 0);
	assert_int_equal(options.fill_meters(&fake, options.fill_data), 0);
	restoring_tell(&restoring);
	restoring_free(&restoring);
}

static const struct weir_meter *restored(const struct host *host, uint32_t grant)
{
	struct kept_meter kept = account_of(host, grant);

	for (size_t i = 0; i < fake.meter_count; i++) {
		if (fake.meter_keys[i] == kept.key)
			return &fake.meters[i];
	}
	fail_msg("grant %u has no meter", grant);
	return NULL;
}

static void comes_back(void **state)
{
	struct host *host = *state;

	write_file(host, "meters", a_file(host, true));
	restore(host);
	assert_int_equal(restored(host, HOLD)->window[0].used_bytes, 1000);
	assert_int_equal(restored(host, HOLD)->window[1].used_bytes, 1000);
	assert_int_equal(restored(host, HOLD)->severed_ns, 0);
	assert_int_not_equal(restored(host, LATCH)->severed_ns, 0);
}

/* The guard starts where the file cannot grow; when it ends before it has saved, nothing is known
 * of what left. */
static void begins_on_a_full_disk(void **state)
{
	struct host *host = *state;
	struct meters_group file = a_file(host, true);
	struct rlimit full = {file.length, RLIM_INFINITY}, before;
	struct guard_options options = {0};
	struct restoring restoring;
	char *problem = NULL;

	write_file(host, "meters", file);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	full.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	assert_int_equal(restoring_begin(&restoring, host, &host->image, true, &options, &problem),
			 0);
	restoring_undo(&restoring); /* it could not be loaded: nothing left */
	restoring_free(&restoring);
	assert_int_equal(restoring_begin(&restoring, host, &host->image, true, &options, &problem),
			 0);
	assert_int_equal(options.fill_meters(&fake, options.fill_data), 0);
	assert_int_equal(restored(host, HOLD)->window[0].used_bytes, 1000);
	fake.meter_count = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	restoring_free(&restoring);
	restore(host);
	assert_int_equal(restored(host, HOLD)->window[0].used_bytes, MIB);
	assert_int_not_equal(restored(host, LATCH)->severed_ns, 0);
}

/* As if the build that wrote it had given the field another name. */
static void rename_field(struct meters_group *file, const char *from, const char *to)
{
	uint8_t *name = memmem(file->data, file->length, from, strlen(from));
	uint32_t crc;

	assert_non_null(name);
	memcpy(name, to, strlen(from));
	crc = crc32(0, file->data + METERS_HEAD_BYTES, file->length - METERS_HEAD_BYTES);
	memcpy(file->data + METERS_HEAD_BYTES - 8, &crc, sizeof(crc));
	crc = crc32(0, file->data, METERS_HEAD_BYTES - 4);
	memcpy(file->data + METERS_HEAD_BYTES - 4, &crc, sizeof(crc));
}

/* Nobody can say what it means: what is known stays, and no meter has room left. */
static void unknown_field_in_use(void **state)
{
	struct host *host = *state;
	struct meters_group file = a_file(host, true);

	rename_field(&file, "would_refuse_bytes", "would_have_refused");
	write_file(host, "meters", file);
	restore(host);
	assert_int_equal(restored(host, HOLD)->window[0].used_bytes, MIB);
	assert_int_equal(restored(host, HOLD)->window[1].used_bytes, MIB);
	assert_int_equal(restored(host, LATCH)->window[0].used_bytes, MIB);
	assert_int_not_equal(restored(host, LATCH)->severed_ns, 0);
	assert_told(host, "another build saved what this one does not know (would_have_refused)");
}

static void unknown_field_not_in_use(void **state)
{
	struct host *host = *state;
	struct meters_group file = a_file(host, true);

	rename_field(&file, "untold", "latter");
	write_file(host, "meters", file);
	restore(host);
	assert_int_equal(restored(host, HOLD)->window[0].used_bytes, 1000);
	assert_int_equal(restored(host, LATCH)->window[0].used_bytes, 0);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void damage(const struct host *host, const char *name)
{
	write_state(host, name, "?", 1);
}

static void copy_has_the_latches(void **state)
{
	struct host *host = *state;

	damage(host, "meters");
	damage(host, "latches");
	write_file(host, "latches.copy", a_file(host, true));
	restore(host);
	assert_int_not_equal(restored(host, LATCH)->severed_ns, 0);
	assert_int_equal(restored(host, HOLD)->severed_ns, 0);
	assert_int_equal(restored(host, HOLD)->window[0].used_bytes, MIB);
	assert_int_equal(restored(host, HOLD)->window[1].used_bytes, 0);
	assert_int_equal(fake.last_stranger.severed_ns, 0);
	assert_told(host, "the latches come from its copy");
}

static void file_counts_before_its_copy(void **state)
{
	struct host *host = *state;

	damage(host, "meters");
	write_file(host, "latches", a_file(host, false));
	write_file(host, "latches.copy", a_file(host, true));
	restore(host);
	assert_int_equal(restored(host, LATCH)->severed_ns, 0);
}

/* Nobody knows what was severed: all that can be. */
static void all_is_severed_that_can_be(void **state)
{
	struct host *host = *state;

	damage(host, "meters");
	damage(host, "latches");
	damage(host, "latches.copy");
	restore(host);
	assert_int_not_equal(restored(host, LATCH)->severed_ns, 0);
	assert_int_equal(restored(host, HOLD)->severed_ns, 0);
	assert_int_equal(fake.strangers_put, WEIR_STRANGER_SLOTS);
	assert_int_equal(fake.last_stranger.severed_ns, 0);
	assert_told(host, "all that a breach can sever is severed");
	assert_int_equal(faccessat(host->state_dir, "latches.copy", F_OK, 0), -1);
}

static void strangers_too_where_they_are_severed(void **state)
{
	struct host *host = *state;
	_cleanup_free_ char *severing = NULL;

	assert_true(asprintf(&severing, "%.*s, on_breach: sever}\n", (int)strlen(text) - 2, text) >
		    0);
	take_policy(host, severing);
	damage(host, "meters");
	restore(host);
	assert_int_equal(fake.strangers_put, WEIR_STRANGER_SLOTS);
	assert_int_not_equal(fake.last_stranger.severed_ns, 0);
}

/* ---- what stands in without a guard --------------------------------------------------------- */

static void apply(struct host *host)
{
	struct source source = {
		.name = (char *)"policy.yaml", .text = (char *)text, .length = strlen(text)};
	const struct applied applied = {.sources = {&source, 1}, .applied_ns = 1};
	_cleanup_free_ char *path = host_path(host, "applied.json");

	assert_int_equal(applied_save(path, &applied), 0);
	assert_int_equal(orders_to_disk(host), 0);
	/* what is made of it has its own */
	image_free(&host->image);
	names_free(&host->names);
}

static struct stand_in stand_in(struct host *host, char **rules)
{
	const struct host_config config = {.without_guard = WITHOUT_GUARD_FALLBACK};
	struct stand_in made;
	char *problem = NULL;
	size_t length;

	orders_free(&host->orders);
	assert_int_equal(without_guard_make(host, &config, &made, rules, &length, &problem), 0);
	return made;
}

/* Also when the latches' file and its copy are gone: the meters have them too. */
static void stand_in_refuses_what_was_severed(void **state)
{
	_cleanup_free_ char *nothing = NULL, *latches = NULL, *meters = NULL, *closed = NULL;
	struct host *host = *state;
	struct meters_group open = a_file(host, false), severed = a_file(host, true);
	_cleanup_free_ char *path = host_path(host, "latches");

	apply(host);
	write_state(host, "meters", open.data, open.length);
	write_state(host, "latches", open.data, open.length);
	assert_int_equal(stand_in(host, &nothing).mode, STAND_IN_FALLBACK);
	write_state(host, "latches", severed.data, severed.length);
	assert_int_equal(stand_in(host, &latches).mode, STAND_IN_FALLBACK);
	assert_string_not_equal(latches, nothing);
	assert_int_equal(unlink(path), 0);
	write_state(host, "meters", severed.data, severed.length);
	assert_int_equal(stand_in(host, &meters).mode, STAND_IN_FALLBACK);
	assert_string_equal(meters, latches);
	damage(host, "meters");
	assert_int_equal(stand_in(host, &closed).mode, STAND_IN_CLOSED);
	free(open.data);
	free(severed.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(comes_back, up, host_down),
		cmocka_unit_test_setup_teardown(begins_on_a_full_disk, up, host_down),
		cmocka_unit_test_setup_teardown(unknown_field_in_use, up, host_down),
		cmocka_unit_test_setup_teardown(unknown_field_not_in_use, up, host_down),
		cmocka_unit_test_setup_teardown(copy_has_the_latches, up, host_down),
		cmocka_unit_test_setup_teardown(file_counts_before_its_copy, up, host_down),
		cmocka_unit_test_setup_teardown(all_is_severed_that_can_be, up, host_down),
		cmocka_unit_test_setup_teardown(stand_in_refuses_what_was_severed, up, host_down),
		cmocka_unit_test_setup_teardown(strangers_too_where_they_are_severed, up,
						host_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
