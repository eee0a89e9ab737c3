/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * field.c - the fields of a JSON object.
 */
#include "user/base/field.h"

#include <string.h>
#include <time.h>

#include "user/base/text.h"

json_object *field_object(json_object *object, const char *key)
{
	json_object *value;

	return object && json_object_object_get_ex(object, key, &value) ? value : NULL;
}

const char *field_text(json_object *object, const char *key)
{
	json_object *value = field_object(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

char *field_plain(json_object *object, const char *key)
{
	char *text = strdup(field_text(object, key));

	if (text)
		text_make_plain(text);
	return text;
}

uint64_t field_number(json_object *object, const char *key)
{
	return json_object_get_uint64(field_object(object, key));
}

double field_real(json_object *object, const char *key)
{
	return json_object_get_double(field_object(object, key));
}

bool field_is(json_object *object, const char *key)
{
	return json_object_get_boolean(field_object(object, key));
}

size_t field_count(json_object *object, const char *key)
{
	json_object *list = field_object(object, key);

	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

json_object *field_item(json_object *object, const char *key, size_t index)
{
	return json_object_array_get_idx(field_object(object, key), index);
}

const char *time_text(uint64_t seconds, char *text)
{
	time_t time = seconds;
	struct tm parts;

	if (!localtime_r(&time, &parts) || strftime(text, 32, "%Y-%m-%d %H:%M:%S", &parts) == 0)
		strcpy(text, "?");
	return text;
}
