/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * chain.h - lines of JSON of which each has the hash of the one before:
 *
 *	{"n":7,"prev":"9f86d0...","wall_ns":...,"boot_ns":...,"boot_id":"...","record":{...}}
 *
 * "prev" is the SHA-256 of the exact bytes of line 6, its end of line included; of 64 zeros in line
 * 1. So whoever has one line's hash can tell whether anything before it was changed, and sha256sum
 * and jq suffice for that. What the last line says, no line vouches for yet.
 */
#ifndef WEIR_CHAIN_H
#define WEIR_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#define CHAIN_DIGEST 65 /* SHA-256 in hexadecimal, and the NUL */

enum { CHAIN_LONGEST = 4 << 20 }; /* bytes of one line */

/* A whole line, and the chain up to it. Number 0: before the first. */
struct chain_place {
	uint64_t number;
	uint64_t start, end; /* bytes from the beginning of the file */
	char digest[CHAIN_DIGEST];
};

/* The first line that does not fit. */
struct chain_fault {
	uint64_t line; /* its place among the lines, from 1; 0: not known */
	uint64_t byte; /* where it begins, from 0 */
	const char *what;
};

struct json_object;
struct chain_line {
	uint64_t number, byte;
	struct json_object *object; /* the chain's; "record" in it is an object */
};

/* Anything but 0 ends the reading with that value. */
typedef int (*chain_each)(const struct chain_line *line, void *data);

/* Before the first line. */
struct chain_place chain_start(void);

/*
 * Reads on behind `place`, which it moves to the last whole line; bytes behind that are left alone.
 * `each` may be NULL. 0; -EBADMSG with `fault`; -errno; what `each` returned.
 */
int chain_follow(int fd, struct chain_place *place, chain_each each, void *data,
		 struct chain_fault *fault);

/* The last whole line that ends within the first `size` bytes, by that line alone: it is taken as
 * it is. chain_start() when there is none. 0, -EBADMSG with `fault`, -errno. */
int chain_find(int fd, uint64_t size, struct chain_place *place, struct chain_fault *fault);

/* Whether the line at `place` still is the one that it was. 0, -EBADMSG with `fault`, -errno. */
int chain_recheck(int fd, const struct chain_place *place, struct chain_fault *fault);

/* SHA-256. -EIO. */
int chain_digest(const void *data, size_t length, char digest[CHAIN_DIGEST]);

#endif
