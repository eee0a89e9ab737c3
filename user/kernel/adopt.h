/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* adopt.h - shared by the files of a takeover: adopt.c, adopt_links.c, adopt_former.c. */
#ifndef WEIR_ADOPT_H
#define WEIR_ADOPT_H

#include "user/kernel/former.h"

struct adoption {
	struct guard *guard;
	const struct guard_options *options;
	struct bpf_object *object;
	int cgroup_fd;
	struct links fresh;   /* attached now, not pinned yet */
	struct links running; /* pinned; get the new program */
	bool tells_past;      /* else there was nothing to lose */
	char **problem;
};

/* What nobody saw, since no daemon looked; before anything of it is mended. */
void adopt_tell_past(const struct adoption *adoption, const char *what, const char *where,
		     const char *detail);

/* The programs that ran before, to put them back. */
struct before {
	int *fd;
	size_t count;
};

/* ---- adopt_links.c: the running links get this build's programs -------------------------------
 */

/* And says which of them are not the guard's. */
int before_open(struct adoption *adoption, struct before *before);
void before_close(struct before *before);
/* The first `count` links get their old programs back. */
void put_back(const struct adoption *adoption, const struct before *before, size_t count);
/* All of them, or none. -ETIME: it is until_ns (boot) already. An interface's link may wait for
 * whatever else changes interfaces, and the programs that come after it would charge by then. */
int update_running(struct adoption *adoption, const struct before *before, uint64_t until_ns);

/* ---- adopt_former.c: from another build's maps ------------------------------------------------
 */

/* The meters go over while no budget is charged, and the programs change. 0, or -errno with a
 * problem: the running guard stays as it is. */
int adopt_former(struct adoption *adoption, const struct before *before);
/* What the change has left over, also one whose process was killed in its middle: the pins that
 * were replaced, and a ring that nobody will read. */
void adopt_end_stage(struct guard *guard);
/* An uplink that a takeover attached before it was killed is pinned in its stage alone, and takes
 * no second program: it would keep every later takeover from beginning. */
void adopt_free_edges(const struct guard *guard);

#endif
