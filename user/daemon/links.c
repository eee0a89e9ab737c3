/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* links.c - what /sys/class/net says of the network's interfaces. */
#include "user/daemon/links.h"

#include <dirent.h>
#include <limits.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"

enum { SYSFS_BYTES = 4096 }; /* the size that sysfs says of each file */

/* In bytes a second; 0: not known. */
static uint64_t link_speed(const char *name)
{
	char path[NAME_MAX + 32];
	_cleanup_free_ char *text = NULL;
	size_t length;
	long megabits;

	snprintf(path, sizeof(path), "/sys/class/net/%s/speed", name);
	if (file_read(path, SYSFS_BYTES, &text, &length) < 0)
		return 0;
	megabits = strtol(text, NULL, 10);
	return megabits > 0 ? megabits * UINT64_C(125000) : 0;
}

/* What leaves goes through a device in the end: bridges, tunnels and the like stand on one. */
static uint64_t devices_speed(void)
{
	DIR *directory = opendir("/sys/class/net");
	const struct dirent *entry;
	uint64_t sum = 0;
	bool is_known = directory != NULL;

	while (is_known && (entry = readdir(directory)) != NULL) {
		char path[NAME_MAX + 32];
		uint64_t speed;

		snprintf(path, sizeof(path), "/sys/class/net/%s/device", entry->d_name);
		if (entry->d_name[0] == '.' || access(path, F_OK) < 0)
			continue;
		speed = link_speed(entry->d_name);
		is_known = speed != 0;
		sum += speed;
	}
	if (directory)
		closedir(directory);
	return is_known ? sum : 0;
}

uint64_t links_speed(char *const *uplinks, size_t count)
{
	uint64_t sum = 0;

	if (count == 0)
		return devices_speed();
	for (size_t i = 0; i < count; i++) {
		uint64_t speed = link_speed(uplinks[i]);

		if (!speed)
			return 0;
		sum += speed;
	}
	return sum;
}

/* Whether it is there under this very name (an alternative one is none to nftables), and nothing
 * else stands on it, by whose name packets leave: a VLAN, a bond, a bridge. */
static bool is_plain(const char *name)
{
	_cleanup_free_ char *path = NULL;
	char real[IF_NAMESIZE] = "";
	unsigned index = if_nametoindex(name);
	const struct dirent *entry;
	bool has_none_above;
	DIR *directory;

	if (!index || !if_indextoname(index, real) || strcmp(real, name) != 0 ||
	    asprintf(&path, "/sys/class/net/%s", name) < 0)
		return false;
	directory = opendir(path);
	has_none_above = directory != NULL;
	while (directory && (entry = readdir(directory)) != NULL)
		has_none_above &= strncmp(entry->d_name, "upper_", strlen("upper_")) != 0;
	if (directory)
		closedir(directory);
	return has_none_above;
}

bool links_are_plain(const struct names *uplinks)
{
	for (size_t i = 0; i < uplinks->count; i++) {
		if (!is_plain(uplinks->item[i].text))
			return false;
	}
	return true;
}
