/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * applying.h - a new policy comes into force, on trial or for good. What becomes of one on trial:
 * returning.h.
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

/* ---- shared by the files of it --------------------------------------------------------------- */

#define APPLIED_FILE  "applied.json"
#define PREVIOUS_FILE "previous.json"

/* Name, digest, mode and sizes, into an open object. */
void applying_put_summary(struct json_out *reply, const struct image *image);

bool applying_has_file(const struct host *host, const char *file); /* in the state directory */
/* No policy is on trial, or in force for a while, nor comes back after a loss of power. 0 or
 * -errno: of the file; it is not so any more in any case. */
int applying_forget_trial(struct host *host);
/* `file` becomes the applied policy on disk, and that the previous one. 0 or -errno. */
int applying_promote(struct host *host, const char *file);

/* The kernel gets the policy and the cuts compiled for it, and `host` takes the image over;
 * `applied` NULL: the built-in default. 0, or -errno with `problem`: nothing changed. */
int applying_switch(struct host *host, struct image *image, const struct applied *applied,
		    const struct order_table *cuts, char **problem);
/* All of it: whose word it takes, the disk, the journal, the kernel, the event. The caller holds
 * guard_lock(). 0; -errno with `problem`: the policy in force stays; DONE_IN_PART: not saved. */
int applying_put_into_force(struct host *host, struct apply_request *request, struct image *image,
			    const struct order_table *cuts, char **problem);
/* The event: the policy in force came by an order of that kind. */
void applying_tell(struct host *host, const char *kind, const char *by);

/* -EPERM with `problem`: it would refuse the caller's own connection, and that was not agreed to.
 */
int applying_check_own(const struct host *host, const struct image *image,
		       const struct order_table *cuts, const struct apply_request *request,
		       char **problem);

#endif
