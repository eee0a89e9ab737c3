/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request_call.h - inside request.c and its parts: one request while it is answered.
 *
 * request.c has the table; request_fields.c reads what a request says; request_look.c answers those
 * that change nothing, request_order.c those that are orders, or save, request_plan.c those about
 * plans.
 */
#ifndef WEIR_REQUEST_CALL_H
#define WEIR_REQUEST_CALL_H

#include <json-c/json.h>

#include "user/base/json_out.h"
#include "user/daemon/request.h"

struct call {
	struct host *host;
	json_object *request;
	const char *by;
	struct json_out reply; /* the answer, an open object */
	char *problem;
	char *details;
};

/* ---- what a request says -------------------------------------------------------------------- */

/* All of these: 0; -EPROTO, which stands for a malformed request throughout, with the problem told.
 * Texts are borrowed from the request. */

int request_malformed(struct call *call, const char *key);
/* NULL in *text when it is not there and not `required`. */
int request_text(struct call *call, json_object *object, const char *key, bool required,
		 const char **text);
int request_bool(struct call *call, const char *key, bool *flag); /* false: it is not there */
/* A span in whole seconds, up to a century; 0: it is not there. */
int request_seconds(struct call *call, const char *key, uint64_t *ns);
/* 1 or more; 0: it is not there. */
int request_number(struct call *call, const char *key, uint64_t *positive);
/* `target` holds REQUEST_MAX_TARGETS. */
int request_targets(struct call *call, bool required, const char **target, size_t *count);

/* ---- the host's metering -------------------------------------------------------------------- */

/* The daemon has it; a command opens it when it is about the meters, and not before a cut. -errno
 * with the problem told. */
int request_metering(struct call *call);
/* With what the metering knows, where there is one: what is only assumed. */
void request_try_metering(struct call *call);

/* ---- the requests: 0, DONE_IN_PART, or -errno ----------------------------------------------- */

int answer_status(struct call *call);
int answer_show(struct call *call);
int answer_who(struct call *call);
int answer_services(struct call *call);
int answer_refused(struct call *call);
int answer_drill_look(struct call *call);
int answer_policies(struct call *call);
int answer_policy(struct call *call);
int answer_difference(struct call *call);
int answer_meters(struct call *call);
int answer_orders(struct call *call);
int answer_order(struct call *call);
int answer_brief(struct call *call);
int answer_plan(struct call *call);

int answer_cut(struct call *call);
int answer_reopen(struct call *call);
int answer_drill(struct call *call);
int answer_extend(struct call *call);
int answer_pause(struct call *call);
int answer_partner_add(struct call *call);
int answer_end(struct call *call);
int answer_order_apply(struct call *call);
int answer_order_try(struct call *call);
int answer_plan_start(struct call *call);
int answer_plan_next(struct call *call);
int answer_plan_abort(struct call *call);
int answer_apply(struct call *call);
int answer_confirm(struct call *call);
int answer_rollback(struct call *call);
int answer_confirm_clock(struct call *call);
int answer_unload(struct call *call);
int answer_meters_save(struct call *call);
int answer_meters_reset(struct call *call);

#endif
