/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_state.c - the files of the state directory, and the marker of what stands in for the guard,
 * with any bytes: read whole or refused; what was read comes out of a file again as it went in. The
 * first byte says which file it is.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/applied.h"
#include "user/daemon/clock.h"
#include "user/daemon/meters_file.h"
#include "user/daemon/paths.h"
#include "user/daemon/planning.h"
#include "user/daemon/stand_in.h"
#include "user/event/refusals.h"
#include "user/order/orders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_orders(const char *path)
{
	static char saved[64], copy[80];
	struct orders orders = {0}, again = {0};

	if (orders_load(path, &orders) < 0)
		return;
	if (!saved[0])
		snprintf(saved, sizeof(saved), "/dev/shm/weir-fuzz-%d.json", getpid());
	snprintf(copy, sizeof(copy), "%s.copy", saved);
	if (orders_save(&orders, saved) < 0 || orders_load(saved, &again) < 0)
		abort();
	if (orders.count != again.count || orders.next != again.next)
		abort();
	for (size_t i = 0; i < orders.count; i++) {
		if (orders.item[i].id != again.item[i].id ||
		    orders.item[i].until_ns != again.item[i].until_ns ||
		    strcmp(orders.item[i].target, again.item[i].target) != 0)
			abort();
	}
	unlink(saved);
	unlink(copy);
	orders_free(&orders);
	orders_free(&again);
}

/* The checksums are made to fit, or no input would come past them. */
static void seal_meters(uint8_t *data, size_t size)
{
	uint64_t bytes = size - 104;
	uint32_t crc = crc32(0, data + 104, bytes);

	memcpy(data, "weirmtr2", 8);
	memcpy(data + 24, &bytes, sizeof(bytes));
	memcpy(data + 96, &crc, sizeof(crc));
	crc = crc32(0, data, 100);
	memcpy(data + 100, &crc, sizeof(crc));
}

/* What was read can be written, and reads as it was. */
static void read_meters(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct meters_read read, again;
	struct meters_group group = {0};

	memcpy(copy, data, size);
	if (size >= 104)
		seal_meters(copy, size);
	if (meters_file_read(copy, size, &read) == 0) {
		if (meters_group_begin(&group) < 0)
			abort();
		for (size_t i = 0; i < read.count; i++)
			if (meters_group_add(&group, &read.item[i]) < 0)
				abort();
		meters_group_end(&group, METERS_SNAPSHOT, &read.head);
		if (meters_file_read(group.data, group.length, &again) < 0 ||
		    again.count != read.count)
			abort();
		for (size_t i = 0; i < read.count; i++)
			if (memcmp(&read.item[i].meter, &again.item[i].meter,
				   sizeof(struct weir_meter)) != 0)
				abort();
		meters_read_free(&again);
		meters_read_free(&read);
	}
	free(group.data);
	free(copy);
}

/* Items and partners, as many as the bytes are good for; the first byte says how many of these are
 * items. */
static void read_refused(const uint8_t *data, size_t size)
{
	enum { HEAD = 104 };
	uint64_t items, partners, crc = 0;
	uint32_t sizes[2] = {sizeof(struct refusal), sizeof(struct refusals_partner)};
	uint8_t *copy = malloc(size + 1);
	struct refusals *list = NULL, *again = NULL;
	_cleanup_free_ void *bytes = NULL;
	size_t length;

	memcpy(copy, data, size);
	if (size >= HEAD) {
		items = data[0] % ((size - HEAD) / sizes[0] + 1);
		partners = (size - HEAD - items * sizes[0]) / sizes[1];
		size = HEAD + items * sizes[0] + partners * sizes[1];
		memcpy(copy, "weirrfs1", 8);
		memcpy(copy + 8, sizes, sizeof(sizes));
		memcpy(copy + 16, &items, sizeof(items));
		memcpy(copy + 24, &partners, sizeof(partners));
		memcpy(copy + 96, &crc, sizeof(crc));
		crc = crc32_z(0, copy, size);
		memcpy(copy + 96, &crc, sizeof(crc));
	}
	if (refusals_unpack(copy, size, &list) == 0) {
		if (refusals_pack(list, &bytes, &length) < 0 ||
		    refusals_unpack(bytes, length, &again) < 0 ||
		    refusals_count(list) != refusals_count(again))
			abort();
	}
	refusals_free(list);
	refusals_free(again);
	free(copy);
}

