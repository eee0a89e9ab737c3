/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * attachment.h - once a second: is the guard still where it was put? What is not is told, put back
 * where that can be, and shown in `status`.
 */
#ifndef WEIR_ATTACHMENT_H
#define WEIR_ATTACHMENT_H

#include <stdio.h>

#include "user/base/json_out.h"
#include "user/kernel/guard.h"

enum { ATTACHMENT_FINDINGS = 128 }; /* the oldest that is over makes room */

#define ATTACHMENT_EVERY_NS UINT64_C(1000000000)

struct attachment_finding {
	struct guard_finding finding;
	uint64_t since_ns, until_ns; /* wall; until 0: it goes on */
	uint64_t unseen_since_ns;    /* boot: the last check that did not find it */
	uint64_t times;		     /* how often it was put back */
	bool is_seen;		     /* by the present check */
};

struct attachment {
	struct attachment_finding item[ATTACHMENT_FINDINGS];
	size_t count;
	uint64_t unlisted;   /* findings that found no room */
	uint64_t checked_ns; /* boot; 0: not by this process */
	bool is_whole;	     /* the last check left every hook in its place, and pinned */
	bool judges;	     /* likewise, but for what is pinned */
};

struct host;

/* Checks and repairs. Ends the daemon (host->has_ended) when another process took the guard off. */
void attachment_check(struct host *host);

/* For guard_options: what a takeover finds amiss is told before it is mended, and over when the
 * first check does not find it. `data` is the host. */
void attachment_tell_past(const struct guard_finding *finding, void *data);

/* What is amiss at the start, an uplink that is not there say, for whoever started the daemon. */
void attachment_say(const struct attachment *attachment, FILE *out);

/* "attachment": {...} */
void attachment_put(const struct host *host, struct json_out *reply);

#endif
