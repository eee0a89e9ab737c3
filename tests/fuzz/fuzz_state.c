/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_state.c - the files of the state directory with any bytes: read whole or refused; orders
 * that were read come out of a file again as they went in. The first byte says which file it is.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "user/daemon/applied.h"
#include "user/daemon/meters_file.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = size ? memfd_create("fuzz", MFD_CLOEXEC) : -1;
	char path[64];

	if (size && data[0] == 'm') {
		read_meters(data + 1, size - 1);
		close(fd);
		return 0;
	}

	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, data + 1, size - 1) == (ssize_t)(size - 1)) {
		if (data[0] & 1)
			read_orders(path);
		else
			read_applied(path);
	}
	close(fd);
	return 0;
}
