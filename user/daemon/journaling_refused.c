/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journaling_refused.c - a request that was well-formed, and whose order was not carried out.
 */
#include "user/daemon/journaling.h"

#include "user/base/field.h"
#include "user/daemon/request.h"

static const char *text_in(json_object *value)
{
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static size_t take_targets(json_object *request, const char *target[REQUEST_MAX_TARGETS])
{
	size_t count = 0;

	for (size_t i = 0; i < field_count(request, "targets") && count < REQUEST_MAX_TARGETS;
	     i++) {
		target[count] = text_in(field_item(request, "targets", i));
		count += target[count] != NULL;
	}
	if (count == 0) {
		target[0] = text_in(field_object(request, "target"));
		count = target[0] != NULL;
	}
	return count;
}

void journaling_refused_request(struct host *host, const char *kind, json_object *request,
				const char *why)
{
	const char *target[REQUEST_MAX_TARGETS];
	const struct journal_order order = {
		.kind = kind,
		.target = target,
		.target_count = take_targets(request, target),
		.reason = text_in(field_object(request, "reason")),
		.order = text_in(field_object(request, "order")),
		.policy_digest = text_in(field_object(request, "digest")),
	};

	if (!field_is(request, "dry_run")) /* nothing was to be done */
		journaling_refused(host, &order, why);
}
