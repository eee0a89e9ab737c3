/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * chain.c - reads lines of which each has the hash of the one before.
 */
#include "user/ledger/chain.h"

#include <errno.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/base/json_in.h"

enum { DEPTH = 8, FIRST_SIZE = 65536 };

static const char no_line[] = "it is no line of the journal";

struct chain_place chain_start(void)
{
	struct chain_place place = {0};

	memset(place.digest, '0', sizeof(place.digest) - 1);
	return place;
}

int chain_digest(const void *data, size_t length, char digest[CHAIN_DIGEST])
{
	uint8_t bytes[32];

	if (!EVP_Digest(data, length, bytes, NULL, EVP_sha256(), NULL))
		return -EIO;
	hex_format(bytes, sizeof(bytes), digest);
	return 0;
}

static int does_not_fit(struct chain_fault *fault, uint64_t line, uint64_t byte, const char *what)
{
	*fault = (struct chain_fault){line, byte, what};
	return -EBADMSG;
}

static int read_fully(int fd, char *to, size_t length, uint64_t at)
{
	while (length > 0) {
		ssize_t got = pread(fd, to, length, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENODATA;
		to += got;
		at += got;
		length -= got;
	}
	return 0;
}

/* ---- one line ------------------------------------------------------------------------------- */

static bool is_digest(json_object *value)
{
	const char *text = json_object_get_string(value);

	return json_object_is_type(value, json_type_string) &&
	       json_object_get_string_len(value) == CHAIN_DIGEST - 1 &&
	       strspn(text, "0123456789abcdef") == CHAIN_DIGEST - 1;
}

/* NULL when it is no line of a chain. `length` is without the end of line. */
static json_object *parse(const char *text, size_t length, uint64_t *number, const char **prev)
{
	json_object *object = json_in(text, length, DEPTH), *n, *digest, *record;

	if (object && json_object_object_get_ex(object, "n", &n) &&
	    json_object_object_get_ex(object, "prev", &digest) &&
	    json_object_object_get_ex(object, "record", &record) &&
	    json_object_is_type(n, json_type_int) && json_object_get_uint64(n) > 0 &&
	    is_digest(digest) && json_object_is_type(record, json_type_object)) {
		*number = json_object_get_uint64(n);
		*prev = json_object_get_string(digest);
		return object;
	}
	json_object_put(object);
	return NULL;
}

/* `length` is with the end of line. */
static int take_line(const char *text, size_t length, struct chain_place *place, chain_each each,
		     void *data, struct chain_fault *fault)
{
	struct chain_place next = {.start = place->end, .end = place->end + length};
	struct chain_line line = {.byte = next.start};
	const char *prev, *what = NULL;
	int r;

	line.object = parse(text, length - 1, &next.number, &prev);
	if (!line.object)
		what = no_line;
	else if (next.number != place->number + 1)
		what = "its number is not the next one";
	else if (strcmp(prev, place->digest) != 0)
		what = "its hash is not that of the line before";
	r = what ? does_not_fit(fault, place->number + 1, next.start, what)
		 : chain_digest(text, length, next.digest);
	line.number = next.number;
	if (r == 0)
		*place = next;
	if (r == 0 && each)
		r = each(&line, data);
	json_object_put(line.object);
	return r;
}

/* ---- many ----------------------------------------------------------------------------------- */

/* text[begin..used) was read and is not taken yet; `at` is where in the file text[begin] stands
 * when more is read. */
struct window {
	char *text;
	size_t begin, used, size;
	uint64_t at;
};

/* More of the file: how many bytes, 0 at its end, -errno, -E2BIG when it would be too much. */
static ssize_t read_more(int fd, struct window *window)
{
	ssize_t got;

	if (window->begin) {
		memmove(window->text, window->text + window->begin, window->used - window->begin);
		window->used -= window->begin;
		window->begin = 0;
	}
	if (window->used == window->size) {
		size_t size = window->size ? 2 * window->size : FIRST_SIZE;
		char *larger = size > CHAIN_LONGEST ? NULL : realloc(window->text, size);

		if (!larger)
			return size > CHAIN_LONGEST ? -E2BIG : -ENOMEM;
		window->text = larger;
		window->size = size;
	}
	do
		got = pread(fd, window->text + window->used, window->size - window->used,
			    window->at + window->used);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	window->used += got;
	return got;
}

static int take_lines(int fd, struct window *window, struct chain_place *place, chain_each each,
		      void *data, struct chain_fault *fault)
{
	size_t seen = 0; /* of what is there, without an end of line */
	ssize_t got = 0;

	do {
		char *from = window->text + window->begin, *end;

		while ((end = memchr(from + seen, '\n', window->used - window->begin - seen))) {
			size_t length = end + 1 - from;
			int r = take_line(from, length, place, each, data, fault);

			if (r)
				return r;
			window->begin += length;
			from += length;
			seen = 0;
		}
		seen = window->used - window->begin;
		window->at += window->begin;
		got = read_more(fd, window);
	} while (got > 0);
	if (got == -E2BIG)
		return does_not_fit(fault, place->number + 1, place->end,
				    "it is longer than a line can be");
	return got;
}

int chain_follow(int fd, struct chain_place *place, chain_each each, void *data,
		 struct chain_fault *fault)
{
	struct window window = {.at = place->end};
	ssize_t got = read_more(fd, &window);
	int r = got <= 0 ? got : take_lines(fd, &window, place, each, data, fault);

	free(window.text);
	return r;
}

/* ---- from behind ---------------------------------------------------------------------------- */

/* Offset behind the last end of line within [at - CHAIN_LONGEST, at), or 0 at the beginning of the
 * file; -EBADMSG when there is neither. */
static int find_line_end(int fd, uint64_t at, uint64_t *end)
{
	const uint64_t least = at > CHAIN_LONGEST ? at - CHAIN_LONGEST : 0;
	char piece[4096];

	while (at > least) {
		size_t length = at - least < sizeof(piece) ? at - least : sizeof(piece);
		int r = read_fully(fd, piece, length, at - length);
		const char *found = r < 0 ? NULL : memrchr(piece, '\n', length);

		if (r < 0)
			return r;
		if (found) {
			*end = at - length + (found + 1 - piece);
			return 0;
		}
		at -= length;
	}
	if (at > 0)
		return -EBADMSG;
	*end = 0;
	return 0;
}

static int place_of_line(int fd, struct chain_place *place)
{
	size_t length = place->end - place->start;
	_cleanup_free_ char *text = malloc(length);
	json_object *object;
	const char *prev;
	int r = text ? read_fully(fd, text, length, place->start) : -ENOMEM;

	if (r < 0)
		return r;
	object = parse(text, length - 1, &place->number, &prev);
	r = object ? chain_digest(text, length, place->digest) : -EBADMSG;
	if (r == 0 && place->start == 0 && place->number != 1)
		r = -EBADMSG;
	json_object_put(object);
	return r;
}

int chain_find(int fd, uint64_t size, struct chain_place *place, struct chain_fault *fault)
{
	struct chain_place found = chain_start();
	int r = find_line_end(fd, size, &found.end);

	if (r == 0 && found.end) {
		r = find_line_end(fd, found.end - 1, &found.start);
		if (r == 0)
			r = place_of_line(fd, &found);
	}
	if (r == -EBADMSG)
		return does_not_fit(fault, 0, found.start, no_line);
	if (r == 0)
		*place = found;
	return r;
}

int chain_recheck(int fd, const struct chain_place *place, struct chain_fault *fault)
{
	size_t length = place->end - place->start;
	_cleanup_free_ char *text = malloc(length + 1);
	char digest[CHAIN_DIGEST];
	int r;

	if (!text)
		return -ENOMEM;
	if (length == 0)
		return 0;
	r = read_fully(fd, text, length, place->start);
	if (r == 0)
		r = chain_digest(text, length, digest);
	if (r == 0 && strcmp(digest, place->digest) == 0)
		return 0;
	if (r < 0 && r != -ENODATA)
		return r;
	return does_not_fit(fault, place->number, place->start, "it is not what was written there");
}
