/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_drill.c - which partner a drill may cut, and what the daemon says of it beforehand.
 */
#include "tests/unit/a_host.h"
#include "tests/unit/ordering.h"

#define LEAD                                                                                       \
	"weir: 1\nname: test\nmode: enforce\n"                                                     \
	"services: {sftp: {cgroup: a}}\n"                                                          \
	"lifeline: [{service: sftp, serves: tcp/22, to: [192.0.2.0/28], why: jump}]\n"             \
	"partners:\n  nord: {addresses: [198.51.100.0/28]}\n"

static json_object *drill(struct host *host, const char *target)
{
	char request[128];

	snprintf(request, sizeof(request), "{\"request\":\"drill\"%s%s%s}",
		 target ? ",\"target\":\"" : "", target ? target : "", target ? "\"" : "");
	return ask(host, request);
}

static void only_who_is_marked(void **state)
{
	struct host *host = *state;
	json_object *answer;

	take_policy(host, LEAD "  test: {addresses: [192.0.2.64/28], drill: \"192.0.2.65:443\"}\n");
	answer = drill(host, NULL);
	expect_code(answer, 0);
	assert_string_equal(json_object_get_string(member(answer, "target")), "partner:test");
	assert_int_equal(json_object_get_int(member(member(answer, "drill"), "port")), 443);
	assert_string_equal(json_object_get_string(member(answer, "by")), "me");
	json_object_put(answer);
	done(drill(host, "partner:test"));
	refused(drill(host, "partner:nord"), "does not mark");
	refused(drill(host, "partner:tets"), "test");
	refused(drill(host, "partner:test@service:sftp"), "no partner");
	refused(drill(host, "addr:192.0.2.65"), "no partner");
	refused(drill(host, "all"), "no partner");
	done(cut(host, "addr:192.0.2.65"));
	refused(drill(host, NULL), "is cut, or a part of it, by c1");
	assert_int_equal(fake.order_count, 1);
}

static void no_place_that_a_cut_would_not_stop(void **state)
{
	struct host *host = *state;

	take_policy(host, LEAD "  test: {addresses: [192.0.2.0/24], drill: \"192.0.2.1:443\"}\n");
	refused(drill(host, NULL), "the lifeline");
	take_policy(host, LEAD "  test: {addresses: [192.0.2.0/24], drill: \"192.0.2.129:443\"}\n"
			       "  other: {addresses: [192.0.2.128/28]}\n");
	refused(drill(host, NULL), "another partner");
}

static void nobody_is_guessed(void **state)
{
	struct host *host = *state;

	take_policy(host, LEAD);
	refused(drill(host, NULL), "marks no partner");
	take_policy(host, LEAD "  a: {addresses: [192.0.2.65], drill: true}\n"
			       "  b: {addresses: [192.0.2.66], drill: true}\n");
	refused(drill(host, NULL), "name one");
	done(drill(host, "partner:b"));
}

static void orders_tell_when(void **state)
{
	struct host *host = *state;
	json_object *answer = cut(host, "partner:nord"), *times = member(answer, "boot_ns");
	uint64_t accepted = json_object_get_uint64(member(times, "accepted"));
	uint64_t in_force = json_object_get_uint64(member(times, "in_force"));
	uint64_t saved = json_object_get_uint64(member(times, "saved"));

	assert_true(accepted <= in_force && in_force <= saved && saved <= boot_now());
	json_object_put(answer);
	answer = reopen(host, "partner:nord", NULL);
	times = member(answer, "boot_ns");
	accepted = json_object_get_uint64(member(times, "accepted"));
	in_force = json_object_get_uint64(member(times, "in_force"));
	saved = json_object_get_uint64(member(times, "saved"));
	assert_true(accepted <= saved && saved <= in_force && in_force <= boot_now());
	json_object_put(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_who_is_marked, host_up, host_down),
		cmocka_unit_test_setup_teardown(no_place_that_a_cut_would_not_stop, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(nobody_is_guessed, host_up, host_down),
		cmocka_unit_test_setup_teardown(orders_tell_when, host_up, host_down),
	};

	return cmocka_run_group_tests_name("drill", tests, NULL, NULL);
}
