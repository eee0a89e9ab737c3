/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_read.c - the policy reader: what it takes, and what it makes of it. */
#include <netinet/in.h>

#include "tests/unit/policy_text.h"
#include "user/base/units.h"

static void test_the_shortest_policy(void **state)
{
	struct policy policy;

	(void)state;
	read_good(HEAD, &policy);
	assert_string_equal(policy.name, "t");
	assert_int_equal(policy.mode, WEIR_ENFORCE);
	assert_null(policy.zone);
	assert_false(policy.strangers.is_given);
	policy_free(&policy);
}

static void test_four_eyes(void **state)
{
	struct policy policy;

	(void)state;
	read_good(HEAD, &policy);
	assert_false(policy.four_eyes);
	policy_free(&policy);
	read_good(HEAD "four_eyes: true\n", &policy);
	assert_true(policy.four_eyes);
	policy_free(&policy);
	read_good(HEAD "four_eyes: false\n", &policy);
	assert_false(policy.four_eyes);
	policy_free(&policy);
}

static void expect_reserve(const char *written, uint64_t bytes, uint64_t ns)
{
	struct policy policy;
	char text[512];

	snprintf(text, sizeof(text),
		 HEAD "services: {s: {cgroup: a}}\npartners: {p: {addresses: 192.0.2.1}}\n"
		      "grants:\n  - {name: g, service: s, partner: p, serves: tcp/1, "
		      "budget: [1MiB/1h]%s}\n",
		 written);
	read_good(text, &policy);
	assert_int_equal(policy.grants[0].reserve.limit.bytes, bytes);
	assert_int_equal(policy.grants[0].reserve.limit.window_ns, ns);
	policy_free(&policy);
}

static void test_reserve(void **state)
{
	(void)state;
	expect_reserve("", 0, 0);
	expect_reserve(", reserve: 5GiB/7d", UINT64_C(5) << 30, 7 * NS_PER_DAY);
	expect_reserve(", reserve: 5GiB / 7d", UINT64_C(5) << 30, 7 * NS_PER_DAY);
	expect_reserve(", reserve: \"1B/1s\"", 1, NS_PER_SECOND);
}

static void test_strangers_left_out_are_denied(void **state)
{
	struct policy policy;

	(void)state;
	read_good(HEAD, &policy);
	assert_true(policy.strangers.serves.is_deny);
	assert_true(policy.strangers.calls.is_deny);
	assert_true(policy.strangers.total.is_none);
	policy_free(&policy);
}

static void test_strangers_of_a_service(void **state)
{
	struct policy policy;
	const struct strangers *strangers;

	(void)state;
	read_good(HEAD "services:\n  s:\n    cgroup: a\n    strangers:\n      serves: [60MiB/1h]\n"
		       "      calls: none\n      total: [24GiB/1h]\n      on_breach: sever\n",
		  &policy);
	strangers = &policy.services[0].strangers;
	assert_true(strangers->is_given);
	assert_int_equal(strangers->serves.window[0].bytes, 60 << 20);
	assert_false(strangers->serves.is_deny);
	assert_true(strangers->calls.is_none);
	assert_int_equal(strangers->total.count, 1);
	assert_int_equal(strangers->on_breach, WEIR_SEVER);
	policy_free(&policy);
}

static void test_a_service(void **state)
{
	struct policy policy;
	const struct service *service;

	(void)state;
	read_good(HEAD "services:\n  sftp:\n    cgroup: [a/b.service, a/c-*]\n    class: exchange\n"
		       "    budget: [2TiB/20h]\n    mode: observe\n",
		  &policy);
	assert_int_equal(policy.service_count, 1);
	service = &policy.services[0];
	assert_string_equal(service->name.text, "sftp");
	assert_int_equal(service->cgroups.count, 2);
	assert_string_equal(service->cgroups.item[1].text, "a/c-*");
	assert_string_equal(service->classes.item[0].text, "exchange");
	assert_int_equal(service->budget.window[0].window_ns, 20 * NS_PER_HOUR);
	assert_int_equal(service->mode, WEIR_OBSERVE);
	assert_false(service->strangers.is_given);
	policy_free(&policy);
}

