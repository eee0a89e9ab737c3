/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * plan.h - a plan: the way back from a cut, stage by stage. See weir-plan(5).
 *
 *	weir-plan: 1
 *	name: back-after-4711
 *	reason: incident 4711
 *	stages:
 *	- name: clinics
 *	  targets: ["partner:klinik-nord", "class:hospital@service:sftp"]
 *	  approvals: 2			by as many people; left out: 1
 *	  evidence: required		a reference is given when it begins; left out: none
 *	  budget: 10%			of each grant's budget, while it is watched; left out: all
 *	  watch: 2h			left out: it is not watched
 *	  on_breach: cut		or tell; left out: cut
 *
 * Read with the policy's reader, and its faults.
 */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include "user/policy/image.h"
#include "user/policy/policy.h"

enum {
	PLAN_MAX_BYTES = 1 << 20,
	PLAN_MAX_STAGES = 64,
	PLAN_MAX_TARGETS = 256, /* of a stage; with the room that overrides have */
	PLAN_MAX_APPROVALS = 8,
	PLAN_REASON = 64, /* bytes: it stands in the reason of each order, with more */
};

enum plan_breach { PLAN_CUT, PLAN_TELL };

struct plan_stage {
	struct name name;
	struct names targets;
	uint32_t approvals;
	bool needs_evidence;
	uint32_t parts; /* of WEIR_WHOLE, that it leaves of each budget while it is watched */
	uint64_t watch_ns;
	enum plan_breach on_breach;
};

struct plan {
	struct name name, reason;
	struct plan_stage *stage;
	size_t count;
};

/* 0; -EBADMSG with `faults`; -ENOMEM. Free `plan` in each case; start from all zero. */
int plan_read(const struct sources *sources, struct plan *plan, struct faults *faults);
void plan_free(struct plan *plan);

/* Whether `image` has what the targets name; what it lacks goes to `faults`: -EBADMSG. */
int plan_check(const struct plan *plan, const struct image *image, struct faults *faults);

const char *plan_breach_name(enum plan_breach breach); /* cut, tell */

#endif
