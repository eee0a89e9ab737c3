/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * two_people.h - a host of a_host.h under four eyes, people with logins of their own, and a clock
 * that the test moves.
 */
#ifndef WEIR_TWO_PEOPLE_H
#define WEIR_TWO_PEOPLE_H

#include <sys/syscall.h>

#include "tests/unit/ordering.h"
#include "user/base/units.h"

static uint64_t passed_ns; /* since the test began, in the test's clock alone */

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int r = syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME) {
		uint64_t ns = now->tv_nsec + passed_ns;

		now->tv_sec += ns / NS_PER_SECOND;
		now->tv_nsec = ns % NS_PER_SECOND;
	}
	return r;
}

static const struct caller alice = {.user = "root",
				    .has_login = true,
				    .login = 1001,
				    .login_user = "alice",
				    .by = "root(0) login alice(1001)"};
/* Without an entry in /etc/passwd. */
static const struct caller bob = {
	.user = "root", .has_login = true, .login = 1002, .by = "root(0) login uid 1002"};
static const struct caller nobody = {.user = "root", .by = "root(0)"};

__attribute__((unused)) static json_object *ask_as(struct host *host, const struct caller *who,
						   const char *request)
{
	char *text = request_answer(host, who, request, strlen(request));
	json_object *answer = json_tokener_parse(text);

	assert_non_null(answer);
	free(text);
	return answer;
}

__attribute__((unused)) static void does(struct host *host, const struct caller *who,
					 const char *request)
{
	done(ask_as(host, who, request));
}

__attribute__((unused)) static void is_refused(struct host *host, const struct caller *who,
					       const char *request, const char *why)
{
	refused(ask_as(host, who, request), why);
}

__attribute__((unused)) static void waits(struct host *host, const struct caller *who,
					  const char *request)
{
	is_refused(host, who, request, "it takes a second person");
}

/* What a request of this kind says of a policy; malloc'd. `more`: further fields, with a comma. */
__attribute__((unused)) static char *applying(const char *policy, const char *more)
{
	json_object *text = json_object_new_string(policy);
	char *request;

	assert_int_not_equal(asprintf(&request,
				      "{\"request\":\"apply\",\"path\":\"/etc/weir/policy.yaml\"%s,"
				      "\"files\":[{\"name\":\"p.yaml\",\"text\":%s}]}",
				      more, json_object_to_json_string(text)),
			     -1);
	json_object_put(text);
	return request;
}

/* a_policy with these lines; malloc'd. */
__attribute__((unused)) static char *policy_with(const char *lines)
{
	char *text = calloc(1, sizeof(a_policy) + strlen(lines));

	return strcat(strcpy(text, a_policy), lines);
}

__attribute__((unused)) static json_object *status_of(struct host *host)
{
	json_object *status = ask(host, "{\"request\":\"status\"}");

	expect_code(status, 0);
	return status;
}

__attribute__((unused)) static size_t pending_count(struct host *host)
{
	json_object *status = status_of(host);
	size_t count = json_object_array_length(member(member(status, "four_eyes"), "pending"));

	json_object_put(status);
	return count;
}

/* The record of the journal's last line; to be freed. */
__attribute__((unused)) static json_object *last_record(struct host *host)
{
	json_object *answer = ask(host, "{\"request\":\"orders\"}"),
		    *orders = member(answer, "orders"), *record;

	record = json_object_get(member(
		json_object_array_get_idx(orders, json_object_array_length(orders) - 1), "record"));
	json_object_put(answer);
	return record;
}

__attribute__((unused)) static const char *text_of(json_object *object, const char *key)
{
	return json_object_get_string(member(object, key));
}

/* The policy with four eyes is in force, and kept as one that was applied. */
__attribute__((unused)) static int two_people_up(void **state)
{
	struct host *host;
	char *policy = policy_with("four_eyes: true\n");

	passed_ns = 0;
	host_up(state);
	host = *state;
	done(apply(host, policy, "{}"));
	assert_true(host->image.four_eyes);
	free(policy);
	return 0;
}

#endif
