/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journaling_refused.c - a request that was well-formed, and whose order was not carried out.
 */
#include "user/daemon/journaling.h"

#include <json-c/json.h>

enum { MOST_TARGETS = 256 };

static const char *text_in(json_object *value)
{
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static const char *text_at(json_object *object, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(object, key, &value) ? text_in(value) : NULL;
}

static size_t take_targets(json_object *object, const char *target[MOST_TARGETS])
{
	json_object *list;
	size_t count = 0;

	if (!json_object_object_get_ex(object, "targets", &list) ||
	    !json_object_is_type(list, json_type_array)) {
		target[0] = text_at(object, "target");
		return target[0] ? 1 : 0;
	}
	for (size_t i = 0; i < json_object_array_length(list) && count < MOST_TARGETS; i++) {
		target[count] = text_in(json_object_array_get_idx(list, i));
		count += target[count] != NULL;
	}
	return count;
}

/* Nothing was to be done. */
static bool is_dry_run(json_object *object)
{
	json_object *value;

	return json_object_object_get_ex(object, "dry_run", &value) &&
	       json_object_get_boolean(value);
}

void journaling_refused_request(struct host *host, const char *kind, json_object *request,
				const char *why)
{
	const char *target[MOST_TARGETS];
	const struct journal_order order = {
		.kind = kind,
		.target = target,
		.target_count = take_targets(request, target),
		.reason = text_at(request, "reason"),
		.order = text_at(request, "order"),
		.policy_digest = text_at(request, "digest"),
	};

	if (!is_dry_run(request))
		journaling_refused(host, &order, why);
}
