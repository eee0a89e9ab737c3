/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * expect.h - files of questions with the answers that a policy must give: policies/NAME.expect.
 *
 *	now MOMENT
 *	SERVICE DIRECTION ENDPOINT PEER [at MOMENT] [cut TARGETS [but TARGETS]]...
 *		-> VERDICT REASON [GRANT] [shadow GRANT] [observed]
 *
 * One line each; `#` starts a comment. `now` comes first: the policy is compiled for it, and a
 * question without `at` is asked then. MOMENT is 2027-03-01T20:00Z or with +01:00. DIRECTION is
 * serves, calls, or calls-back (we call, and the peer holds a connection that we accepted).
 * ENDPOINT is tcp/22, icmp, proto/47. Each of `cut TARGETS` (separated by commas) is an order with
 * the exceptions that follow its `but`. GRANT, where it is given, is the grant that matched, also
 * below a cut; `shadow` a grant in observe that would have. `observed`: the answer is recorded and
 * not enforced; without the word it must be enforced.
 */
#ifndef WEIR_EXPECT_H
#define WEIR_EXPECT_H

#include "user/policy/image.h"

struct expect {
	unsigned line;		       /* 1-based */
	char *text;		       /* as it is written, without the comment */
	struct weir_question question; /* now_ns is the wall time: an offset of 0 */
	struct weir_cut_entry *cuts;   /* orders count from 1 */
	size_t cut_count;
	uint8_t verdict;
	uint8_t reason;
	bool is_observed;
	uint32_t grant;	 /* WEIR_ANY: not said */
	uint32_t shadow; /* WEIR_NO_GRANT: none */
};

struct expects {
	struct expect *item;
	size_t count;
};

/* The moment of the `now` line. -EINVAL with one line in `problem` (malloc'd). */
int expect_now(const char *text, uint64_t *wall_ns, char **problem);

/* All questions of a file, resolved against `image`. 0, -ENOMEM, or -EINVAL with "LINE: what is
 * wrong" in `problem` (malloc'd). Free with expects_free(). */
int expects_read(const struct image *image, const char *text, struct expects *expects,
		 char **problem);
void expects_free(struct expects *expects);

/* Whether `answer` is what the line expects; when not, one line in `problem` (malloc'd). */
bool expect_holds(const struct image *image, const struct expect *expect,
		  const struct weir_answer *answer, char **problem);

#endif
