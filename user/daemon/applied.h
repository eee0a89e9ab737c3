/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * applied.h - policies as they are kept in the state directory: the texts themselves, so that what
 * counts at the next boot does not depend on files that somebody edits meanwhile.
 */
#ifndef WEIR_APPLIED_H
#define WEIR_APPLIED_H

#include "user/policy/policy.h"

#define DIGEST_TEXT 65 /* SHA-256 in hexadecimal, and the NUL */

struct applied {
	struct sources sources;
	char *path;		  /* of the file that it came from; NULL: not known */
	char *name;		  /* of the policy; NULL: not known */
	char *by;		  /* who applied it; NULL: not known */
	uint64_t applied_ns;	  /* wall */
	uint64_t trial_until_ns;  /* boot, of the boot below; 0: it is not on trial */
	char trial_boot[37];	  /* /proc/sys/kernel/random/boot_id */
	uint64_t until_ns;	  /* wall: in force for a while (interim.h); 0: not */
	char *reason;		  /* of that */
	char digest[DIGEST_TEXT]; /* of the texts; set by applied_load() and applied_about() */
};

void applied_free(struct applied *applied);

/* Replaces the file as a whole. 0 or -errno. */
int applied_save(const char *path, const struct applied *applied);
/* 0; -ENOENT; -EBADMSG when it is not what applied_save() wrote, to the last bit; -errno. */
int applied_load(const char *path, struct applied *applied);
/* The same without the texts, which it does not read. */
int applied_about(const char *path, struct applied *applied);

/* [{"name":..,"text":..},..] -> sources, which are to be freed also on failure. -EBADMSG, -ENOMEM.
 */
struct json_object;
int sources_from_json(struct json_object *files, struct sources *sources);

/* SHA-256 over the texts alone: the same under whatever name the file was read. -EIO. */
int sources_digest(const struct sources *sources, uint8_t digest[32]);

#endif
