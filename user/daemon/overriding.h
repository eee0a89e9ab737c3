/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * overriding.h - carries out what loosens for a while: an extension of one grant's budget, a pause
 * of one service or of all, a prefix that is added to a partner. They end by themselves, in the
 * kernel; an operator may end them earlier.
 *
 * As all that loosens: the journal, the disk, the kernel, the answer. A probation is a plan's
 * (planning.h): it tightens, and is only told here, and ended where its plan was lost.
 */
#ifndef WEIR_OVERRIDING_H
#define WEIR_OVERRIDING_H

#include "user/base/json_out.h"
#include "user/daemon/cutting.h"

/* A guard that is off for longer is no guard: then its policy wants to be another one. */
#define PAUSE_LONGEST_NS (24 * 60 * NS_PER_MINUTE)

struct override_request {
	enum weir_order_kind kind;
	const char *target; /* of a pause "all", or service:NAME */
	const char *grant;  /* of an extension */
	uint64_t more_bytes;
	const char *prefix; /* of an addition */
	uint64_t for_ns;
	uint64_t asked_ns; /* order_find_done(); 0: not told */
	const char *reason;
	const char *by;
	/* NULL: a local one. A signed one may name what this host does not have. */
	const struct order_origin *origin;
};

/*
 * Checks it against the policy in force, and adds it to a copy of the orders. *matched: 0, a signed
 * one names what is not here. 0, or -errno with `problem`. The caller holds guard_lock().
 */
int override_add(struct host *host, const struct override_request *request, struct orders *orders,
		 uint64_t *id, bool *matched, char **problem);

/* Whether the policy has what the override names. */
bool override_has_names(const struct image *image, const struct weir_order *order);

/* Whether the override changes nothing under a policy; *why: malloc'd, of an addition, or NULL. The
 * orders must have been refreshed. */
bool override_is_void(const struct host *host, const struct image *image,
		      const struct weir_order *order, char **why);

/* Of one that is in force since: the answer, and an event. */
void override_told(struct host *host, uint64_t id, struct json_out *reply);

/* An override among the orders in force, as status and show have it, into an open object. */
void override_put(const struct host *host, const struct weir_order *order, struct json_out *reply);

/* Local ones. Both as host_reopen(). */
int host_override(struct host *host, const struct override_request *request, struct json_out *reply,
		  char **problem);
/* Ends one early; `id` as override_format() writes it. That tightens, and so also ends one that was
 * signed; but the end of a probation loosens. -EBUSY: it is of the plan that is under way. */
int host_end_override(struct host *host, const char *id, const char *reason, const char *by,
		      struct json_out *reply, char **problem);

/* "extend", "pause", "probation", "partner-add" */
const char *override_kind_name(enum weir_order_kind kind);
void override_format(uint64_t id, char *text, size_t size); /* "o12"; 24 bytes are enough */

#endif
