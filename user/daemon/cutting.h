/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cutting.h - carries out the two orders: cut, and reopen.
 *
 * A cut: kernel, sockets, disk, answer; what loosens: disk, kernel, answer. So neither a full disk
 * nor a crash in between leaves the host more open than the answer said. The journal's line
 * (journaling.h) comes after the orders of a cut, and before those of what loosens.
 */
#ifndef WEIR_CUTTING_H
#define WEIR_CUTTING_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

/* The signed order that a request came from. */
struct order_origin {
	const uint8_t *body;			   /* 32 bytes: its digest */
	const char *id;				   /* the same as text */
	uint64_t until_ns;			   /* wall; 0: it has no end */
	const struct journal_signature *signature; /* those that count */
	size_t signature_count;
	const char *const *let_back; /* by reopenings that came before it */
	size_t let_back_count;
};

/* Whether one of its reopenings let back all of this target of the cut. NULL: a local one, which no
 * reopening came before. */
bool order_lets_back(const struct order_origin *origin, const char *target);

struct order_request {
	const char *const *target;
	size_t target_count;
	const char *reason;
	const char *by;
	uint64_t for_ns;   /* cut: 0: until somebody reopens */
	const char *order; /* reopen: "c3", or a latch's id; NULL: each that covers the target */
	bool is_dry_run;   /* cut */
	uint64_t asked_ns; /* cut: order_find_done(); 0: not told */
	bool is_again;	   /* cut: of a plan's stage, for which room was left */
	bool is_approved;  /* reopen: by a plan's own approvals; no second person is asked */
	/* cut: NULL: a local one. A signed one may name what this host does not have. */
	const struct order_origin *origin;
};

/*
 * Both write the fields of the answer into an open object of `reply`. 0; or -errno with `problem`:
 * nothing was done, except for DONE_IN_PART from host_cut(): the cut holds but could not be saved
 * or its sockets not be ended, and `reply` tells the rest.
 */
int host_cut(struct host *host, const struct order_request *request, struct json_out *reply,
	     char **problem);
int host_reopen(struct host *host, const struct order_request *request, struct json_out *reply,
		char **problem);

/*
 * Does anew what failed of a cut: its text, disk, journal and, unless it is over, sockets. A
 * command, which does not know what another process has done, does all of it. 0; DONE_IN_PART with
 * `problem`: some of it fails still. The caller holds guard_lock() and has read the orders anew.
 */
int cuts_finish(struct host *host, bool is_over, char **problem);

/* Ends the cuts and overrides whose time is over. Returns when the next one ends (the
 * guard's wall clock), 0 when none does. */
uint64_t host_end_orders(struct host *host);

/* When an order was accepted, was in force in the kernel, had ended the sockets (a cut), and was on
 * the disk with its line: boot times. As "boot_ns" of an answer. */
struct order_times {
	uint64_t accepted_ns, in_force_ns, ended_ns, saved_ns;
};
void order_put_times(struct json_out *reply, const struct order_times *times);

/* What ending the sockets of a cut came to, or would. */
void cut_put_result(struct json_out *reply, const struct sever_result *result);

/* "c12"; 24 bytes are enough. */
void order_format(uint64_t id, char *text, size_t size);
/* Id of a latch: "g" and the account in hexadecimal. */
void latch_format(uint64_t account, char *text, size_t size);

#endif
