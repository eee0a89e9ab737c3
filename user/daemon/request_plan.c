/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request_plan.c - the requests about plans.
 */
#include "user/daemon/request_call.h"

#include "user/base/text.h"
#include "user/daemon/planning.h"

int answer_plan(struct call *call)
{
	int r = host_refresh_orders(call->host);

	if (r < 0)
		return r;
	plan_put(call->host, call->host->plan, &call->reply);
	return 0;
}

int answer_plan_start(struct call *call)
{
	struct sources sources = {0};
	struct plan_request plan = {.sources = &sources, .by = call->by};
	json_object *files;
	int r = request_bool(call, "dry_run", &plan.is_dry_run);

	if (r == 0 && (!json_object_object_get_ex(call->request, "files", &files) ||
		       !json_object_is_type(files, json_type_array)))
		r = request_malformed(call, "files");
	if (r == 0) {
		r = sources_from_json(files, &sources);
		if (r == -EBADMSG)
			r = request_malformed(call, "files");
	}
	if (r == 0)
		r = host_plan_start(call->host, &plan, &call->reply, &call->problem,
				    &call->details);
	sources_free(&sources);
	return r;
}

int answer_plan_next(struct call *call)
{
	struct plan_request plan = {.by = call->by};
	int r = request_text(call, call->request, "evidence", false, &plan.evidence);

	return r < 0 ? r : host_plan_next(call->host, &plan, &call->reply, &call->problem);
}

int answer_plan_abort(struct call *call)
{
	struct plan_request plan = {.by = call->by};
	int r = request_text(call, call->request, "reason", true, &plan.reason);

	if (r == 0 && (!plan.reason[0] || !text_is_plain(plan.reason)))
		return tell_problem(&call->problem, -EINVAL,
				    "a reason without control characters is needed");
	return r < 0 ? r : host_plan_abort(call->host, &plan, &call->reply, &call->problem);
}
