/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * applying.h - a new policy comes into force, on trial or for good.
 */
#ifndef WEIR_APPLYING_H
#define WEIR_APPLYING_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/* Who asks, as far as it is known: the connection that must not be cut off unasked. */
struct own_connection {
	bool is_known;
	uint8_t peer[16];
	uint16_t port; /* ours */
	const char
		*cgroup; /* of the listener, from the root of the hierarchy: "/system.slice/..." */
};

struct order_origin;

struct apply_request {
	struct applied applied; /* the policy; taken over */
	struct own_connection own;
	const char *by;
	uint64_t confirm_ns; /* 0: for good; else it goes back unless confirmed within this time */
	uint64_t for_ns;     /* 0: the same; else it is in force for so long (interim.h) */
	const char *reason;  /* of that */
	bool is_dry_run;
	bool is_agreed;	  /* --yes */
	bool is_rollback; /* to one that was applied before */
	/* The signed order that it came from; NULL: a local one. */
	const struct order_origin *origin;
};

/*
 * Reads, checks, compiles; refuses a policy that lacks the object of an active cut, and without
 * agreement one that would refuse the caller's own connection. On disk under another name first,
 * then in the kernel, then renamed. 0; or -errno with `problem` (and `details`: several lines about
 * the faults, or NULL), and the policy in force stays. Writes into an open object of `reply`.
 */
int host_apply(struct host *host, struct apply_request *request, struct json_out *reply,
	       char **problem, char **details);

/* The policy on trial, or in force for a while, becomes the applied one. -ENOENT: none is; -ETIME:
 * it came too late. */
int host_confirm(struct host *host, const char *by, struct json_out *reply, char **problem);
/* Back from such a one to the applied policy, or else from that to the one before it; with `digest`
 * (of which it is the beginning) to that one, whenever it was applied. */
int host_rollback(struct host *host, const char *by, const char *digest, struct json_out *reply,
		  char **problem);

/* The same policy once more, with hours from now on for two years. */
int host_renew(struct host *host, char **problem);

/* ---- shared by the files of it --------------------------------------------------------------- */

/* -EPERM with `problem`: it would refuse the caller's own connection, and that was not agreed to.
 */
int applying_check_own(const struct host *host, const struct image *image,
		       const struct order_table *cuts, const struct apply_request *request,
		       char **problem);

#endif
