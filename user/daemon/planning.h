/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning.h - carries out a plan (user/policy/plan.h): one at a time, stage by stage, and only
 * when somebody says `weir plan next`.
 *
 * A stage begins with a probation of each of its targets, then reopens them. What a signed order
 * cut waits for a signed reopening, and the stage with it. Then the stage is watched: a refusal of
 * what its grants let pass, or a latch within it, is a breach, and cuts the stage again. When its
 * time is over without one the probations end, and the plan waits for the next `weir plan next`.
 * What is cut by somebody else meanwhile, or is gone from the policy, does not pass.
 *
 * Each step is an order of its own, in the journal. The plan is on the disk before a stage begins;
 * one that a crash left between closed and open is cut again.
 *
 * An approval counts for as long as a request waits for its second person (four eyes), by boot
 * time: one of another boot, or from before the clock was confirmed anew, has no age, and does not
 * count.
 *
 * The watch is counted in boot time. One that another boot began says nothing of how long it was:
 * it begins anew.
 *
 * Breaches are told from the kernel's counters (planning_watch.c): none gets lost with an event.
 * They are counted anew from where another build took the programs over, which refuses what is
 * under way, and from where another policy came, under which the targets mean other accounts.
 */
#ifndef WEIR_PLANNING_H
#define WEIR_PLANNING_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"
#include "user/policy/plan.h"

#define PLAN_FILE	 "plan.json"
#define PLAN_APPROVAL_NS SECOND_PERSON_NS

enum { PLAN_FILE_NAME = 4096 }; /* bytes of the path that a plan was started from, with its end */

enum plan_phase {
	PLAN_WAITS, /* for `weir plan next` */
	PLAN_OPENS, /* a stage is between closed and open */
	PLAN_HELD,  /* it is open, but for what other cuts hold */
	PLAN_WATCHED,
};

struct plan_approval {
	uint32_t login; /* uid; UINT32_MAX: no login started it */
	char by[64];
	uint64_t at_ns;	  /* wall */
	uint64_t boot_ns; /* the same moment, by the boot time of then */
	bool is_over;	  /* it counts no more, and that was told */
};

/* Of the accounts in a stage. */
struct plan_sum {
	uint64_t refused, would_refuse; /* packets of grants */
	uint64_t severed;		/* latches of any account */
	uint64_t alerted;		/* accounts over a budget whose breach only alerts */
};

struct plan_run {
	struct plan plan;
	char *text, *file; /* as it was started */
	char by[64];
	uint64_t started_ns; /* wall, as what has no other clock below */
	size_t stage;	     /* the one that is next, or under way */
	enum plan_phase phase;
	uint64_t since_ns; /* of the phase */
	/* PLAN_WATCHED: boot time at which that is over, in this boot. A clock that is set neither
	 * shortens it nor draws it out. */
	uint64_t until_ns;
	char boot[BOOT_ID_TEXT];
	struct plan_approval approval[PLAN_MAX_APPROVALS];
	size_t approvals;
	char evidence[192];
	char why[192];		  /* the stage waits for its second try; "": for its first */
	struct plan_sum base;	  /* when the stage began, or another policy came */
	char digest[DIGEST_TEXT]; /* of the policy that `base` was read under */

	uint64_t look_at_ns; /* boot; not before, whatever happens */
	uint32_t charges;    /* of the last look: guard_charges() */
	bool has_looked;
	bool is_unsaved; /* the disk has it as it was before */
	bool is_stuck;	 /* a step failed, and was told; it is tried again */
};

struct plan_request {
	const struct sources *sources; /* start */
	const char *evidence;	       /* next; NULL: none is given */
	const char *reason;	       /* abort */
	const char *by;
	bool is_dry_run; /* start */
};

/*
 * All answer into an open object of `reply`, as plan_put() has it. 0; -errno with `problem`, of a
 * plan with faults also `details`; DONE_IN_PART. The daemon alone has plans.
 */
int host_plan_start(struct host *host, const struct plan_request *request, struct json_out *reply,
		    char **problem, char **details);
int host_plan_next(struct host *host, const struct plan_request *request, struct json_out *reply,
		   char **problem);
/* What the plan let back for good stays; a stage under way is cut again. */
int host_plan_abort(struct host *host, const struct plan_request *request, struct json_out *reply,
		    char **problem);

/* What is due of the plan; returns the boot time of the next look, 0 without one. */
uint64_t host_plan_tick(struct host *host);

/* Before another policy comes into force: what was refused so far is a breach. And right after,
 * since breaches are counted anew from there. Not under guard_lock(). */
void host_plan_look(struct host *host);

/* Reads the plan that was under way when the daemon ended, when there is one. Tells what is wrong,
 * and lets nothing back. */
