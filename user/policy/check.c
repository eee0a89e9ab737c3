/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* check.c - policy_check(): what one key cannot show. */
#include <errno.h>

#include "user/policy/check.h"

int policy_check(const struct policy *policy, struct faults *faults)
{
	struct check check = {.policy = policy, .faults = faults};
	size_t errors = faults->errors;
	int r;

	r = check_names(&check);
	if (r == 0)
		r = check_space(&check);
	if (r == 0)
		r = check_rank(&check);
	if (r == 0)
		r = check_dead(&check);
	if (r == 0)
		check_advice(&check);
	check_names_free(&check);
	if (r < 0)
		return r;
	return faults->errors > errors ? -EBADMSG : 0;
}
