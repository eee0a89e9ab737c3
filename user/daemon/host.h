/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * host.h - one guarded host: the guard in the kernel, the policy that gives its numbers names, the
 * orders, and the state directory.
 *
 * The daemon has one as long as it runs. A command that finds no daemon opens one on the pinned
 * state and works through the same functions (user/daemon/request.h), so that an emergency does not
 * wait for a process. The kernel's map of orders is the truth; both sides change it under
 * guard_lock().
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <errno.h>

#include "user/base/now.h"
#include "user/daemon/applied.h"
#include "user/daemon/attachment.h"
#include "user/daemon/journaling.h"
#include "user/daemon/names.h"
#include "user/daemon/namespaces.h"
#include "user/daemon/reading.h"
#include "user/daemon/second_person.h"
#include "user/policy/host_config.h"
#include "user/event/record.h"
#include "user/event/sink.h"
#include "user/kernel/guard.h"
#include "user/order/kind.h"
#include "user/order/orders.h"

/* What an order returns when it is in force, but something of it failed: then `reply` is whole, and
 * `problem` says what. */
#define DONE_IN_PART (-EREMOTEIO)

/* What status tells of one kind of orders that have versions (in_force.h). */
struct in_force_note {
	bool is_read, is_damaged;
	uint64_t inode; /* of the file that was read */
	struct timespec changed;
	uint64_t version, issued_ns;
	char order[65];	   /* its id */
	uint8_t texts[32]; /* of a base: its policy's, as host.texts_digest */
};

struct host {
	const struct host_config *config; /* of the daemon; NULL in a command */
	char *instance;
	char hostname[65];
	int state_dir;	 /* -1: there is none, nothing can be saved */
	int state_error; /* why; -ENOENT: there never was one */
	struct guard *guard;

	struct image image;
	struct names_of_keys names;
	char digest[DIGEST_TEXT]; /* of the policy */
	char *policy_path;	  /* where it came from; NULL: the built-in default */
	uint64_t applied_ns;	  /* wall; 0: the built-in default */
	uint8_t texts_digest[32];
	uint64_t compiled_ns; /* boot */
	struct kept_reading kept_reading;
	bool is_foreign;    /* the kernel's policy is none of those on disk: names do not count */
	char *watched_path; /* `run --policy FILE`; NULL: policy_path */

	struct in_force_note in_force[ORDER_KINDS];
	struct orders orders;
	uint64_t orders_active;	  /* control.active when they were read or written last */
	bool has_unsaved_orders;  /* a cut holds that is not on disk */
	bool has_unkept_orders;	  /* orders hold whose texts are not in the kernel */
	bool has_unended_sockets; /* a cut holds, and sockets of it may be open still */
	/* The signed order that was not done, for a disk that failed, and may be known only until
	 * the orders are saved: signed_override.c. "": there is none. */
	char undone_order[65];
	uint64_t loosened_saved_ns,
		loosened_ns; /* boot: the last loosening, on disk and in force */

	struct journaling journaling;
	const struct caller *asker;  /* whose request is being answered; NULL: nobody's */
	struct json_object *request; /* that request */
	struct second_person second_person;

	struct sink sink;
	uint64_t held_severed; /* scans that ended held connections */

	/* user/daemon/metering.h; in a command NULL until a request needs it. */
	struct metering *metering;

	/* user/daemon/planning.h; the daemon only. NULL: no plan is under way. */
	struct plan_run *plan;
	/* user/daemon/refusing.h; in a command NULL until a request needs it. */
	struct refusing *refusing;

	/* The daemon only. */
	bool is_daemon;
	bool has_ended;	     /* unloaded: the loop ends */
	bool is_filtered;    /* user/daemon/filter.h */
	bool has_taken_over; /* another build's programs, when it started */
	struct clock_doubt {
		bool is_unreadable, were_closed;
		int64_t behind_ns; /* the time that was known last */
	} clock_doubt;		   /* what the guard was loaded with, by this process; clock.h */
	struct attachment attachment;
	struct namespaces_seen namespaces;
	uint64_t trial_until_ns;  /* boot; 0: no policy is on trial, or in force for a while */
	uint64_t return_again_ns; /* boot; when a way back from it that failed is tried again */
	/* user/daemon/interim.h; the wall time is 0 when there is none. */
	uint64_t interim_until_ns, interim_span_ns;
	char *interim_reason;
	bool is_interim_end_told;
	bool has_stale_stand_in; /* policy, orders or clock changed: without_guard.h */
};

/* ---- life ----------------------------------------------------------------------------------- */

/* Sets up what needs no guard. Missing directories are made when `may_make`; without a state
 * directory it goes on, and nothing can be saved. -ENOMEM, or -errno of the directories. */
int host_init(struct host *host, const char *instance, bool may_make, char **problem);

/* Opens the pinned guard, and finds among the policies on disk the one it has. -ENOENT: none is
 * pinned. */
int host_open_pinned(struct host *host, char **problem);
void host_close(struct host *host);

/* ---- policy --------------------------------------------------------------------------------- */

/* Takes the image over (it is emptied); `applied` NULL: the built-in default. -ENOMEM. */
int host_take_image(struct host *host, struct image *image, const struct applied *applied);

/* ---- orders --------------------------------------------------------------------------------- */

/* Reads the orders from the kernel if somebody changed them since. 0 or -errno. */
int host_refresh_orders(struct host *host);

/*
 * Against an image. An order whose name is not there becomes WEIR_TARGET_NOTHING and is counted in
 * *lost. NULL: then it is an error, -ENOENT with `problem`, where the policy in force has the name,
 * or is foreign and may have it. What covers nothing now (of a signed order, which may name what
 * this host never had, or one that outlives.h speaks of) loses nothing.
 * Free `table` with order_table_free(), also after failure.
 */
int host_compile_orders(const struct host *host, const struct image *image,
			const struct orders *orders, struct order_table *table, size_t *lost,
			char **problem);

/* What extensions, pauses and probations change for a grant's account; as image_overrides().
 * -ENOMEM. */
int host_overrides(const struct host *host, uint32_t service, uint32_t partner, uint32_t grant,
		   struct weir_answer *answer);

/* target_resolve() against the policy in force; -ENOENT also tells when its names are not known. */
int host_resolve(const struct host *host, const char *target, struct weir_cut_entry *entry,
		 char **problem);

char *host_path(const struct host *host, const char *name); /* in the state directory */

/* ---- time ----------------------------------------------------------------------------------- */

/* Which boot it is: boot times of another one mean nothing. 0 or -errno. */
#define BOOT_ID_TEXT 37
int boot_id(char id[BOOT_ID_TEXT]);
bool is_this_boot(const char *id);
/* The guard's wall clock: boot time plus the confirmed offset, whatever the system's says. */
uint64_t host_wall(const struct host *host);

/* ---- telling -------------------------------------------------------------------------------- */

struct record_origin host_origin(const struct host *host);
/* A line about the guard itself, into the file of events. */
void host_tell(struct host *host, const char *kind, enum record_severity severity,
	       const struct record_field *field, size_t count, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* *problem = one line; returns `error`, so that it can end a function. */
int tell_problem(char **problem, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
