/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journaling.h - every order goes into the journal (user/ledger/journal.h) before it is
 * acknowledged: what was asked, by whom, and what became of it.
 *
 * What loosens is in the journal before it is done, and is not done when it cannot be. A cut is in
 * the kernel first; a line that the disk did not take waits, and is written before any other.
 * What is in force and has no line, because its process ended too early or the journal was set
 * aside, gets one when the daemon starts: "found".
 *
 * A journal that does not fit (damaged, changed, gone) is set aside, told as an event, and holds up
 * no order: the first line of the new one names the size and the digest of what was set aside.
 */
#ifndef WEIR_JOURNALING_H
#define WEIR_JOURNALING_H

#include "user/base/json_out.h"
#include "user/ledger/journal.h"

struct host;

struct journaling {
	struct journal journal;
	struct waiting *waiting; /* lines that are not on the disk, the oldest first */
	size_t waiting_count;
	uint64_t dropped; /* for which there was no room to wait */

	uint64_t line; /* of the order under way: it was accepted; 0: it was not, so far */
	/* By who asked: an agent can be made to hand in anything, and takes no room from people. */
	struct {
		uint64_t since_ns;
		unsigned int count; /* since then */
	} refusals[2];
	uint64_t refusals_unwritten;

	uint64_t ending_order; /* whose end is in the journal, and not done yet */
	bool wants_found;      /* what is in force may have no line */
	bool has_new_latch;
	struct told_latch *latch; /* in order of account: those that have a line */
	size_t latch_count;
};

/* What a reopening, or the end of its time, does to one cut or latch. */
struct journal_cut {
	char id[24];
	char target[128];
	const char *how;    /* whole, exception, latch */
	char exception[24]; /* id of the exception; "" for none */
};

struct journal_signature {
	const char *principal;
	const char *key; /* its fingerprint */
};

/* One order. What is NULL or 0 is not in the line. */
struct journal_order {
	const char *kind; /* cut, reopen, apply, ... */
	const char *id;	  /* of a cut, a latch or an override */
	const char *const *target;
	size_t target_count;
	const char *reason;
	const char *by;		     /* NULL: who asks right now, or the guard itself */
	uint64_t since_ns, until_ns; /* the guard's wall clock */
	const char *grant;	     /* of an extension */
	uint64_t more_bytes;	     /* likewise */
	uint64_t parts;		     /* of a probation: of WEIR_WHOLE */
	const char *plan, *stage;    /* of a step of a plan */
	const char *evidence;	     /* likewise: the reference that was given */
	uint64_t drawn_bytes;	     /* of one person's: out of the grant's reserve */
	const char *prefix;	     /* of an addition to a partner */
	const char *order;	     /* reopen: inside which one, as it was asked */
	const struct journal_cut *cut;
	size_t cut_count;
	const char *policy_name, *policy_digest;
	bool has_ended; /* connections were ended: so many */
	uint64_t ended;
	const char *in_part;	 /* what of it failed */
	bool is_found;		 /* in force without a line, until now */
	uint64_t waits_until_ns; /* it was asked for, and waits for a second person: wall */
	const char *body_sha256; /* NULL: a local order */
	const struct journal_signature *signature;
	size_t signature_count;
};

int journaling_open(struct host *host); /* -ENOMEM */
void journaling_close(struct host *host);

/* Reads the journal that is there, when the daemon starts. Nothing keeps it from starting. */
void journaling_begin(struct host *host);
/* What is in force gets a line if it has none. The caller holds guard_lock(), or is alone. */
void journaling_found(struct host *host);

/* Of what loosens: 0 when the line is on the disk; -errno with `problem`, and it must not be done.
 */
int journaling_before(struct host *host, const struct journal_order *order, char **problem);
/* Of what is done already: -errno when the lines are not on the disk. They wait then. */
int journaling_after(struct host *host, const struct journal_order *order, size_t count);
/* It was refused; or, when its line was written before, it failed. Of refusals at most
 * JOURNALING_REFUSALS an hour are written of what agents handed in, and as many of all else; the
 * others are counted, which is told once an hour: false. */
bool journaling_refused(struct host *host, const struct journal_order *order, const char *why);
enum { JOURNALING_REFUSALS = 120 };
/* The same, told by the request (user/daemon/request.h); not for a dry run. */
struct json_object;
void journaling_refused_request(struct host *host, const char *kind, struct json_object *request,
				const char *why);

/* Once in a while: what waits is written; latches that are new get their line. */
void journaling_catch_up(struct host *host);
void journaling_latches(struct host *host);

/* ---- for people ------------------------------------------------------------------------------ */

/* The answers to `weir order list` and `weir order show`, into an open object; also on a host
 * without a guard (host->guard NULL). 0; -errno with `problem`; DONE_IN_PART: the chain does not
 * hold, and what stands before that is told. */
int journaling_list(struct host *host, struct json_out *reply, char **problem);
int journaling_show(struct host *host, const char *id, struct json_out *reply, char **problem);

/* ---- shared by the files of it --------------------------------------------------------------- */

/* The line's record; malloc'd, NULL without memory. `why` NULL: it is accepted; `failed`: number of
 * the line that said so, and was wrong. */
char *journaling_record(const struct host *host, const struct journal_order *order, const char *why,
			uint64_t failed);
/* Of what is done already; written by the next journaling_catch_up(). */
void journaling_push(struct host *host, const struct journal_order *order);

#endif
