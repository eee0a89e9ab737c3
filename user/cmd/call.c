/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * call.c - a command's request and its answer.
 */
#include "user/cmd/call.h"

#include <errno.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/now.h"
#include "user/daemon/ask.h"
#include "user/policy/policy.h"

static const struct call_ways *ways;

void call_goes(const struct call_ways *now)
{
	ways = now;
}

json_object *call_new(const char *name)
{
	json_object *request = json_object_new_object();

	call_put_text(request, "request", name);
	return request;
}

void call_put_text(json_object *request, const char *key, const char *text)
{
	if (text)
		json_object_object_add(request, key, json_object_new_string(text));
}

void call_put_targets(json_object *request, const struct arguments *arguments)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < arguments->count; i++)
		json_object_array_add(list, json_object_new_string(arguments->item[i]));
	json_object_object_add(request, "targets", list);
}

void call_put_asked(json_object *request)
{
	json_object_object_add(request, "asked_boot_ns",
			       json_object_new_int64((int64_t)boot_now()));
}

char *call_target(const char *text)
{
	char *target;

	if (strchr(text, ':') || strcmp(text, "all") == 0 || strcmp(text, "strangers") == 0)
		return strdup(text);
	return asprintf(&target, "partner:%s", text) < 0 ? NULL : target;
}

/* ---- asking --------------------------------------------------------------------------------- */

static int no_answer(const struct arguments *arguments, int error)
{
	if (ask_found_nobody(error)) {
		command_refuse(arguments, "no daemon answers for instance %s", arguments->instance);
		return CMD_NO_DAEMON;
	}
	return command_refuse(arguments, "cannot ask the daemon: %s", strerror(-error));
}

static int ask(const struct arguments *arguments, const char *request, call_way without,
	       char **text, bool *by_daemon)
{
	_cleanup_free_ char *problem = NULL;
	int r = ways->asks_daemon ? ask_daemon(arguments->instance, request, text) : -ECONNREFUSED;

	*by_daemon = r == 0;
	if (r == 0)
		return CMD_DONE;
	if (!ask_found_nobody(r) || !without)
		return no_answer(arguments, r);
	r = without(arguments->instance, request, text, &problem);
	if (r == 0)
		return CMD_DONE;
	command_refuse(arguments, "no daemon answers, and no guard can be opened: %s",
		       problem ? problem : strerror(-r));
	return CMD_NO_DAEMON;
}

static void print_problems(const struct arguments *arguments, json_object *object)
{
	fputs(field_text(object, "details"), stderr);
	if (field_text(object, "problem")[0])
		command_refuse(arguments, "%s", field_text(object, "problem"));
}

static int call(const struct arguments *arguments, json_object *request, call_way without,
		struct answer *answer)
{
	_cleanup_free_ char *text = NULL;
	int code;

	*answer = (struct answer){0};
	code = ask(arguments, json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN),
		   without, &text, &answer->by_daemon);
	json_object_put(request);
	if (code != CMD_DONE)
		return code;
	answer->object = json_tokener_parse(text);
	if (!json_object_is_type(answer->object, json_type_object))
		return command_refuse(arguments, "the daemon's answer cannot be read");
	print_problems(arguments, answer->object);
	return field_number(answer->object, "code");
}

int call_host(const struct arguments *arguments, json_object *request, bool may_go_without,
	      struct answer *answer)
{
	return call(arguments, request, may_go_without ? ways->on_guard : NULL, answer);
}

int call_journal(const struct arguments *arguments, json_object *request, struct answer *answer)
{
	return call(arguments, request, ways->on_journal, answer);
}

void answer_free(struct answer *answer)
{
	json_object_put(answer->object);
	*answer = (struct answer){0};
}

json_object *call_files(const struct sources *sources)
{
	json_object *files = json_object_new_array();

	for (size_t i = 0; i < sources->count; i++) {
		json_object *file = json_object_new_object();

		call_put_text(file, "name", sources->item[i].name);
		json_object_object_add(
			file, "text",
			json_object_new_string_len(sources->item[i].text, sources->item[i].length));
		json_object_array_add(files, file);
	}
	return files;
}
