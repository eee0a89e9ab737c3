/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_explain.c - the decision in user space, where a .expect file cannot look: accounts,
 * validity, the order of cuts, a stopped clock, bad questions; and the text that people get.
 */
#include "tests/unit/compiled.h"

#include <netinet/in.h>

#include "user/policy/target.h"

static const char policy[] =
	"weir: 1\nname: t\nmode: enforce\nzone: UTC\n"
	"services:\n"
	"  sftp: {cgroup: a, class: [exchange], budget: [2TiB/24h]}\n"
	"  learn: {cgroup: b, mode: observe}\n"
	"partners:\n"
	"  p: {addresses: [192.0.2.0/24], class: [hospital], budget: [5GiB/24h]}\n"
	"  old: {addresses: [198.51.100.1], until: 2027-02-28}\n"
	"  new: {addresses: [198.51.100.2], from: 2027-03-02}\n"
	"grants:\n"
	"- {name: night, service: sftp, partner: p, serves: tcp/22, budget: [1GiB/1h, 2GiB/20h],\n"
	"   hours: Mon-Fri 20:00-04:00, on_breach: sever, class: [bulk]}\n"
	"- {name: trial, service: sftp, partner: p, serves: tcp/22-23, budget: none,\n"
	"   mode: observe}\n"
	"- {name: all, service: any, partner: any, serves: tcp/1-100, calls_back: tcp/5000,\n"
	"   budget: none}\n"
	"lifeline:\n"
	"- {service: sftp, serves: tcp/2222, to: [192.0.2.128/25], why: jump, warn: 1MiB/1h}\n"
	"strangers: {serves: [64KiB/10m], calls: deny, total: [1MiB/1h], on_breach: hold}\n";

#define AT_20 (TEST_NOW_NS + 8 * 3600 * 1000000000ull)
#define AT_04 (TEST_NOW_NS + 16 * 3600 * 1000000000ull)

static void test_account_and_validity(void **state)
{
	struct image image = compile_good(policy);
	uint64_t sftp = image_key("service", "sftp"), p = image_key("partner", "p");
	struct weir_answer answer;

	(void)state;
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/22", "192.0.2.1", AT_20);
	assert_int_equal(answer.reason, WEIR_REASON_GRANT);
	assert_true(answer.account == weir_meter_key(image_key("grant", "night"), sftp, p));
	assert_int_equal(answer.valid_until_ns, AT_04);
	/* out of its hours the next grants are asked: one observes, one decides */
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/22", "192.0.2.1", AT_20 - 1);
	assert_string_equal(image.grant_names[answer.grant], "all");
	assert_string_equal(image.grant_names[answer.shadow], "trial");
	assert_int_equal(answer.valid_until_ns, AT_20);
	/* no hours were looked at */
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/80", "192.0.2.1", AT_20);
	assert_true(answer.valid_until_ns == UINT64_MAX);
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/80", "203.0.113.1", AT_20);
	assert_int_equal(answer.verdict, WEIR_PASS);
	assert_int_equal(answer.reason, WEIR_REASON_STRANGER);
	assert_true(answer.account == weir_meter_key(WEIR_KEY_STRANGERS, sftp, 0));
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/2222", "192.0.2.200", AT_20);
	assert_true(answer.account == weir_meter_key(WEIR_KEY_LIFELINE, sftp, p));
	answer = ask(&image, "stack", WEIR_CALLS, "icmp", "203.0.113.1", AT_20);
	assert_true(answer.account == weir_meter_key(WEIR_KEY_STACK, WEIR_KEY_SERVICE_STACK, 0));
	image_free(&image);
}

