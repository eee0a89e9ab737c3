/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request.c - what may be asked of a host.
 */
#include "user/daemon/request.h"

#include <json-c/json.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/json_in.h"
#include "user/base/json_out.h"
#include "user/base/text.h"
#include "user/base/units.h"
#include "user/daemon/applying.h"
#include "user/daemon/clock.h"
#include "user/daemon/cutting.h"
#include "user/daemon/daemon_lock.h"
#include "user/daemon/metering.h"
#include "user/daemon/show.h"
#include "user/daemon/signed_order.h"
#include "user/daemon/status.h"
#include "user/daemon/store.h"

enum { CODE_DONE = 0, CODE_REFUSED = 1, CODE_USAGE = 2, CODE_NO_DAEMON = 3 };

struct call {
	struct host *host;
	json_object *request;
	const char *by;
	struct json_out reply;
	char *problem;
	char *details;
};

/* ---- reading a request ---------------------------------------------------------------------- */

/* -EPROTO stands for a malformed request throughout. */
static int malformed(struct call *call, const char *key)
{
	return tell_problem(&call->problem, -EPROTO, "malformed request: \"%s\"", key);
}

/* NULL in *text when it is not there and not `required`. */
static int get_text(struct call *call, json_object *object, const char *key, bool required,
		    const char **text)
{
	json_object *value;

	*text = NULL;
	if (!json_object_object_get_ex(object, key, &value) || !value)
		return required ? malformed(call, key) : 0;
	if (!json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return malformed(call, key);
	*text = json_object_get_string(value);
	return 0;
}

static int get_bool(struct call *call, const char *key, bool *flag)
{
	json_object *value;

	*flag = false;
	if (!json_object_object_get_ex(call->request, key, &value))
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return malformed(call, key);
	*flag = json_object_get_boolean(value);
	return 0;
}

/* A span in whole seconds, up to a century. */
static int get_seconds(struct call *call, const char *key, uint64_t *ns)
{
	json_object *value;
	int64_t seconds;

	*ns = 0;
	if (!json_object_object_get_ex(call->request, key, &value))
		return 0;
	seconds = json_object_get_int64(value);
	if (!json_object_is_type(value, json_type_int) || seconds < 1 ||
	    seconds > INT64_C(100) * 366 * 86400)
		return malformed(call, key);
	*ns = seconds * NS_PER_SECOND;
	return 0;
}

static int get_targets(struct call *call, bool required, const char **target, size_t *count)
{
	json_object *list;

	*count = 0;
	if (!json_object_object_get_ex(call->request, "targets", &list))
		return required ? malformed(call, "targets") : 0;
	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) > REQUEST_MAX_TARGETS ||
	    (required && json_object_array_length(list) == 0))
		return malformed(call, "targets");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *value = json_object_array_get_idx(list, i);

		if (!json_object_is_type(value, json_type_string) ||
		    strlen(json_object_get_string(value)) !=
			    (size_t)json_object_get_string_len(value))
			return malformed(call, "targets");
		target[(*count)++] = json_object_get_string(value);
	}
	return 0;
}

/* ---- the requests --------------------------------------------------------------------------- */

/* The daemon has it; a command opens it when it is about the meters, and not before a cut. */
static int open_metering(struct call *call)
{
	struct host *host = call->host;
	int r = host->metering || host->is_daemon ? 0 : metering_open(host, &host->metering);

	if (r == 0 && !host->metering)
		r = -ENODEV;
	return r < 0 ? tell_problem(&call->problem, r, "cannot read the saved meters: %s",
				    strerror(-r))
		     : 0;
}

/* With what the metering knows, where there is one: what is only assumed. */
static void try_metering(struct call *call)
{
	if (!call->host->is_daemon)
		open_metering(call);
	free(TAKE_PTR(call->problem));
}

static int do_status(struct call *call)
{
	try_metering(call); /* without them the status is a line shorter */
	return host_status(call->host, &call->reply, &call->problem);
}

static int do_show(struct call *call)
{
	const char *target;
	int r = get_text(call, call->request, "target", true, &target);

	if (r < 0)
		return r;
	try_metering(call);
	return host_show(call->host, target, &call->reply, &call->problem);
}

static int do_who(struct call *call)
{
	uint8_t address[16];
	const char *text;
	int r = get_text(call, call->request, "address", true, &text);

	if (r < 0)
		return r;
	if (address_parse(text, address) < 0)
		return malformed(call, "address");
	try_metering(call);
	return host_who(call->host, address, &call->reply, &call->problem);
}

static int do_services(struct call *call)
{
	return host_services(call->host, &call->reply, &call->problem);
}

static int do_cut(struct call *call)
{
	const char *target[REQUEST_MAX_TARGETS];
	struct order_request order = {.target = target, .by = call->by};
	int r = get_targets(call, true, target, &order.target_count);

	if (r == 0)
		r = get_text(call, call->request, "reason", true, &order.reason);
	if (r == 0)
		r = get_seconds(call, "for_seconds", &order.for_ns);
	if (r == 0)
		r = get_bool(call, "dry_run", &order.is_dry_run);
	if (r < 0)
		return r;
	return host_cut(call->host, &order, &call->reply, &call->problem);
}

