/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy_file.h - a policy file for the commands that need no daemon: check and explain.
 */
#ifndef WEIR_POLICY_FILE_H
#define WEIR_POLICY_FILE_H

#include "user/cmd/cmd.h"
#include "user/policy/image.h"

struct policy_file {
	struct sources sources;
	struct policy policy;
	struct faults faults;
};

/* Reads and checks. CMD_DONE, or CMD_REFUSED after telling why on stderr; warnings stay in
 * file->faults. Free with policy_file_free() in either case. */
int policy_file_read(const struct arguments *arguments, const char *path, struct policy_file *file);

/* Compiles it for `now_ns` (wall). CMD_DONE, or CMD_REFUSED after telling why on stderr. */
int policy_file_compile(const struct arguments *arguments, struct policy_file *file,
			uint64_t now_ns, struct image *image);
void policy_file_free(struct policy_file *file);

#endif
