/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * unloading.c - takes a guard off that this build cannot open.
 */
#include "user/daemon/unloading.h"

#include <string.h>

#include "user/daemon/caller.h"
#include "user/daemon/host.h"

/* It must come off, whatever the journal takes. */
static int unload(struct host *host, char **problem)
{
	int r = guard_unload(host->instance, problem);

	if (r < 0)
		return r;
	r = journaling_after(host, &(struct journal_order){.kind = "unload"}, 1);
	if (r < 0)
		return tell_problem(problem, DONE_IN_PART,
				    "the guard is off, but the journal lacks it: %s", strerror(-r));
	return 0;
}

int unload_any(const char *instance, char **problem)
{
	struct caller caller;
	struct host host;
	int r = host_init(&host, instance, false, problem);

	if (r == 0) {
		caller_of_self(&caller);
		host.asker = &caller;
		r = unload(&host, problem);
	}
	host_close(&host);
	return r;
}
