/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * stand_in.h - RUN_DIR/INSTANCE.without-guard: what stands in for the guard, as long as something
 * does. It is gone with a reboot, as the ruleset is.
 */
#ifndef WEIR_STAND_IN_H
#define WEIR_STAND_IN_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

struct stand_in {
	char mode[16]; /* closed, fallback, open; or "nothing": it failed, or none was ever applied
			*/
	char why[192];
	char digest[DIGEST_TEXT]; /* of the ruleset */
	uint64_t since_ns;	  /* wall */
	/* Of the rulesets before the present one; that one's counters are in the kernel. */
	uint64_t passed_bytes, refused_bytes;
};

/* 0; -ENOENT: nothing does; -EBADMSG: something does, but what cannot be read. */
int stand_in_read(const char *instance, struct stand_in *stand_in);
int stand_in_write(const char *instance, const struct stand_in *stand_in); /* 0 or -errno */
int stand_in_remove(const char *instance);				   /* likewise */

/* "without_guard": what is configured, and what is in force. */
void stand_in_put(const struct host *host, struct json_out *reply);

#endif
