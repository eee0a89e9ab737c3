/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters_file.h - the meters on disk, for the time after a reboot. Pure: bytes in memory alone.
 *
 * A file is a row of groups: first a snapshot of all meters, then groups of those that changed. Of
 * a meter that comes more than once the last one counts. All numbers are little-endian.
 *
 *	head (104 bytes)
 *	  0 "weirmtr2"		the last character is the format's version
 *	  8 u32 kind		1 snapshot, 2 changes
 *	 12 u32 flags		enum meters_flag
 *	 16 u32 records
 *	 20 u32 why		enum meters_why, of the assumed parts
 *	 24 u64 bytes behind the head
 *	 32 boot id (16 bytes)
 *	 48 u64 boot time, 56 u64 wall time of this group
 *	 64 u64 u64 key of the strangers' hash: without it their slots would mean nothing
 *	 80 u64 bytes that the uplinks can carry in a second; 0: not known, or of no use, since more
 *	    than METERS_UNSAVED_SECONDS may be missing behind this group
 *	 88 u64 wall time since which something is assumed; 0: nothing is
 *	 96 u32 CRC-32 of what is behind the head
 *	100 u32 CRC-32 of the head up to here
 *	form: what the build that wrote the group has in its meters
 *	  u8 windows of a meter, u8 slices of a window
 *	  u8 fields of a meter, u8 length and name of each; u8 fields of a window, likewise
 *	record
 *	  u64 key, u32 slot (~0: no stranger's), u64 for each field of a meter
 *	  for each window: u8 in use; then, if so, u64 for each field of a window,
 *	  u8 slices, (u8 age, u64 bytes) for each, rising ages;
 *	  u8 age and u64 bytes of the assumed part
 *
 * Another build may have other fields, in another order. What this one does not find is 0; what it
 * does not know must be 0, or meters_read.unknown names it. With another number of slices, all that
 * a window holds counts from the moment of the group on.
 *
 * Times in a record are boot times; with the group's own they give ages. A group that does not
 * check and behind which none follows is the one that was being written when the power went: it is
 * left out, and the file is torn. Whatever else does not check makes the file damaged.
 */
#ifndef WEIR_METERS_FILE_H
#define WEIR_METERS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

#define METERS_NO_SLOT	       UINT32_MAX
#define METERS_HEAD_BYTES      104
#define METERS_UNSAVED_SECONDS 2
#define METERS_FIELD_TEXT      24	 /* of a field's name, and the NUL */
#define METERS_MOST_BYTES      (1 << 30) /* of a file that is read */

enum meters_kind { METERS_SNAPSHOT = 1, METERS_CHANGES = 2 };

enum meters_flag {
	METERS_COMPLETE = 1,  /* nothing left after this group */
	METERS_UNWATCHED = 2, /* the guard stayed on when the daemon ended, or could not save */
};

/* Why something is assumed. */
enum meters_why {
	METERS_WHY_NOTHING = 0,
	METERS_WHY_POWER,     /* the last moments before the end were not saved */
	METERS_WHY_UNWATCHED, /* nobody saved for an unknown time */
	METERS_WHY_DAMAGED,   /* the file could not be read */
	METERS_WHY_LOST,      /* there was no file, but there should be one */
	METERS_WHY_FOREIGN,   /* another build used something that this one does not know */
	METERS_WHYS
};

struct meters_head {
	uint32_t flags;
	uint32_t why;
	uint8_t boot_id[16];
	uint64_t boot_ns;
	uint64_t wall_ns;
	uint64_t secret[2];
	uint64_t link_bytes_per_s;
	uint64_t assumed_since_ns; /* wall */
};

/* What of one window is assumed and was not measured: it lies in the slice of this age (0: the
 * running one), among what was measured. */
struct kept_part {
	uint64_t bytes;
	uint32_t age;
};

struct kept_meter {
	uint64_t key;  /* weir_meter_key(), or WEIR_KEY_PEER */
	uint32_t slot; /* of the strangers' array, or METERS_NO_SLOT */
	uint32_t turn; /* of the reader: where it came in the file */
	struct weir_meter meter;
	struct kept_part part[WEIR_WINDOWS];
};

/* ---- writing -------------------------------------------------------------------------------- */

/* One group, as it grows. All zero is an empty one; free(group.data) ends it. */
struct meters_group {
	uint8_t *data;
	size_t length, capacity;
	uint32_t records;
};

/* Begins with room for the head, and the form of this build's meters. 0 or -ENOMEM. */
int meters_group_begin(struct meters_group *group);
int meters_group_add(struct meters_group *group, const struct kept_meter *kept);
/* Writes the head: group->data holds the whole group. */
void meters_group_end(struct meters_group *group, enum meters_kind kind,
		      const struct meters_head *head);

/*
 * The last whole group of a file gets these flags alone, in memory: that can be written over the
 * old one when there is no room for anything more. Its head, METERS_HEAD_BYTES, stands *at; the
 * group ends at *end, and a torn one may follow. -EBADMSG: there is none, or the file is damaged.
 */
int meters_file_mark(uint8_t *data, size_t length, uint32_t flags, size_t *at, size_t *end);
/*
 * The same, of the file itself, over what is there: a full disk has room for nothing else. With
 * METERS_UNWATCHED nothing can be saved, for who knows how long. 0 or -errno.
 */
int meters_mark(const char *path, uint32_t flags);

/* ---- reading -------------------------------------------------------------------------------- */

struct meters_read {
	struct meters_head head; /* of the last whole group; flags are 0 when the file is torn */
	struct kept_meter
		*item; /* each meter once, in rising order of slot and key: accounts come last */
	size_t count;
	bool is_torn;
	char unknown[METERS_FIELD_TEXT]; /* a field in use that this build lacks; "": none */
};

/* 0; -EBADMSG when it is damaged; -ENOMEM. On failure `read` is empty. */
int meters_file_read(const uint8_t *data, size_t length, struct meters_read *read);
void meters_read_free(struct meters_read *read);

/* The meter, or NULL. */
struct kept_meter *meters_read_find(const struct meters_read *read, uint64_t key, uint32_t slot);

#endif