void host_plan_load(struct host *host);
/* As plan_put(), for status: a command without a daemon takes it from the disk. */
void host_plan_put(const struct host *host, struct json_out *reply);
/* Whether there is one, also for a command without a daemon. */
bool host_has_plan(const struct host *host);
void plan_run_free(struct plan_run *run);
/* How many orders it takes to cut a stage under way again. */
size_t plan_spare(const struct host *host);
/* Whether somebody may bring `image` into force: not without what a stage under way would have to
 * be cut by. 0; -ENOENT with `problem`. */
int plan_allows(const struct host *host, const struct image *image, char **problem);

/* ---- shared by the files of it --------------------------------------------------------------- */

static inline const struct plan_stage *plan_stage(const struct plan_run *run)
{
	return &run->plan.stage[run->stage];
}

/* How many approvals a stage takes: under four eyes no less than two. */
static inline uint32_t plan_approvals(const struct host *host, const struct plan_stage *stage)
{
	return host->image.four_eyes && stage->approvals < 2 ? 2 : stage->approvals;
}

/* planning_stage.c. The line of a step, which points into the plan; its event; its state on the
 * disk (plan_save(); what that had is the same or an earlier step, and host_plan_tick() tries
 * again). */
struct journal_order plan_line(const struct host *host, const char *kind, const char *reason);
void plan_tell(struct host *host, const char *kind, enum record_severity severity,
	       const char *text);
int plan_keep(struct host *host);
void plan_set_phase(struct host *host, enum plan_phase phase);
/* `step` under guard_lock(). */
int plan_locked(struct host *host, int (*step)(struct host *host, char **problem), char **problem);
/* Those of the stage. The line is the step's own, before it. */
int plan_end_probations(struct host *host, char **problem);
/* Begins the stage. 0; DONE_IN_PART; -errno with `problem`: nothing of it was let back. */
int plan_open_stage(struct host *host, const char *by, struct json_out *reply, char **problem);
/* Cuts the stage again; then it waits. 0; DONE_IN_PART of the cut; -errno: it is not cut, and what
 * it was goes on. */
int plan_close_stage(struct host *host, const char *kind, const char *why, const char *by,
		     char **problem);
/* Held while a cut by another order holds some of it, else watched from here on. */
void plan_watch_stage(struct host *host);
/* Until when it is watched, by the guard's wall clock as it is now; 0: it is not, or another boot
 * began that. */
uint64_t plan_watched_until(const struct host *host, const struct plan_run *run);
/* What breaches are counted from: `sum`, or what the meters have. -errno with `problem`. */
void plan_take_base(struct host *host, const struct plan_sum *sum);
int plan_read_base(struct host *host, char **problem);

/* planning_approve.c. One more approval, by who asks. 0; -EPERM with `problem`. */
int plan_take_approval(struct host *host, const char *by, char **problem);
/* Those that do not count: what was cut since they have not seen, or they are over. 0; -EPERM with
 * `problem`: with those that are over the next one would have begun the stage; -errno. */
int plan_drop_approvals(struct host *host, char **problem);
/* The boot time at which it counts no more; 0: it does not count. */
uint64_t plan_approval_until(const struct host *host, const struct plan_approval *approval);
/* Tells of those that are over. Returns the boot time at which the next one is, 0 without one. */
uint64_t plan_tick_approvals(struct host *host);

/* planning.c. Frees the plan, on the disk too. */
void plan_forget(struct host *host);
/* Another policy may have come since the plan was started. -ENOENT with `problem`. */
int plan_check_targets(const struct host *host, char **problem);

/* "plan": null, or an object with its stages. */
void plan_put(const struct host *host, const struct plan_run *run, struct json_out *reply);

/* planning_state.c: 0 or -errno. Without a plan in `host` the file goes. */
int plan_save(struct host *host);
/* -ENOENT: there is none; -EBADMSG; -errno. */
int plan_load(const struct host *host, struct plan_run **ret);

/* planning_watch.c */
struct plan_look {
	struct plan_sum sum;
	char *account; /* the one that was refused last, in words; malloc'd, NULL: none ever was */
};
/* 0 or -errno. Names of the stage that the policy has no more count nothing. */
int plan_look(struct host *host, const struct plan_run *run, struct plan_look *look);
/* Whether a cut holds all of a target of the stage; its id in `cut`, the target in *target. */
bool plan_is_held(const struct host *host, const struct plan_run *run, uint64_t *cut,
		  const char **target);
/* 0; -EAGAIN with `problem`: an account of the stage has used more than its share already. */
int plan_has_room(struct host *host, const struct plan_run *run, char **problem);

#endif
