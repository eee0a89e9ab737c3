/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fields.h - lines KEY: VALUE of a signed text, read by a table of what they are.
 */
#ifndef WEIR_FLEET_FIELDS_H
#define WEIR_FLEET_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_kind {
	LINE_VERSION, /* "1": no field */
	LINE_TEXT,    /* char[size] */
	LINE_NUMBER,  /* uint64_t */
	LINE_TIME,    /* uint64_t: wall time in ns (user/order/instant.h) */
	LINE_BOOL,    /* bool: "yes", "no" */
};

struct line_field {
	const char *key;
	enum line_kind kind;
	size_t offset; /* in what the lines describe */
	size_t size;   /* of a text, with its NUL */
	bool is_required;
};

enum { LINE_FIELDS = 16 }; /* at most in a table */

/*
 * Fills `into`, which is all zero, from lines that lines_check() found good. The first line is that
 * of the table's first field; a key that is not known, comes twice or is missing, and a value of
 * another form, are refused: 0, or -EBADMSG with a reason (ssh_refuse()).
 */
int fields_read(const char *text, size_t length, const struct line_field *fields, size_t count,
		void *into, const char **why);

/* The lines of a table in its order, but those that are not required and empty, 0 or false;
 * malloc'd, NULL without memory. Texts are made plain, and are without line ends. */
char *fields_write(const struct line_field *fields, size_t count, const void *from);

#endif
