/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_file.h - signed orders, and who may sign them, from files.
 *
 * All of these return CMD_DONE, or CMD_REFUSED after telling why on stderr: `file:line:column: ...`
 * for what is wrong in a file. What they read is to be freed in either case.
 */
#ifndef WEIR_ORDER_FILE_H
#define WEIR_ORDER_FILE_H

#include "user/cmd/policy_file.h"
#include "user/order/document.h"

struct order_file {
	char *text;
	size_t length;
	struct document document; /* points into the text */
};

/* `path` may be "-", standard input. */
int order_file_read(const struct arguments *arguments, const char *path, struct order_file *file);
void order_file_free(struct order_file *file);

/* NULL: those of this host (paths.h); its list of keys taken back may be missing. */
int signers_file_read(const struct arguments *arguments, const char *path, struct signers *signers);
int revoked_file_read(const struct arguments *arguments, const char *path, struct revoked *revoked);

/* A whole file as a text, to be enclosed in an order. malloc'd. */
int content_file_read(const struct arguments *arguments, const char *path, size_t most, char **text,
		      size_t *length);

/* Reads and checks a policy that is one text and stands in the file `name` from line `first` on. */
int enclosed_policy_read(const struct arguments *arguments, const char *name, const char *text,
			 size_t length, uint32_t first, struct policy_file *file);

#endif