static void test_a_partner(void **state)
{
	struct policy policy;
	const struct partner *partner;

	(void)state;
	read_good(HEAD "zone: UTC\npartners:\n  klinik:\n"
		       "    addresses: [198.51.100.0/28, \"2001:db8:1::/64\"]\n"
		       "    class: [hospital, north]\n    budget: none\n    from: 2026-01-01\n"
		       "    until: 2027-12-31\n    info: {owner: Einkauf, ticket: CHG-1}\n",
		  &policy);
	partner = &policy.partners[0];
	assert_int_equal(partner->addresses.count, 2);
	assert_int_equal(partner->addresses.item[0].bits, 96 + 28);
	assert_int_equal(partner->addresses.item[1].bits, 64);
	assert_int_equal(partner->classes.count, 2);
	assert_true(partner->budget.is_none);
	assert_string_equal(partner->info_keys.item[1].text, "ticket");
	assert_string_equal(partner->info_values.item[1].text, "CHG-1");
	policy_free(&policy);
}

static void test_who_may_be_drilled_on(void **state)
{
	static const struct {
		const char *value;
		bool is_good, is_allowed;
		uint16_t port;
	} cases[] = {
		{"true", true, true, 0},
		{"false", true, false, 0},
		{"198.51.100.7:443", true, true, 443},
		{"\"[2001:db8:1::7]:22\"", true, true, 22},
		{"198.51.100.99:443", false, false, 0}, /* none of its addresses */
		{"198.51.100.7", false, false, 0},
		{"198.51.100.7:0", false, false, 0},
		{"198.51.100.7:65536", false, false, 0},
		{"198.51.100.7:44x", false, false, 0},
		{"\":443\"", false, false, 0},
		{"\"[]:443\"", false, false, 0},
		{"\"[198.51.100.7]:443\"", false, false, 0},
		{"\"2001:db8:1::7:22\"", false, false, 0}, /* where does the address end? */
		{"\"]:443\"", false, false, 0},
		{"\"[2001:db8:1::7:22\"", false, false, 0},
		{"yes", false, false, 0},
		{"[198.51.100.7]", false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		struct source source = {.name = (char *)"p.yaml", .text = text};
		struct sources sources = {&source, 1};
		struct policy policy = {0};
		struct faults faults = {0};
		int r;

		source.length = snprintf(text, sizeof(text),
					 HEAD "partners:\n  test:\n    addresses: "
					      "[198.51.100.0/28, \"2001:db8:1::/64\"]\n"
					      "    drill: %s\n",
					 cases[i].value);
		r = policy_read(&sources, &policy, &faults);
		if ((r == 0) != cases[i].is_good)
			fail_msg("drill: %s gave %d", cases[i].value, r);
		if (r == 0) {
			assert_int_equal(policy.partners[0].drill.is_allowed, cases[i].is_allowed);
			assert_int_equal(policy.partners[0].drill.port, cases[i].port);
		}
		policy_free(&policy);
		faults_free(&faults);
	}
}

static void test_until_includes_its_day(void **state)
{
	struct policy policy;

	(void)state;
	read_good(HEAD "zone: UTC\npartners: {p: {addresses: 192.0.2.1, from: 2026-01-01, until: "
		       "2026-01-01}}\n",
		  &policy);
	assert_int_equal(policy.partners[0].validity.from_ns, 1767225600 * NS_PER_SECOND);
	assert_int_equal(policy.partners[0].validity.until_ns,
			 1767225600 * NS_PER_SECOND + NS_PER_DAY);
	policy_free(&policy);
}

static void test_days_follow_the_zone(void **state)
{
	struct policy policy;

	(void)state;
	read_good(HEAD "zone: Europe/Berlin\npartners: {p: {addresses: 192.0.2.1, from: "
		       "2026-07-01}}\n",
		  &policy);
	/* 2026-06-30T22:00:00Z */
	assert_int_equal(policy.partners[0].validity.from_ns, 1782856800 * NS_PER_SECOND);
	assert_int_equal(policy.partners[0].validity.until_ns, UINT64_MAX);
	policy_free(&policy);
}

static void test_a_grant_s_own_zone_comes_first(void **state)
{
	struct policy policy;

	(void)state;
	read_good(HEAD "zone: Europe/Berlin\nservices: {s: {cgroup: a}}\n"
		       "partners: {p: {addresses: 192.0.2.1}}\n"
		       "grants: [{name: g, service: s, partner: p, serves: tcp/1, budget: none, "
		       "from: 2026-07-01, zone: UTC}]\n",
		  &policy);
	assert_int_equal(policy.grants[0].validity.from_ns,
			 1782856800 * NS_PER_SECOND + 2 * NS_PER_HOUR);
	policy_free(&policy);
}

static void test_a_grant(void **state)
{
	struct policy policy;
	const struct grant *grant;

	(void)state;
	read_good(HEAD "services: {s: {cgroup: a}}\npartners: {p: {addresses: 192.0.2.1}}\n"
		       "grants:\n  - name: g\n    service: [s, class:x, any]\n    partner: p\n"
		       "    serves: [tcp/22, tcp/50000-50100]\n    calls: icmp\n"
		       "    calls_back: [tcp/1024-65535, proto/47]\n"
		       "    budget: [12GiB/20h, 2GiB/1h]\n    hours: [Mon-Fri 20:00-04:00]\n"
		       "    on_breach: sever\n    mode: observe\n    class: [billing]\n",
		  &policy);
	grant = &policy.grants[0];
	assert_int_equal(grant->services.count, 3);
	assert_int_equal(grant->services.item[1].kind, SELECT_CLASS);
	assert_string_equal(grant->services.item[1].name, "x");
	assert_int_equal(grant->services.item[2].kind, SELECT_ANY);
	assert_int_equal(grant->endpoints.count, 5);
	assert_int_equal(grant->endpoints.item[1].port_last, 50100);
	assert_true(grant->endpoints.item[2].is_icmp);
	assert_int_equal(grant->endpoints.item[2].direction, WEIR_CALLS);
	assert_int_equal(grant->endpoints.item[4].protocol, 47);
	assert_int_equal(grant->endpoints.item[4].direction, WEIR_CALLS_BACK);
	assert_int_equal(grant->on_breach, WEIR_SEVER);
	assert_int_equal(grant->mode, WEIR_OBSERVE);
	policy_free(&policy);
}

static void test_windows_come_out_by_length(void **state)
{
	struct policy policy;

	(void)state;
	read_good(HEAD "services: {s: {cgroup: a, budget: [12GiB/20h, 10MB/5s, 2GiB/1h]}}\n",
		  &policy);
	assert_int_equal(policy.services[0].budget.count, 3);
	assert_int_equal(policy.services[0].budget.window[0].window_ns, 5 * NS_PER_SECOND);
	assert_int_equal(policy.services[0].budget.window[0].bytes, 10000000);
	assert_int_equal(policy.services[0].budget.window[2].window_ns, 20 * NS_PER_HOUR);
	policy_free(&policy);
}

static void test_hold_and_enforce_when_left_out(void **state)
{
	struct policy policy;

	(void)state;
	read_good(GRANT "serves: tcp/1}\n", &policy);
	assert_int_equal(policy.grants[0].on_breach, WEIR_HOLD);
	assert_int_equal(policy.grants[0].mode, WEIR_ENFORCE);
	assert_int_equal(policy.grants[0].hours.count, 0);
	policy_free(&policy);
}

static void test_a_lifeline(void **state)
{
	struct policy policy;
	const struct lifeline *lifeline;

	(void)state;
	read_good(HEAD "services: {admin: {cgroup: a}}\nlifeline:\n  - service: admin\n"
		       "    serves: tcp/22\n    calls: [udp/53]\n    to: [192.0.2.0/24]\n"
		       "    why: jump hosts\n    warn: 10MiB/1h\n",
		  &policy);
	lifeline = &policy.lifelines[0];
	assert_string_equal(lifeline->service.text, "admin");
	assert_int_equal(lifeline->endpoints.count, 2);
	assert_int_equal(lifeline->endpoints.item[1].protocol, IPPROTO_UDP);
	assert_string_equal(lifeline->why.text, "jump hosts");
	assert_int_equal(lifeline->warn.window[0].bytes, 10 << 20);
	policy_free(&policy);
}

static void test_partners_and_grants_of_an_included_file(void **state)
{
	static const char text[] = HEAD "include: more.yaml\nservices: {s: {cgroup: a}}\n";
	static const char included[] =
		"partners: {p: {addresses: 192.0.2.1}}\n"
		"grants: [{name: g, service: s, partner: p, serves: tcp/1, budget: none}]\n";
	struct faults faults = {0};
	struct policy policy;
	struct texts texts;

	(void)state;
	assert_int_equal(
		policy_read(texts_of(&texts, text, strlen(text), included), &policy, &faults), 0);
	assert_int_equal(policy.partner_count, 1);
	assert_int_equal(policy.partners[0].name.at.source, 1);
	assert_int_equal(policy.grant_count, 1);
	policy_free(&policy);
}

static void expect_hours(const char *text, uint8_t days, unsigned int from, unsigned int until)
{
	const struct hours *hours;
	struct policy policy;
	char whole[512];

	snprintf(whole, sizeof(whole), GRANT "serves: tcp/1, hours: [\"%s\"]}\n", text);
	read_good(whole, &policy);
	hours = &policy.grants[0].hours.item[0];
	assert_int_equal(hours->days, days);
	assert_int_equal(hours->from_minute, from);
	assert_int_equal(hours->until_minute, until);
	policy_free(&policy);
}

static void test_hours(void **state)
{
	(void)state;
	expect_hours("Mon-Fri 20:00-04:00", 0x1f, 1200, 240);
	expect_hours("Sun 00:00-24:00", 0x40, 0, 1440);
	expect_hours("Fri-Mon 09:30-17:00", 0x71, 570, 1020);
	expect_hours("Mon,Wed-Thu 01:00-02:00", 0x0d, 60, 120);
	expect_hours("20:00-00:00", 0x7f, 1200, 1440);
}

static void test_a_byte_order_mark_is_no_text(void **state)
{
	struct policy policy;

	(void)state;
	read_good("\xef\xbb\xbf" HEAD, &policy);
	policy_free(&policy);
}

static void test_lines_may_end_in_crlf(void **state)
{
	struct policy policy;

	(void)state;
	read_good("weir: 1\r\nname: t\r\nmode: enforce\r\n", &policy);
	assert_string_equal(policy.name, "t");
	policy_free(&policy);
}

static void test_the_digest_is_of_the_texts(void **state)
{
	struct policy a, b, c;

	(void)state;
	read_good(HEAD, &a);
	read_good(HEAD, &b);
	read_good(HEAD "#\n", &c);
	assert_memory_equal(a.digest, b.digest, sizeof(a.digest));
	assert_memory_not_equal(a.digest, c.digest, sizeof(a.digest));
	policy_free(&a);
	policy_free(&b);
	policy_free(&c);
}

static void test_the_default_observes_and_blocks_nothing(void **state)
{
	struct policy policy;

	(void)state;
	assert_int_equal(policy_default(&policy), 0);
	assert_int_equal(policy.mode, WEIR_OBSERVE);
	assert_true(policy.strangers.serves.is_none);
	assert_true(policy.strangers.calls.is_none);
	policy_free(&policy);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_shortest_policy),
		cmocka_unit_test(test_four_eyes),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_strangers_left_out_are_denied),
		cmocka_unit_test(test_strangers_of_a_service),
		cmocka_unit_test(test_a_service),
		cmocka_unit_test(test_a_partner),
		cmocka_unit_test(test_who_may_be_drilled_on),
		cmocka_unit_test(test_until_includes_its_day),
		cmocka_unit_test(test_days_follow_the_zone),
		cmocka_unit_test(test_a_grant_s_own_zone_comes_first),
		cmocka_unit_test(test_a_grant),
		cmocka_unit_test(test_windows_come_out_by_length),
		cmocka_unit_test(test_hold_and_enforce_when_left_out),
		cmocka_unit_test(test_a_lifeline),
		cmocka_unit_test(test_partners_and_grants_of_an_included_file),
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_a_byte_order_mark_is_no_text),
		cmocka_unit_test(test_lines_may_end_in_crlf),
		cmocka_unit_test(test_the_digest_is_of_the_texts),
		cmocka_unit_test(test_the_default_observes_and_blocks_nothing),
	};

	return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
