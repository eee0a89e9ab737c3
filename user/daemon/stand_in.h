/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * stand_in.h - RUN_DIR/INSTANCE.without-guard: what stands in for the guard, as long as something
 * does. It is gone with a reboot, as the ruleset is.
 */
#ifndef WEIR_STAND_IN_H
#define WEIR_STAND_IN_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

enum stand_in_mode {
	STAND_IN_NOTHING, /* no policy was ever applied, or nft failed: then `why` tells */
	STAND_IN_OPEN,
	STAND_IN_CLOSED,
	STAND_IN_FALLBACK,
};

struct stand_in {
	enum stand_in_mode mode;
	char why[192];
	char digest[DIGEST_TEXT]; /* of the ruleset */
	char listed[DIGEST_TEXT]; /* of what nft says of it once it is loaded */
	uint64_t since_ns;	  /* wall */
	int64_t offset_ns;	  /* wall - boot, when it was put in force first */
	/* Of the rulesets before the present one; that one's counters are in the kernel. */
	uint64_t passed_bytes, refused_bytes;
};

const char *stand_in_name(enum stand_in_mode mode);
/* Whether there is a table of nftables for it. */
bool stand_in_has_rules(const struct stand_in *stand_in);

/* Whoever changes it holds this, so that no two do: a descriptor to close, or -errno. */
int stand_in_lock(const char *instance);

/* 0; -ENOENT: nothing does; -EBADMSG: something does, but what cannot be read. */
int stand_in_read(const char *instance, struct stand_in *stand_in);
int stand_in_write(const char *instance, const struct stand_in *stand_in); /* 0 or -errno */
int stand_in_remove(const char *instance);				   /* likewise */

/* "without_guard": what is configured, and what is in force. */
void stand_in_put(const struct host *host, struct json_out *reply);

#endif
