/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request_look.c - the requests that change nothing.
 */
#include "user/daemon/request_call.h"

#include "user/base/address.h"
#include "user/daemon/brief.h"
#include "user/daemon/drilling.h"
#include "user/daemon/metering.h"
#include "user/daemon/refusing.h"
#include "user/daemon/show.h"
#include "user/daemon/status.h"
#include "user/daemon/store.h"

int answer_status(struct call *call)
{
	request_try_metering(call); /* without them the status is a line shorter */
	return host_status(call->host, &call->reply, &call->problem);
}

int answer_show(struct call *call)
{
	const char *target;
	int r = request_text(call, call->request, "target", true, &target);

	if (r < 0)
		return r;
	request_try_metering(call);
	return host_show(call->host, target, &call->reply, &call->problem);
}

int answer_who(struct call *call)
{
	uint8_t address[16];
	const char *text;
	int r = request_text(call, call->request, "address", true, &text);

	if (r < 0)
		return r;
	if (address_parse(text, address) < 0)
		return request_malformed(call, "address");
	request_try_metering(call);
	return host_who(call->host, address, &call->reply, &call->problem);
}

int answer_services(struct call *call)
{
	return host_services(call->host, &call->reply, &call->problem);
}

int answer_drill_look(struct call *call)
{
	const char *target;
	int r = request_text(call, call->request, "target", true, &target);

	return r < 0 ? r : host_drill_look(call->host, target, &call->reply, &call->problem);
}

int answer_refused(struct call *call)
{
	const char *target;
	uint64_t since;
	int r = request_text(call, call->request, "target", false, &target);

	if (r == 0)
		r = request_seconds(call, "since", &since); /* since 1970 */
	return r < 0 ? r : host_refused(call->host, target, since, &call->reply, &call->problem);
}

int answer_meters(struct call *call)
{
	int r = request_metering(call);

	return r < 0 ? r
		     : metering_list(call->host, call->host->metering, &call->reply,
				     &call->problem);
}

/* ---- policies ------------------------------------------------------------------------------- */

int answer_policies(struct call *call)
{
	return store_list(call->host, &call->reply, &call->problem);
}

int answer_policy(struct call *call)
{
	const char *digest;
	int r = request_text(call, call->request, "digest", true, &digest);

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
		return request_malformed(call, key);
	if (json_object_object_get_ex(object, "previous", &value)) {
		choice->is_previous = json_object_get_boolean(value);
		return json_object_is_type(value, json_type_boolean) ? 0
								     : request_malformed(call, key);
	}
	if (!json_object_object_get_ex(object, "files", &value))
		return request_text(call, object, "digest", true, &choice->digest);
	if (!json_object_is_type(value, json_type_array))
		return request_malformed(call, key);
	r = sources_from_json(value, &choice->sources);
	return r == -EBADMSG ? request_malformed(call, key) : r;
}

int answer_difference(struct call *call)
{
	struct policy_choice before = {0}, after = {0};
	int r = get_choice(call, "before", &before);

	if (r == 0)
		r = get_choice(call, "after", &after);
	if (r == 0)
		r = store_compare(call->host, &before, &after, &call->reply, &call->problem,
				  &call->details);
	sources_free(&before.sources);
	sources_free(&after.sources);
	return r;
}

int answer_brief(struct call *call)
{
	return host_brief(call->host, &call->reply, &call->problem);
}

/* ---- the journal ---------------------------------------------------------------------------- */

int answer_orders(struct call *call)
{
	return journaling_list(call->host, &call->reply, &call->problem);
}

int answer_order(struct call *call)
{
	const char *id;
	int r = request_text(call, call->request, "id", true, &id);

	return r < 0 ? r : journaling_show(call->host, id, &call->reply, &call->problem);
}
