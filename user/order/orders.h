/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * orders.h - the set of cuts and of the exceptions inside them, and of what changes for a while:
 * extensions, pauses, probations, and prefixes that are added to a partner ("overrides").
 *
 * A cut only ever adds to the set. A reopening takes a whole cut out, or adds an exception to it.
 * An override ends by itself, but for a probation, which tightens.
 * The texts (struct weir_order) are what is kept in the kernel and on disk; what the kernel judges
 * by is compiled from them against the policy in force, which this module knows only through a
 * callback. Pure: no clock, no files.
 */
#ifndef WEIR_ORDERS_H
#define WEIR_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

struct draw;

struct orders {
	struct weir_order *item; /* in rising order of id */
	size_t count;
	struct draw *draw; /* reserve.h; in the order in which they were made */
	size_t draw_count;
	uint64_t next; /* id of the next order; ids are not used twice */
	size_t spare;  /* of the room for local orders: left for a stage that is to be cut again */
	bool is_of_copy; /* orders_load(): the file itself was damaged, or not there */
};

void orders_free(struct orders *orders);

/* Takes over a list (malloc'd), sorts it. Exceptions without their cut are dropped. The draws stay.
 */
void orders_take(struct orders *orders, struct weir_order *item, size_t count);
int orders_copy(const struct orders *orders, struct orders *copy);

/* NULL when it is not there. */
const struct weir_order *orders_find(const struct orders *orders, uint64_t id);

/* Of WEIR_MAX_ORDERS so many are left for signed orders: whoever may order here could fill the
 * table otherwise, and so keep a signed cut out. */
enum { ORDERS_FOR_SIGNED = 1024 };

struct order_text {
	const char *target;
	const char *reason;
	const char *by;
	uint64_t since_ns;   /* wall */
	uint64_t until_ns;   /* wall; 0: until somebody reopens */
	const uint8_t *body; /* 32 bytes: SHA-256 of the signed order's; NULL: a local one */
	/* Of an override, but for the last: */
	enum weir_order_kind kind;
	const char *grant; /* of an extension, else NULL */
	union {
		uint64_t more_bytes; /* of an extension */
		uint64_t parts;	     /* of a probation: 1 to WEIR_WHOLE - 1 */
		uint64_t stands_for; /* of a cut: struct weir_order */
	};
	const uint8_t *address; /* of an addition: its prefix, as struct weir_order has it */
	uint8_t prefix_bits;
	bool is_needed; /* it may take of the room that is left for signed orders */
};

bool order_is_cut(const struct weir_order *order);
/* An extension, a pause, a probation or an addition. */
bool order_is_override(const struct weir_order *order);

/* Whether it came from a signed order: then a signed order alone takes it back. */
bool order_is_signed(const struct weir_order *order);
/* Whether it came from the signed order with this digest. */
bool order_is_of(const struct weir_order *order, const uint8_t body[32]);

/*
 * 0, or: -EINVAL for a target or reason that is empty, too long for struct weir_order, or has
 * control characters; -ENOSPC when there is no room; -ENOENT when there is no such cut; -EEXIST
 * when the cut has this exception already; -ENOMEM.
 */
int orders_add_cut(struct orders *orders, const struct order_text *text, uint64_t *id);
int orders_add_exception(struct orders *orders, uint64_t cut, const struct order_text *text,
			 uint64_t *id);

/* `text` needs a kind that is no cut's, and an end, which a probation has not. -ENOSPC above
 * WEIR_OVERRIDES, or of additions above WEIR_ADDITIONS, too. */
int orders_add_override(struct orders *orders, const struct order_text *text, uint64_t *id);

/* An addition to another target that has an address of this prefix, or NULL. */
const struct weir_order *orders_find_addition(const struct orders *orders, const char *target,
					      const uint8_t address[16], uint8_t bits);

/* Of orders that were added behind the first `count`: the id of the first of those that say the
 * same, in this order and one behind the other, also by whom and for how long, and that came at
 * `since_ns` (wall) or later, but not after these; 0: there are none. */
uint64_t orders_find_again(const struct orders *orders, size_t count, uint64_t since_ns);

/* A cut with its exceptions, or an override. -ENOENT. */
int orders_remove(struct orders *orders, uint64_t id);

/* The first cut or override whose time is over at `wall_ns`, or 0; without `with_signed` of the
 * local ones. */
uint64_t orders_expired(const struct orders *orders, uint64_t wall_ns, bool with_signed);
/* When the next of them ends (wall), or 0 when none does. */
uint64_t orders_next_end(const struct orders *orders, bool with_signed);

/* Fills the target's fields of `entry`; anything but 0 ends the compilation with that value. */
typedef int (*order_resolver)(const struct weir_order *order, struct weir_cut_entry *entry,
			      void *data);

/* Each cut followed by its exceptions, in the order of their ids. `*ret` is malloc'd (NULL for
 * none). -E2BIG above WEIR_CUT_ENTRIES, -ENOMEM, or what the resolver gave. */
int orders_compile(const struct orders *orders, order_resolver resolve, void *data,
		   struct weir_cut_entry **ret, size_t *count);

/* Fills `at` and `grant`; as order_resolver. What has no object must be WEIR_TARGET_NOTHING. */
typedef int (*override_resolver)(const struct weir_order *order, struct weir_override *override,
				 void *data);

/* The overrides, in the order of their ids; as orders_compile(). */
int orders_compile_overrides(const struct orders *orders, override_resolver resolve, void *data,
			     struct weir_override **ret, size_t *count);

/* ---- on disk -------------------------------------------------------------------------------- */

/* Writes the file as a whole (file_write_atomic), and then "PATH.copy". 0 or -errno. */
int orders_save(const struct orders *orders, const char *path);
/* From the file, or else from its copy. 0; -ENOENT without a file; -EBADMSG when it is not what
 * orders_save() wrote, by its checksum; -errno. */
int orders_load(const char *path, struct orders *orders);

#endif
