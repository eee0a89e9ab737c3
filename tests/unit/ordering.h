/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ordering.h - orders to a host of a_host.h, and what becomes of them.
 */
#ifndef WEIR_ORDERING_H
#define WEIR_ORDERING_H

#include "tests/unit/a_host.h"
#include "user/base/cleanup.h"
#include "user/daemon/returning.h"

__attribute__((unused)) static json_object *cut(struct host *host, const char *target)
{
	char request[256];

	snprintf(request, sizeof(request),
		 "{\"request\":\"cut\",\"targets\":[\"%s\"],\"reason\":\"why\"}", target);
	return ask(host, request);
}

/* One of `target` and `order` may be NULL. */
__attribute__((unused)) static json_object *reopen(struct host *host, const char *target,
						   const char *order)
{
	char request[256];

	if (target && order)
		snprintf(request, sizeof(request),
			 "{\"request\":\"reopen\",\"targets\":[\"%s\"],\"order\":\"%s\","
			 "\"reason\":\"why\"}",
			 target, order);
	else
		snprintf(request, sizeof(request),
			 "{\"request\":\"reopen\",%s\"%s\"%s,\"reason\":\"why\"}",
			 target ? "\"targets\":[" : "\"order\":", target ? target : order,
			 target ? "]" : "");
	return ask(host, request);
}

/* `more`: an object of what else stands in the request. */
__attribute__((unused)) static json_object *apply(struct host *host, const char *text,
						  const char *more)
{
	json_object *request = json_tokener_parse(more);
	json_object *files = json_object_new_array(), *file = json_object_new_object(), *answer;

	json_object_object_add(request, "request", json_object_new_string("apply"));
	json_object_object_add(file, "name", json_object_new_string("p.yaml"));
	json_object_object_add(file, "text", json_object_new_string(text));
	json_object_array_add(files, file);
	json_object_object_add(request, "files", files);
	answer = ask(host, json_object_to_json_string(request));
	json_object_put(request);
	return answer;
}

/* Policies that differ by their name, of four letters; malloc'd. */
__attribute__((unused)) static char *policy_named(const char *name)
{
	char *text = strdup(a_policy);

	memcpy(strstr(text, "name: test") + 6, name, 4);
	return text;
}

/* With 0 it is not on trial. */
__attribute__((unused)) static json_object *apply_named(struct host *host, const char *name,
							int confirm_seconds)
{
	char *text = policy_named(name), more[64] = "{}";
	json_object *answer;

	if (confirm_seconds)
		snprintf(more, sizeof(more), "{\"confirm_seconds\":%d}", confirm_seconds);
	answer = apply(host, text, more);
	free(text);
	return answer;
}

/* For a while. */
__attribute__((unused)) static json_object *apply_for(struct host *host, const char *name,
						      int for_seconds)
{
	char *text = policy_named(name), more[96];
	json_object *answer;

	snprintf(more, sizeof(more), "{\"for_seconds\":%d,\"reason\":\"an emergency\"}",
		 for_seconds);
	answer = apply(host, text, more);
	free(text);
	return answer;
}

/* ---- what became of it ---------------------------------------------------------------------- */

__attribute__((unused)) static void done(json_object *answer)
{
	expect_code(answer, 0);
	json_object_put(answer);
}

__attribute__((unused)) static void refused(json_object *answer, const char *why)
{
	expect_code(answer, 1);
	if (!strstr(json_object_get_string(member(answer, "problem")), why))
		fail_msg("%s", json_object_to_json_string(answer));
	json_object_put(answer);
}

/* ---- what the guard does by itself ---------------------------------------------------------- */

/* The time of the policy on trial is over, and nobody asks. */
__attribute__((unused)) static int end_by_itself(struct host *host, char **problem)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	struct json_out reply = {.out = open_memstream(&text, &length)};
	int r;

	assert_non_null(reply.out);
	json_open(&reply, NULL, '{');
	r = host_rollback(host, "guard", NULL, &reply, problem);
	json_close(&reply, '}');
	fclose(reply.out);
	return r;
}

/* Severs a meter, which is made if it is not there. Returns its account. */
__attribute__((unused)) static uint64_t latch(const char *grant, const char *service,
					      const char *partner, uint64_t severed_ns)
{
	struct weir_meter meter = {.grant_key = image_key("grant", grant),
				   .service_key = image_key("service", service),
				   .partner_key = image_key("partner", partner),
				   .severed_ns = severed_ns};
	uint64_t key = weir_meter_key(meter.grant_key, meter.service_key, meter.partner_key);
	size_t at = 0;

	while (at < fake.meter_count && fake.meter_keys[at] != key)
		at++;
	assert_int_equal(fake_put(&fake, at, key, &meter), 0);
	return key;
}

#endif
