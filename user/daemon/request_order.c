/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request_order.c - the requests that are orders, or save.
 */
#include "user/daemon/request_call.h"

#include <string.h>

#include "user/base/address.h"
#include "user/base/text.h"
#include "user/daemon/applying.h"
#include "user/daemon/clock.h"
#include "user/daemon/cutting.h"
#include "user/daemon/daemon_lock.h"
#include "user/daemon/drilling.h"
#include "user/daemon/metering.h"
#include "user/daemon/overriding.h"
#include "user/daemon/returning.h"
#include "user/daemon/signed_order.h"

/* ---- cuts ----------------------------------------------------------------------------------- */

int answer_cut(struct call *call)
{
	const char *target[REQUEST_MAX_TARGETS];
	struct order_request order = {.target = target, .by = call->by};
	int r = request_targets(call, true, target, &order.target_count);

	if (r == 0)
		r = request_text(call, call->request, "reason", true, &order.reason);
	if (r == 0)
		r = request_seconds(call, "for_seconds", &order.for_ns);
	if (r == 0)
		r = request_bool(call, "dry_run", &order.is_dry_run);
	if (r == 0)
		r = request_number(call, "asked_boot_ns", &order.asked_ns);
	if (r < 0)
		return r;
	return host_cut(call->host, &order, &call->reply, &call->problem);
}

int answer_reopen(struct call *call)
{
	const char *target[REQUEST_MAX_TARGETS];
	struct order_request order = {.target = target, .by = call->by};
	int r = request_text(call, call->request, "order", false, &order.order);

	if (r == 0)
		r = request_targets(call, !order.order, target, &order.target_count);
	if (r == 0)
		r = request_text(call, call->request, "reason", true, &order.reason);
	if (r < 0)
		return r;
	return host_reopen(call->host, &order, &call->reply, &call->problem);
}

/* Nothing is ordered yet, but that somebody wanted to drill on a hospital is worth a line. */
int answer_drill(struct call *call)
{
	const char *target;
	int r = request_text(call, call->request, "target", false, &target);

	return r < 0 ? r : host_drill(call->host, target, call->by, &call->reply, &call->problem);
}

/* ---- what loosens for a while --------------------------------------------------------------- */

/* At most one target. */
static int get_override(struct call *call, struct override_request *override)
{
	const char *target[REQUEST_MAX_TARGETS];
	size_t count;
	int r = request_targets(call, false, target, &count);

	if (r == 0 && count > 1)
		r = request_malformed(call, "targets");
	if (r == 0 && count == 1)
		override->target = target[0];
	if (r == 0)
		r = request_text(call, call->request, "reason", true, &override->reason);
	if (r == 0)
		r = request_number(call, "asked_boot_ns", &override->asked_ns);
	return r < 0 ? r : request_seconds(call, "for_seconds", &override->for_ns);
}

int answer_extend(struct call *call)
{
	struct override_request override = {.kind = WEIR_ORDER_EXTEND, .by = call->by};
	int r = get_override(call, &override);

	if (r == 0 && !override.target)
		r = request_malformed(call, "targets");
	if (r == 0)
		r = request_text(call, call->request, "grant", true, &override.grant);
	if (r == 0)
		r = request_number(call, "more_bytes", &override.more_bytes);
	if (r < 0)
		return r;
	return host_override(call->host, &override, &call->reply, &call->problem);
}

int answer_pause(struct call *call)
{
	struct override_request override = {.kind = WEIR_ORDER_PAUSE, .by = call->by};
	int r = get_override(call, &override);

	if (r < 0)
		return r;
	if (!override.target)
		override.target = "all";
	return host_override(call->host, &override, &call->reply, &call->problem);
}

