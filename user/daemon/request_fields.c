/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request_fields.c - what a request says.
 */
#include "user/daemon/request_call.h"

#include <string.h>

#include "user/base/units.h"

int request_malformed(struct call *call, const char *key)
{
	return tell_problem(&call->problem, -EPROTO, "malformed request: \"%s\"", key);
}

int request_text(struct call *call, json_object *object, const char *key, bool required,
		 const char **text)
{
	json_object *value;

	*text = NULL;
	if (!json_object_object_get_ex(object, key, &value) || !value)
		return required ? request_malformed(call, key) : 0;
	if (!json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return request_malformed(call, key);
	*text = json_object_get_string(value);
	return 0;
}

int request_bool(struct call *call, const char *key, bool *flag)
{
	json_object *value;

	*flag = false;
	if (!json_object_object_get_ex(call->request, key, &value))
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return request_malformed(call, key);
	*flag = json_object_get_boolean(value);
	return 0;
}

int request_seconds(struct call *call, const char *key, uint64_t *ns)
{
	json_object *value;
	int64_t seconds;

	*ns = 0;
	if (!json_object_object_get_ex(call->request, key, &value))
		return 0;
	seconds = json_object_get_int64(value);
	if (!json_object_is_type(value, json_type_int) || seconds < 1 ||
	    seconds > INT64_C(100) * 366 * 86400)
		return request_malformed(call, key);
	*ns = seconds * NS_PER_SECOND;
	return 0;
}

int request_number(struct call *call, const char *key, uint64_t *positive)
{
	json_object *value;
	int64_t number;

	*positive = 0;
	if (!json_object_object_get_ex(call->request, key, &value))
		return 0;
	number = json_object_get_int64(value);
	if (!json_object_is_type(value, json_type_int) || number < 1)
		return request_malformed(call, key);
	*positive = number;
	return 0;
}

int request_targets(struct call *call, bool required, const char **target, size_t *count)
{
	json_object *list;

	*count = 0;
	if (!json_object_object_get_ex(call->request, "targets", &list))
		return required ? request_malformed(call, "targets") : 0;
	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) > REQUEST_MAX_TARGETS ||
	    (required && json_object_array_length(list) == 0))
		return request_malformed(call, "targets");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *value = json_object_array_get_idx(list, i);

		if (!json_object_is_type(value, json_type_string) ||
		    strlen(json_object_get_string(value)) !=
			    (size_t)json_object_get_string_len(value))
			return request_malformed(call, "targets");
		target[(*count)++] = json_object_get_string(value);
	}
	return 0;
}