static int do_reopen(struct call *call)
{
	const char *target[REQUEST_MAX_TARGETS];
	struct order_request order = {.target = target, .by = call->by};
	int r = get_text(call, call->request, "order", false, &order.order);

	if (r == 0)
		r = get_targets(call, !order.order, target, &order.target_count);
	if (r == 0)
		r = get_text(call, call->request, "reason", true, &order.reason);
	if (r < 0)
		return r;
	return host_reopen(call->host, &order, &call->reply, &call->problem);
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
		return malformed(call, "own");
	r = get_text(call, object, "peer", true, &peer);
	if (r == 0)
		r = get_text(call, object, "cgroup", true, &own->cgroup);
	if (r < 0)
		return r;
	if (!json_object_object_get_ex(object, "port", &port) ||
	    !json_object_is_type(port, json_type_int) || json_object_get_int(port) < 1 ||
	    json_object_get_int(port) > 65535 || address_parse(peer, own->peer) < 0)
		return malformed(call, "own");
	own->port = json_object_get_int(port);
	own->is_known = true;
	return 0;
}

static int get_policy(struct call *call, struct apply_request *apply)
{
	const char *path;
	json_object *files;
	int r = get_text(call, call->request, "path", false, &path);

	if (r < 0)
		return r;
	if (path) {
		apply->applied.path = strdup(path);
		if (!apply->applied.path)
			return -ENOMEM;
	}
	if (!json_object_object_get_ex(call->request, "files", &files) ||
	    !json_object_is_type(files, json_type_array))
		return malformed(call, "files");
	r = sources_from_json(files, &apply->applied.sources);
	return r == -EBADMSG ? malformed(call, "files") : r;
}

static int do_apply(struct call *call)
{
	struct apply_request apply = {.by = call->by};
	int r = get_policy(call, &apply);

	if (r == 0)
		r = get_own(call, &apply.own);
	if (r == 0)
		r = get_bool(call, "dry_run", &apply.is_dry_run);
	if (r == 0)
		r = get_bool(call, "agreed", &apply.is_agreed);
	if (r == 0)
		r = get_seconds(call, "confirm_seconds", &apply.confirm_ns);
	if (r == 0)
		r = host_apply(call->host, &apply, &call->reply, &call->problem, &call->details);
	applied_free(&apply.applied);
	return r;
}

static int do_confirm(struct call *call)
{
	return host_confirm(call->host, call->by, &call->reply, &call->problem);
}

static int do_rollback(struct call *call)
{
	const char *digest;
	int r = get_text(call, call->request, "digest", false, &digest);

	if (r < 0)
		return r;
	return host_rollback(call->host, call->by, digest, &call->reply, &call->problem);
}

static int do_policies(struct call *call)
{
	return store_list(call->host, &call->reply, &call->problem);
}

static int do_policy(struct call *call)
{
	const char *digest;
	int r = get_text(call, call->request, "digest", true, &digest);

	return r < 0 ? r : store_show(call->host, digest, &call->reply, &call->problem);
}

/* Optional: {"files":[...]}, {"digest":"..."} or {"previous":true} */
static int get_choice(struct call *call, const char *key, struct policy_choice *choice)
{
	json_object *object, *value;
	int r;

	if (!json_object_object_get_ex(call->request, key, &object))
		return 0;
	if (!json_object_is_type(object, json_type_object))
		return malformed(call, key);
	if (json_object_object_get_ex(object, "previous", &value)) {
		choice->is_previous = json_object_get_boolean(value);
		return json_object_is_type(value, json_type_boolean) ? 0 : malformed(call, key);
	}
	if (!json_object_object_get_ex(object, "files", &value))
		return get_text(call, object, "digest", true, &choice->digest);
	if (!json_object_is_type(value, json_type_array))
		return malformed(call, key);
	r = sources_from_json(value, &choice->sources);
	return r == -EBADMSG ? malformed(call, key) : r;
}

static int do_difference(struct call *call)
{
	struct policy_choice before = {0}, after = {0};
	int r = get_choice(call, "before", &before);

	if (r == 0)
		r = get_choice(call, "after", &after);
	if (r == 0)
		r = store_compare(call->host, &before, &after, &call->reply, &call->problem);
	sources_free(&before.sources);
	sources_free(&after.sources);
	return r;
}

static int do_confirm_clock(struct call *call)
{
	const char *reason;
	int r = get_text(call, call->request, "reason", true, &reason);

	if (r < 0)
		return r;
	return clock_confirm(call->host, call->by, reason, &call->reply, &call->problem);
}

static int do_meters(struct call *call)
{
	int r = open_metering(call);

	return r < 0 ? r
		     : metering_list(call->host, call->host->metering, &call->reply,
				     &call->problem);
}