static void test_from_until(void **state)
{
	struct image image = compile_good(policy);
	struct weir_answer answer;

	(void)state;
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/80", "198.51.100.1", TEST_NOW_NS);
	assert_int_equal(answer.reason, WEIR_REASON_EXPIRED);
	assert_true(answer.valid_until_ns == UINT64_MAX);
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/101", "198.51.100.1", TEST_NOW_NS);
	assert_int_equal(answer.reason, WEIR_REASON_NO_GRANT);
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/80", "198.51.100.2", TEST_NOW_NS);
	assert_int_equal(answer.reason, WEIR_REASON_EXPIRED);
	assert_int_equal(answer.valid_until_ns, image.partners[3].from_ns);
	answer = ask(&image, "sftp", WEIR_SERVES, "tcp/80", "198.51.100.2",
		     image.partners[3].from_ns);
	assert_int_equal(answer.reason, WEIR_REASON_GRANT);
	image_free(&image);
}

static void test_hours_closed(void **state)
{
	struct image image = compile_good(policy);
	struct weir_question question =
		make_question(&image, "sftp", WEIR_SERVES, "tcp/22", "192.0.2.1");
	struct weir_answer answer;

	(void)state;
	explain_decide(&image, NULL, &question, AT_20, true, &answer);
	assert_string_equal(image.grant_names[answer.grant], "all");
	question.port = 101;
	explain_decide(&image, NULL, &question, AT_20, true, &answer);
	assert_int_equal(answer.reason, WEIR_REASON_NO_GRANT);
	image_free(&image);
}

static void test_calls_back(void **state)
{
	struct image image = compile_good(policy);
	struct weir_answer answer;

	(void)state;
	answer = ask(&image, "sftp", WEIR_CALLS_BACK, "tcp/5000", "192.0.2.1", TEST_NOW_NS);
	assert_int_equal(answer.reason, WEIR_REASON_GRANT);
	assert_int_equal(answer.direction, WEIR_CALLS_BACK);
	answer = ask(&image, "sftp", WEIR_CALLS, "tcp/5000", "192.0.2.1", TEST_NOW_NS);
	assert_int_equal(answer.reason, WEIR_REASON_NO_GRANT);
	assert_int_equal(answer.verdict, WEIR_REFUSE);
	assert_int_equal(answer.direction, WEIR_CALLS);
	image_free(&image);
}

/* ---- cuts
 * --------------------------------------------------------------------------------------*/

static struct weir_cut_entry cut(const struct image *image, const char *text, uint64_t order,
				 bool is_exception)
{
	struct weir_cut_entry entry;
	char *problem;

	assert_int_equal(target_resolve(image, text, &entry, &problem), 0);
	entry.order = order;
	entry.is_exception = is_exception;
	return entry;
}

static struct weir_answer ask_cut(const struct image *image, struct weir_cut_entry *entry,
				  size_t count, const char *service, const char *endpoint,
				  const char *peer)
{
	struct order_table cuts = {.entry = entry, .count = count};
	struct weir_question question = make_question(image, service, WEIR_SERVES, endpoint, peer);
	struct weir_answer answer;

	explain_decide(image, &cuts, &question, AT_20, false, &answer);
	return answer;
}