int answer_partner_add(struct call *call)
{
	struct override_request override = {.kind = WEIR_ORDER_PARTNER_ADD, .by = call->by};
	int r = get_override(call, &override);

	if (r == 0 && !override.target)
		r = request_malformed(call, "targets");
	if (r == 0)
		r = request_text(call, call->request, "prefix", true, &override.prefix);
	if (r < 0)
		return r;
	return host_override(call->host, &override, &call->reply, &call->problem);
}

int answer_end(struct call *call)
{
	const char *id, *reason;
	int r = request_text(call, call->request, "order", true, &id);

	if (r == 0)
		r = request_text(call, call->request, "reason", true, &reason);
	if (r == 0 && (!reason[0] || !text_is_plain(reason)))
		return tell_problem(&call->problem, -EINVAL,
				    "a reason without control characters is needed");
	if (r < 0)
		return r;
	return host_end_override(call->host, id, reason, call->by, &call->reply, &call->problem);
}

/* ---- policies, the clock -------------------------------------------------------------------- */

/* What is wrong with the text itself is told as a refusal: it may be somebody's order. */
static int get_order_text(struct call *call, const char **text, size_t *length)
{
	json_object *value;

	if (!json_object_object_get_ex(call->request, "text", &value) ||
	    !json_object_is_type(value, json_type_string))
		return request_malformed(call, "text");
	*text = json_object_get_string(value);
	*length = json_object_get_string_len(value);
	return 0;
}

int answer_order_apply(struct call *call)
{
	const char *text;
	size_t length;
	int r = get_order_text(call, &text, &length);

	return r < 0 ? r
		     : host_take_order(call->host, text, length, &call->reply, &call->problem,
				       &call->details);
}

int answer_order_try(struct call *call)
{
	const char *text;
	size_t length;
	int r = get_order_text(call, &text, &length);

	return r < 0 ? r : host_try_order(call->host, text, length, &call->reply, &call->problem);
}

/* Optional: {"peer":"192.0.2.1","port":22,"cgroup":"/system.slice/ssh.service"} */
static int get_own(struct call *call, struct own_connection *own)
{
	json_object *object, *port;
	const char *peer;
	int r;

	if (!json_object_object_get_ex(call->request, "own", &object))
		return 0;
	if (!json_object_is_type(object, json_type_object))
		return request_malformed(call, "own");
	r = request_text(call, object, "peer", true, &peer);
	if (r == 0)
		r = request_text(call, object, "cgroup", true, &own->cgroup);
	if (r < 0)
		return r;
	if (!json_object_object_get_ex(object, "port", &port) ||
	    !json_object_is_type(port, json_type_int) || json_object_get_int(port) < 1 ||
	    json_object_get_int(port) > 65535 || address_parse(peer, own->peer) < 0)
		return request_malformed(call, "own");
	own->port = json_object_get_int(port);
	own->is_known = true;
	return 0;
}

static int get_policy(struct call *call, struct apply_request *apply)
{
	const char *path;
	json_object *files;
	int r = request_text(call, call->request, "path", false, &path);

	if (r < 0)
		return r;
	if (path) {
		apply->applied.path = strdup(path);
		if (!apply->applied.path)
			return -ENOMEM;
	}
	if (!json_object_object_get_ex(call->request, "files", &files) ||
	    !json_object_is_type(files, json_type_array))
		return request_malformed(call, "files");
	r = sources_from_json(files, &apply->applied.sources);
	return r == -EBADMSG ? request_malformed(call, "files") : r;
}

int answer_apply(struct call *call)
{
	struct apply_request apply = {.by = call->by};
	int r = get_policy(call, &apply);

	if (r == 0)
		r = get_own(call, &apply.own);
	if (r == 0)
		r = request_bool(call, "dry_run", &apply.is_dry_run);
	if (r == 0)
		r = request_bool(call, "agreed", &apply.is_agreed);
	if (r == 0)
		r = request_seconds(call, "confirm_seconds", &apply.confirm_ns);
	if (r == 0)
		r = request_seconds(call, "for_seconds", &apply.for_ns);
	if (r == 0)
		r = request_text(call, call->request, "reason", apply.for_ns, &apply.reason);
	if (r == 0 && apply.for_ns && apply.confirm_ns)
		r = request_malformed(call, "for_seconds");
	if (r == 0)
		r = host_apply(call->host, &apply, &call->reply, &call->problem, &call->details);
	applied_free(&apply.applied);
	return r;
}

