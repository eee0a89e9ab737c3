/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference.h - what another policy would change, in words.
 *
 * Each line has a direction. LOOSER: more may leave than before, or a meter starts afresh; TIGHTER:
 * less; CHANGED: which of both cannot be told from the texts. A line that cannot be sure says
 * CHANGED, so that "tighter" can be relied upon.
 */
#ifndef WEIR_DIFFERENCE_H
#define WEIR_DIFFERENCE_H

#include "user/policy/policy.h"

enum direction_of_change { CHANGE_LOOSER, CHANGE_TIGHTER, CHANGE_CHANGED, CHANGES };

/* Lines of one kind (services, partners, ...) beyond this number are only counted. */
enum { DIFFERENCE_LINES = 40 };

struct difference_line {
	enum direction_of_change direction;
	char *text; /* one line, no full stop */
};

struct difference {
	struct difference_line *line; /* looser ones first, then tighter, then changed */
	size_t count;
	size_t of[CHANGES]; /* all, also those without a line */
	/* So many change what a name stands for: then also what an order by that name covers, and
	 * what is tighter may let out of a cut. */
	size_t moved;
	size_t unlisted;
};

/*
 * From `before` to `after`, both checked. 0 or -ENOMEM; free with difference_free() in either case.
 * Nothing in it: both say the same.
 */
int difference_make(const struct policy *before, const struct policy *after,
		    struct difference *difference);
void difference_free(struct difference *difference);

const char *change_name(enum direction_of_change direction); /* looser, tighter, changed */

#endif