static void test_cuts(void **state)
{
	struct image image = compile_good(policy);
	struct weir_cut_entry entry[] = {
		cut(&image, "all", 5, false),
		cut(&image, "partner:p", 6, true),
		cut(&image, "addr:192.0.2.64/26", 7, false),
		cut(&image, "addr:192.0.2.65", 8, true),
		cut(&image, "class:bulk", 9, false),
	};
	struct weir_answer answer;

	(void)state;
	answer = ask_cut(&image, entry, 5, "sftp", "tcp/22", "203.0.113.1");
	assert_int_equal(weir_order_of(&answer), 5);
	assert_int_equal(answer.verdict, WEIR_REFUSE);
	assert_true(answer.account ==
		    weir_meter_key(WEIR_KEY_REFUSED, image_key("service", "sftp"), 0));
	answer = ask_cut(&image, entry, 5, "sftp", "tcp/80", "192.0.2.1");
	assert_int_equal(weir_order_of(&answer), 0);
	answer = ask_cut(&image, entry, 5, "sftp", "tcp/80", "192.0.2.64");
	assert_int_equal(weir_order_of(&answer), 7);
	answer = ask_cut(&image, entry, 5, "sftp", "tcp/80", "192.0.2.65");
	assert_int_equal(weir_order_of(&answer), 0);
	/* the class of the grant that decides */
	answer = ask_cut(&image, entry, 5, "sftp", "tcp/22", "192.0.2.65");
	assert_int_equal(weir_order_of(&answer), 9);
	assert_string_equal(image.grant_names[answer.grant], "night");
	/* above a cut: the lifeline alone */
	answer = ask_cut(&image, entry, 5, "sftp", "tcp/2222", "192.0.2.200");
	assert_int_equal(answer.reason, WEIR_REASON_LIFELINE);
	answer = ask_cut(&image, entry, 5, "stack", "icmp", "203.0.113.1");
	assert_int_equal(answer.reason, WEIR_REASON_CUT);
	/* a cut holds in observe too */
	answer = ask_cut(&image, entry, 5, "learn", "tcp/80", "203.0.113.1");
	assert_int_equal(answer.observe, 0);
	answer = ask_cut(&image, entry, 0, "learn", "tcp/80", "203.0.113.1");
	assert_int_equal(answer.observe, 1);
	image_free(&image);
}

/* An exception belongs to the cut before it, not to one before that. */
static void test_exception_of_another_cut(void **state)
{
	struct image image = compile_good(policy);
	struct weir_cut_entry entry[] = {
		cut(&image, "partner:p", 1, false),
		cut(&image, "class:hospital", 2, false),
		cut(&image, "partner:p", 3, true),
	};

	(void)state;
	assert_int_equal(ask_cut(&image, entry, 3, "sftp", "tcp/80", "192.0.2.1").order, 1);
	assert_int_equal(ask_cut(&image, entry + 1, 2, "sftp", "tcp/80", "192.0.2.1").order, 0);
	entry[0].target = WEIR_TARGET_NOTHING;
	assert_int_equal(ask_cut(&image, entry, 3, "sftp", "tcp/80", "192.0.2.1").order, 0);
	image_free(&image);
}

static void test_unknown_service(void **state)
{
	struct image image = compile_good(policy);
	struct weir_question question = {.service = 4711, .protocol = IPPROTO_TCP};
	struct weir_answer answer;

	(void)state;
	explain_decide(&image, NULL, &question, AT_20, false, &answer);
	assert_int_equal(answer.verdict, WEIR_REFUSE);
	assert_int_equal(answer.reason, WEIR_REASON_UNCLASSIFIED);
	image_free(&image);
}

/* ---- text
 * --------------------------------------------------------------------------------------*/

static void assert_says(const struct image *image, const char *service, const char *endpoint,
			const char *peer, const char *const *parts)
{
	struct weir_question question = make_question(image, service, WEIR_SERVES, endpoint, peer);
	struct weir_answer answer;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	explain_decide(image, NULL, &question, AT_20, false, &answer);
	explain_print(image, &question, &answer, out);
	fclose(out);
	for (; *parts; parts++) {
		if (!strstr(text, *parts))
			print_error("\"%s\" is not in:\n%s", *parts, text);
		assert_non_null(strstr(text, *parts));
	}
	free(text);
}

