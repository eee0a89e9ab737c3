/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * unloading.c - takes a guard off that this build cannot open.
 */
#include "user/daemon/unloading.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/caller.h"
#include "user/daemon/host.h"

/* Of a guard that cannot be opened the state directory alone knows the policy. */
static bool says_four_eyes(const struct host *host, const char *file)
{
	_cleanup_free_ char *path = host_path(host, file);
	struct applied applied = {0};
	struct policy policy = {0};
	struct faults faults = {0};
	bool says = path && applied_load(path, &applied) == 0 &&
		    policy_read(&applied.sources, &policy, &faults) == 0 && policy.four_eyes;

	policy_free(&policy);
	faults_free(&faults);
	applied_free(&applied);
	return says;
}

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

	if (r == 0 &&
	    (says_four_eyes(&host, "applied.json") || says_four_eyes(&host, "trial.json")))
		r = tell_problem(problem, -ESRCH,
				 "no daemon answers, and this takes two people (four_eyes), for "
				 "which the first person's request has to wait in a daemon");
	if (r == 0) {
		caller_of_self(&caller);
		host.asker = &caller;
		r = unload(&host, problem);
	}
	host_close(&host);
	return r;
}
