/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* without_daemon.c - a request that is answered in the process that has it. */
#include "user/daemon/without_daemon.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/caller.h"
#include "user/daemon/host.h"
#include "user/daemon/request.h"

static int answer_self(struct host *host, const char *request, char **answer)
{
	struct caller caller;

	caller_of_self(&caller);
	*answer = request_answer(host, &caller, request, strlen(request));
	return *answer ? 0 : -ENOMEM;
}

int answer_on_guard(const char *instance, const char *request, char **answer, char **problem)
{
	struct host host;
	int r = host_init(&host, instance, false, problem);

	if (r == 0)
		r = host_open_pinned(&host, problem);
	if (r == 0)
		r = answer_self(&host, request, answer);
	host_close(&host);
	return r;
}

int answer_on_journal(const char *instance, const char *request, char **answer, char **problem)
{
	_cleanup_free_ char *why = NULL;
	struct host host;
	int r = host_init(&host, instance, false, problem);

	if (r == 0 && host_open_pinned(&host, &why) < 0) {
		guard_close(host.guard);
		host.guard = NULL;
	}
	if (r == 0)
		r = answer_self(&host, request, answer);
	host_close(&host);
	return r;
}