int answer_confirm(struct call *call)
{
	return host_confirm(call->host, call->by, &call->reply, &call->problem);
}

int answer_rollback(struct call *call)
{
	const char *digest;
	int r = request_text(call, call->request, "digest", false, &digest);

	if (r < 0)
		return r;
	return host_rollback(call->host, call->by, digest, &call->reply, &call->problem);
}

int answer_confirm_clock(struct call *call)
{
	const char *reason;
	int r = request_text(call, call->request, "reason", true, &reason);

	if (r < 0)
		return r;
	return clock_confirm(call->host, call->by, reason, &call->reply, &call->problem);
}

/* ---- meters --------------------------------------------------------------------------------- */

/* Without a daemon nobody saves what comes after, unless nothing can. */
static uint32_t meters_flags(const struct host *host, bool is_last)
{
	return is_last ? METERS_COMPLETE : host->is_daemon ? 0 : METERS_UNWATCHED;
}

int answer_meters_save(struct call *call)
{
	bool is_last;
	int r = request_bool(call, "last", &is_last);

	if (r == 0)
		r = request_metering(call);
	if (r < 0)
		return r;
	r = metering_save(call->host->metering, meters_flags(call->host, is_last));
	if (r < 0)
		return tell_problem(&call->problem, r, "cannot save the meters: %s", strerror(-r));
	return 0;
}

int answer_meters_reset(struct call *call)
{
	struct reset_request reset = {.by = call->by};
	int r = request_text(call, call->request, "reason", true, &reset.reason);

	if (r == 0)
		r = request_text(call, call->request, "target", false, &reset.target);
	if (r == 0 && (!reset.reason[0] || !text_is_plain(reset.reason)))
		return tell_problem(&call->problem, -EINVAL,
				    "a reason without control characters is needed");
	/* It knows what is assumed, and would take the same bytes back again: from what was
	 * measured. Unlike a cut, this can wait. */
	if (r == 0 && !call->host->is_daemon && daemon_is_there(call->host->instance))
		return tell_problem(&call->problem, -EBUSY,
				    "there is a daemon that does not answer: end it first");
	if (r == 0)
		r = request_metering(call);
	if (r == 0)
		r = metering_reset(call->host, call->host->metering, &reset, &call->reply,
				   &call->problem);
	if (r == 0 && !call->host->is_daemon)
		metering_save(call->host->metering, METERS_UNWATCHED);
	return r;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* With nothing attached any more, the maps that are still open hold what was charged last. It must
 * come off also when the disk takes no line of it: of what loosens this alone does not wait. */
int answer_unload(struct call *call)
{
	const struct journal_order order = {.kind = "unload"};
	struct record_field field[] = {{"by", call->by, 0}};
	int r, written;

	r = second_person(call->host,
			  &(struct second_ask){.order = &order, .waits_for_no_disk = true},
			  &call->problem);
	if (r < 0)
		return r;
	request_try_metering(call);
	written = journaling_after(call->host, &order, 1);
	r = guard_take_off(call->host->guard, &call->problem);
	if (r < 0)
		return r;
	call->host->has_ended = true;
	metering_end(call->host->metering, true, METERS_COMPLETE);
	call->host->metering = NULL;
	host_tell(call->host, "unload", RECORD_HIGH, field, 1, "the guard was taken off, by %s",
		  call->by);
	json_put_bool(&call->reply, "unloaded", true);
	if (written < 0)
		return tell_problem(&call->problem, DONE_IN_PART,
				    "the guard is off, but the journal lacks it: %s",
				    strerror(-written));
	return 0;
}