static void read_applied(const char *path)
{
	struct applied applied = {0}, about = {0};

	if (applied_about(path, &about) == 0)
		applied_free(&about);
	if (applied_load(path, &applied) < 0)
		return;
	if (applied.sources.count == 0)
		abort();
	applied_free(&applied);
}

/* ---- files that an instance finds by itself -------------------------------------------------- */

static char directory[64];

static void remove_directory(void)
{
	_cleanup_free_ char *state = path_state("fuzz", "");

	if (state)
		rmdir(state);
	rmdir(directory);
}

/* Both kinds of files are in one directory, in memory. */
static void make_directory(void)
{
	_cleanup_free_ char *problem = NULL;

	if (directory[0])
		return;
	snprintf(directory, sizeof(directory), "/dev/shm/weir-fuzz-%d", getpid());
	setenv("WEIR_RUN_DIR", directory, 1);
	setenv("WEIR_STATE_DIR", directory, 1);
	if (paths_make("fuzz", &problem) < 0)
		abort();
	atexit(remove_directory);
}

static char *write_file(char *path, const uint8_t *data, size_t size)
{
	if (!path || file_write_atomic(path, data, size, 0600) < 0)
		abort();
	return path;
}

/* Hours stay open only on a file that says so. */
static void read_clock(const uint8_t *data, size_t size)
{
	const struct host host = {.instance = (char *)"fuzz"};
	_cleanup_free_ char *path = NULL;

	make_directory();
	path = write_file(path_state("fuzz", "/clock.json"), data, size);
	if (!clock_needs_confirmation(&host, NULL) && !memmem(data, size, "false", strlen("false")))
		abort();
	unlink(path);
}

/* Only one that can go on is taken; what was taken can be saved, and is the same. */
static void read_plan(const uint8_t *data, size_t size)
{
	struct host host = {.instance = (char *)"fuzz"};
	struct plan_run *again = NULL;
	_cleanup_free_ char *path = NULL;

	make_directory();
	path = write_file(path_state("fuzz", "/" PLAN_FILE), data, size);
	if (plan_load(&host, &host.plan) == 0) {
		if (host.plan->stage >= host.plan->plan.count || plan_save(&host) < 0 ||
		    plan_load(&host, &again) < 0)
			abort();
		if (host.plan->stage != again->stage || host.plan->phase != again->phase ||
		    host.plan->until_ns != again->until_ns ||
		    host.plan->approvals != again->approvals ||
		    host.plan->base.refused != again->base.refused)
			abort();
	}
	plan_run_free(host.plan);
	plan_run_free(again);
	unlink(path);
}

static void read_stand_in(const uint8_t *data, size_t size)
{
	struct stand_in stand_in, again;
	_cleanup_free_ char *path = NULL;

	make_directory();
	path = write_file(path_run("fuzz", ".without-guard"), data, size);
	if (stand_in_read("fuzz", &stand_in) == 0) {
		if (stand_in_write("fuzz", &stand_in) < 0 || stand_in_read("fuzz", &again) < 0)
			abort();
		if (stand_in.mode != again.mode || stand_in.since_ns != again.since_ns ||
		    stand_in.offset_ns != again.offset_ns ||
		    stand_in.passed_bytes != again.passed_bytes ||
		    stand_in.refused_bytes != again.refused_bytes ||
		    strcmp(stand_in.why, again.why) || strcmp(stand_in.digest, again.digest) ||
		    strcmp(stand_in.listed, again.listed))
			abort();
	}
	unlink(path);
}

static void read_by_path(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];

	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (data[0] & 1)
		read_orders(path);
	else
		read_applied(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'm')
		read_meters(data + 1, size - 1);
	else if (data[0] == 'r')
		read_refused(data + 1, size - 1);
	else if (data[0] == 'c')
		read_clock(data + 1, size - 1);
	else if (data[0] == 'p')
		read_plan(data + 1, size - 1);
	else if (data[0] == 's')
		read_stand_in(data + 1, size - 1);
	else
		read_by_path(data, size);
	return 0;
}
