/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * store.h - every policy that was ever applied, by the digest of its texts:
 * STATE/policies/DIGEST.json. What is in force does not depend on it: that is applied.json.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

#define STORE_DIRECTORY "policies"
enum { STORE_LEAST_DIGITS = 4 };

/* Keeps it; the newest application of the same texts stands. 0 or -errno. */
int store_keep(const struct host *host, const struct applied *applied);

/* The one whose digest begins so. -ENOENT, -EEXIST (several), -EINVAL (no digest, or too short to
 * be one), -EBADMSG (damaged), with `problem`. */
int store_load(const struct host *host, const char *prefix, struct applied *applied,
	       char **problem);

/* What the requests of `weir policy` answer; each writes into an open object. 0 or -errno with
 * `problem`. */
int store_list(const struct host *host, struct json_out *reply, char **problem);
int store_show(const struct host *host, const char *prefix, struct json_out *reply, char **problem);

/* One side of a comparison: the texts, or else a kept policy, or else the policy in force; with
 * `is_previous`, the one before that. */
struct policy_choice {
	struct sources sources; /* count 0: not given */
	const char *digest;	/* NULL: not given */
	bool is_previous;
};

/*
 * Whether another policy in the place of the one in force may let more leave: by what the texts
 * say, and also when they cannot be read. `after` NULL: it is the default, which blocks nothing.
 */
bool store_loosens(const struct host *host, const struct policy_choice *after);
/* The same while a policy is on trial, or in force for a while: in the place of the one that it
 * would go back to. *is_under_four_eyes: that one has `four_eyes: true`, or cannot be read. */
bool store_trial_loosens(const struct host *host, const struct policy_choice *after,
			 bool *is_under_four_eyes);

/* `details`: the faults of a side that was given as texts, one a line. What `after` was read from
 * texts to is kept for an apply (reading.h). */
int store_compare(struct host *host, const struct policy_choice *before,
		  const struct policy_choice *after, struct json_out *reply, char **problem,
		  char **details);

#endif