static void test_text(void **state)
{
	struct image image = compile_good(policy);
	const char *const grant[] = {
		"pass: grant\n",
		"sftp (class exchange)\n",
		"p (class hospital)\n",
		"192.0.2.1, serves tcp/22\n",
		"grant night: serves tcp/22\n",
		"grant night: 1GiB in any 1h, 2GiB in any 20h; on breach: sever\n",
		"service sftp: 2TiB in any 24h; on breach: hold\n",
		"partner p: 5GiB in any 24h; on breach: hold\n",
		"until    Tue 2027-03-02 04:00:00 UTC\n",
		NULL,
	};
	const char *const stranger[] = {
		"pass: stranger\n",
		"none: a stranger\n",
		"each stranger of sftp: 64KiB in any 10m; on breach: hold\n",
		"all strangers of sftp: 1MiB in any 1h; on breach: hold\n",
		"until    the policy or an order changes\n",
		NULL,
	};
	const char *const lifeline[] = {"pass: lifeline\n", "serves tcp/2222\n",
					"1MiB in any 1h; on breach: an alarm", NULL};

	(void)state;
	setenv("TZ", "UTC", 1);
	assert_says(&image, "sftp", "tcp/22", "192.0.2.1", grant);
	assert_says(&image, "sftp", "tcp/22", "203.0.113.1", stranger);
	assert_says(&image, "sftp", "tcp/2222", "192.0.2.200", lifeline);
	image_free(&image);
}

/* ---- what people write
 * -------------------------------------------------------------------------*/

static void test_endpoints(void **state)
{
	static const char *const bad[] = {"tcp",   "tcp/",    "tcp/0",	   "tcp/65536", "/22",
					  "22/",   "tcp/2x",  "icmp/1",	   "proto/0",	"proto/256",
					  "tpc/1", "tcp/1-2", "22/22/tcp", "tcp/ 22",	""};
	struct weir_question question = {.peer = {0x20, 1}};
	char text[ENDPOINT_TEXT];

	(void)state;
	assert_int_equal(question_endpoint("22/tcp", &question), 0);
	assert_int_equal(question.port, 22);
	assert_int_equal(question_endpoint("udp/65535", &question), 0);
	assert_int_equal(question.protocol, IPPROTO_UDP);
	assert_int_equal(question_endpoint("icmp", &question), 0);
	assert_int_equal(question.protocol, IPPROTO_ICMPV6);
	assert_int_equal(question_endpoint("proto/47", &question), 0);
	assert_int_equal(question.protocol, 47);
	assert_int_equal(question.port, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(question_endpoint(bad[i], &question), 0);
	endpoint_format(47, 0, 65535, text, sizeof(text));
	assert_string_equal(text, "proto/47");
	endpoint_format(IPPROTO_UDPLITE, 50000, 50100, text, sizeof(text));
	assert_string_equal(text, "udplite/50000-50100");
}

static void test_moments(void **state)
{
	static const char *const bad[] = {"2027-03-01",
					  "2027-03-01T25:00Z",
					  "2027-02-29T00:00Z",
					  "2027-03-01T20:00+1:00",
					  "2027-03-01T20:00X",
					  "2027-03-01T20:60Z",
					  "2027-03-01T20:00:61Z",
					  "1970-01-01T00:00+01:00",
					  "2027-03-01x20:00Z",
					  "2027-03-01T20:00 +01:00",
					  ""};
	uint64_t ns;

	(void)state;
	assert_int_equal(moment_parse("2027-03-01T12:00Z", NULL, &ns), 0);
	assert_true(ns == TEST_NOW_NS);
	assert_int_equal(moment_parse("2027-03-01 13:00:00+01:00", NULL, &ns), 0);
	assert_true(ns == TEST_NOW_NS);
	assert_int_equal(moment_parse("2027-03-01T06:30:00-05:30", NULL, &ns), 0);
	assert_true(ns == TEST_NOW_NS);
	assert_int_equal(moment_parse("2027-03-01T13:00", "Europe/Berlin", &ns), 0);
	assert_true(ns == TEST_NOW_NS);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(moment_parse(bad[i], "UTC", &ns), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account_and_validity),
		cmocka_unit_test(test_from_until),
		cmocka_unit_test(test_hours_closed),
		cmocka_unit_test(test_calls_back),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_exception_of_another_cut),
		cmocka_unit_test(test_unknown_service),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_moments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