/* Without a daemon nobody saves what comes after, unless nothing can. */
static uint32_t meters_flags(const struct host *host, bool is_last)
{
	return is_last ? METERS_COMPLETE : host->is_daemon ? 0 : METERS_UNWATCHED;
}

static int do_meters_save(struct call *call)
{
	bool is_last;
	int r = get_bool(call, "last", &is_last);

	if (r == 0)
		r = open_metering(call);
	if (r < 0)
		return r;
	r = metering_save(call->host->metering, meters_flags(call->host, is_last));
	if (r < 0)
		return tell_problem(&call->problem, r, "cannot save the meters: %s", strerror(-r));
	return 0;
}

static int do_meters_reset(struct call *call)
{
	struct reset_request reset = {.by = call->by};
	int r = get_text(call, call->request, "reason", true, &reset.reason);

	if (r == 0)
		r = get_text(call, call->request, "target", false, &reset.target);
	if (r == 0 && (!reset.reason[0] || !text_is_plain(reset.reason)))
		return tell_problem(&call->problem, -EINVAL,
				    "a reason without control characters is needed");
	/* It knows what is assumed, and would take the same bytes back again: from what was
	 * measured. Unlike a cut, this can wait. */
	if (r == 0 && !call->host->is_daemon && daemon_is_there(call->host->instance))
		return tell_problem(&call->problem, -EBUSY,
				    "there is a daemon that does not answer: end it first");
	if (r == 0)
		r = open_metering(call);
	if (r == 0)
		r = metering_reset(call->host, call->host->metering, &reset, &call->reply,
				   &call->problem);
	if (r == 0 && !call->host->is_daemon)
		metering_save(call->host->metering, METERS_UNWATCHED);
	return r;
}

/* With nothing attached any more, the maps that are still open hold what was charged last. It must
 * come off also when the disk takes no line of it: of what loosens this alone does not wait. */
static int do_unload(struct call *call)
{
	struct record_field field[] = {{"by", call->by, 0}};
	int r, written;

	if (!call->host->is_daemon)
		open_metering(call); /* it must come off, with or without */
	free(TAKE_PTR(call->problem));
	written = journaling_after(call->host, &(struct journal_order){.kind = "unload"}, 1);
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

static int do_orders(struct call *call)
{
	return journaling_list(call->host, &call->reply, &call->problem);
}

static int do_order(struct call *call)
{
	const char *id;
	int r = get_text(call, call->request, "id", true, &id);

	return r < 0 ? r : journaling_show(call->host, id, &call->reply, &call->problem);
}

/* It writes its own refusals: they are about what the text says. */
static int do_order_apply(struct call *call)
{
	json_object *text;

	if (!json_object_object_get_ex(call->request, "text", &text) ||
	    !json_object_is_type(text, json_type_string))
		return malformed(call, "text");
	return host_take_order(call->host, json_object_get_string(text),
			       json_object_get_string_len(text), &call->reply, &call->problem);
}

static const struct request {
	const char *name;
	int (*run)(struct call *call);
	bool needs_daemon;
	bool is_order; /* its refusal goes into the journal, under its name */
} requests[] = {
	{"status", do_status, false, false},
	{"show", do_show, false, false},
	{"who", do_who, false, false},
	{"services", do_services, false, false},
	{"cut", do_cut, false, true},
	{"reopen", do_reopen, false, true},
	{"apply", do_apply, true, true},
	{"confirm", do_confirm, true, true},
	{"rollback", do_rollback, true, true},
	{"confirm-clock", do_confirm_clock, false, true},
	{"unload", do_unload, false, true},
	{"policies", do_policies, false, false},
	{"meters", do_meters, false, false},
	{"meters-save", do_meters_save, false, false},
	{"meters-reset", do_meters_reset, false, true},
	{"policy", do_policy, false, false},
	{"difference", do_difference, false, false},
	{"orders", do_orders, false, false},
	{"order", do_order, false, false},
	{"order-apply", do_order_apply, false, false},
};

/* ---- answering ------------------------------------------------------------------------------ */

/* Malformed is what asks for nothing that could be refused. */
static int run_request(struct call *call, const struct request *request)
{
	int r;

	call->host->journaling.line = 0;
	r = request->run(call);
	if (request->is_order && r < 0 && r != -EPROTO && r != DONE_IN_PART)
		journaling_refused_request(call->host, request->name, call->request,
					   call->problem ? call->problem : strerror(-r));
	return r;
}

static int run(struct call *call)
{
	const char *name;
	int r = get_text(call, call->request, "request", true, &name);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (strcmp(requests[i].name, name) != 0)
			continue;
		if (requests[i].needs_daemon && !call->host->is_daemon)
			return tell_problem(&call->problem, -ESRCH, "no daemon answers");
		return run_request(call, &requests[i]);
	}
	return malformed(call, "request");
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
	text = answer(&call);
	host->asker = NULL;
	json_object_put(call.request);
	free(call.problem);
	free(call.details);
	return text;
}
