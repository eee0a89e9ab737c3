/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "user/base/json_in.h"

#include <json-c/json.h>
#include <stdbool.h>

#include "user/base/text.h"

struct json_object *json_in(const char *text, size_t length, int depth)
{
	struct json_tokener *tokener;
	json_object *object;
	bool is_whole;

	if (!text_is_utf8(text, length)) /* json-c's own check lets overlong sequences pass */
		return NULL;
	tokener = json_tokener_new_ex(depth);
	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tokener, text, length);
	is_whole = json_tokener_get_error(tokener) == json_tokener_success &&
		   json_tokener_get_parse_end(tokener) == length;
	json_tokener_free(tokener);
	if (is_whole && json_object_is_type(object, json_type_object))
		return object;
	json_object_put(object);
	return NULL;
}
