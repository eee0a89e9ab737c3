/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request.c - what may be asked of a host: the table, and the answer around each.
 */
#include "user/daemon/request.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/json_in.h"
#include "user/daemon/metering.h"
#include "user/daemon/request_call.h"

enum { CODE_DONE = 0, CODE_REFUSED = 1, CODE_USAGE = 2, CODE_NO_DAEMON = 3 };

/* ---- the host's metering -------------------------------------------------------------------- */

int request_metering(struct call *call)
{
	struct host *host = call->host;
	int r = host->metering || host->is_daemon ? 0 : metering_open(host, &host->metering);

	if (r == 0 && !host->metering)
		r = -ENODEV;
	return r < 0 ? tell_problem(&call->problem, r, "cannot read the saved meters: %s",
				    strerror(-r))
		     : 0;
}

void request_try_metering(struct call *call)
{
	if (!call->host->is_daemon)
		request_metering(call);
	free(TAKE_PTR(call->problem));
}

/* ---- the requests --------------------------------------------------------------------------- */

enum {
	NEEDS_DAEMON = 1,
	IS_ORDER = 2, /* its refusal goes into the journal, under its name */
	FOR_AGENT = 4,
};

static const struct request {
	const char *name;
	int (*run)(struct call *call);
	unsigned int flags;
} requests[] = {
	{"status", answer_status, 0},
	{"show", answer_show, 0},
	{"who", answer_who, 0},
	{"services", answer_services, 0},
	{"refused", answer_refused, 0},
	{"cut", answer_cut, IS_ORDER},
	{"reopen", answer_reopen, IS_ORDER},
	{"drill", answer_drill, NEEDS_DAEMON | IS_ORDER},
	{"drill-look", answer_drill_look, NEEDS_DAEMON},
	{"extend", answer_extend, IS_ORDER},
	{"pause", answer_pause, IS_ORDER},
	{"partner-add", answer_partner_add, IS_ORDER},
	{"end", answer_end, IS_ORDER},
	{"apply", answer_apply, NEEDS_DAEMON | IS_ORDER},
	{"confirm", answer_confirm, NEEDS_DAEMON | IS_ORDER},
	{"rollback", answer_rollback, NEEDS_DAEMON | IS_ORDER},
	{"confirm-clock", answer_confirm_clock, IS_ORDER},
	{"unload", answer_unload, IS_ORDER},
	{"policies", answer_policies, 0},
	{"meters", answer_meters, 0},
	{"meters-save", answer_meters_save, 0},
	{"meters-reset", answer_meters_reset, IS_ORDER},
	{"policy", answer_policy, 0},
	{"difference", answer_difference, 0},
	{"orders", answer_orders, 0},
	{"order", answer_order, 0},
	{"plan", answer_plan, NEEDS_DAEMON},
	{"plan-start", answer_plan_start, NEEDS_DAEMON | IS_ORDER},
	{"plan-next", answer_plan_next, NEEDS_DAEMON | IS_ORDER},
	{"plan-abort", answer_plan_abort, NEEDS_DAEMON | IS_ORDER},
	{"order-apply", answer_order_apply, FOR_AGENT}, /* it writes its own refusals */
	{"order-try", answer_order_try, 0}, /* not for agents: it tells of connections */
	{"brief", answer_brief, FOR_AGENT},
};

/* ---- answering ------------------------------------------------------------------------------ */

/* Malformed is what asks for nothing that could be refused. */
static int run_request(struct call *call, const struct request *request)
{
	int r;

	call->host->journaling.line = 0;
	r = request->run(call);
	second_person_end(call->host, r == 0 || r == DONE_IN_PART);
	if (request->flags & IS_ORDER && r < 0 && r != -EPROTO && r != DONE_IN_PART &&
	    r != WAITS_FOR_SECOND)
		journaling_refused_request(call->host, request->name, call->request,
					   call->problem ? call->problem : strerror(-r));
	return r;
}

static int run(struct call *call)
{
	const char *name;
	int r = request_text(call, call->request, "request", true, &name);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (strcmp(requests[i].name, name) != 0)
			continue;
		if (call->host->asker->is_agent && !(requests[i].flags & FOR_AGENT))
			return tell_problem(&call->problem, -EPERM,
					    "this socket takes signed orders only");
		if (requests[i].flags & NEEDS_DAEMON && !call->host->is_daemon)
			return tell_problem(&call->problem, -ESRCH, "no daemon answers");
		return run_request(call, &requests[i]);
	}
	return request_malformed(call, "request");
}

static int code_of(int error)
{
	switch (error) {
	case 0:
		return CODE_DONE;
	case -EPROTO:
		return CODE_USAGE;
	case -ESRCH:
		return CODE_NO_DAEMON;
	}
	return CODE_REFUSED;
}

static void put_end(struct json_out *reply, int error, const char *problem, const char *details)
{
	json_put_uint(reply, "code", code_of(error));
	if (error < 0)
		json_put_text(reply, "problem", problem ? problem : strerror(-error));
	if (details)
		json_put_text(reply, "details", details);
	json_close(reply, '}');
	fputc('\n', reply->out);
}

static char *refusal(int error, const char *problem, const char *details)
{
	char *text = NULL;
	size_t length;
	struct json_out reply = {.out = open_memstream(&text, &length)};

	if (!reply.out)
		return NULL;
	json_open(&reply, NULL, '{');
	put_end(&reply, error, problem, details);
	if (fclose(reply.out) == 0)
		return text;
	free(text);
	return NULL;
}

char *request_refusal(int code, const char *problem)
{
	return refusal(code == CODE_USAGE ? -EPROTO : -EIO, problem, NULL);
}

/* What a request wrote before it failed is thrown away, but not when it was done in part. */
static char *answer(struct call *call)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	call->reply = (struct json_out){.out = open_memstream(&text, &length)};
	if (!call->reply.out)
		return NULL;
	json_open(&call->reply, NULL, '{');
	r = run(call);
	put_end(&call->reply, r, call->problem, call->details);
	if (fclose(call->reply.out) != 0)
		return NULL;
	if (r < 0 && r != DONE_IN_PART)
		return refusal(r, call->problem, call->details);
	return TAKE_PTR(text);
}

char *request_answer(struct host *host, const struct caller *asker, const char *line, size_t length)
{
	struct call call = {.host = host, .by = asker->by};
	char *text;

	if (length > REQUEST_MAX_BYTES)
		return request_refusal(CODE_USAGE, "the request is too long");
	call.request = json_in(line, length, REQUEST_DEPTH);
	if (!call.request)
		return request_refusal(CODE_USAGE, "the request is not a JSON object");
	host->asker = asker;
	host->request = call.request;
	text = answer(&call);
	host->asker = NULL;
	host->request = NULL;
	json_object_put(call.request);
	free(call.problem);
	free(call.details);
	return text;
}
