/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_read.c - the policy reader: what it takes, and where it says what is wrong. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/policy_text.h"
#include "user/base/units.h"

/* ---- what is good -----------------------------------------------------------------------------*/

#define GRANT                                                                                      \
	HEAD "services: {s: {cgroup: a}}\npartners: {p: {addresses: 192.0.2.1}}\ngrants:\n"        \
	     "  - {name: g, service: s, partner: p, budget: none, "

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

/* ---- what is not ------------------------------------------------------------------------------*/

#define P HEAD "partners:\n  p: "		      /* line 5, column 6 */
#define S HEAD "services:\n  s: "		      /* likewise */
#define B HEAD "services:\n  s: {cgroup: a, budget: " /* line 5, column 26 */
#define G GRANT					      /* line 7, column 53 */

static const struct expected errors[] = {
	/* keys */
	{"unknown key", HEAD "mood: x\n", 4, 1, "unknown key \"mood\" in the policy", NULL},
	{"unknown key, a near one", HEAD "partnres: {}\n", 4, 1, "did you mean \"partners\"?",
	 NULL},
	{"unknown key of a service", S "{cgroup: a, clas: x}\n", 5, 18, "did you mean \"class\"?",
	 NULL},
	{"unknown key of a grant", G "serve: tcp/1}\n", 7, 53, "did you mean \"serves\"?", NULL},
	{"duplicate key", HEAD "mode: observe\n", 4, 1, "duplicate key \"mode\"", NULL},
	{"duplicate key of a partner", P "{addresses: 192.0.2.1, addresses: 192.0.2.2}\n", 5, 29,
	 "duplicate key \"addresses\"", NULL},
	{"duplicate key of info", P "{addresses: 192.0.2.1, info: {a: b, a: c}}\n", 5, 42,
	 "duplicate key \"a\" in info", NULL},
	{"a key that is a list", HEAD "? [a]\n: b\n", 4, 3, "wrong type", NULL},
	{"missing weir", "name: t\nmode: enforce\n", 1, 1, "\"weir\" is missing", NULL},
	{"missing name", "weir: 1\nmode: enforce\n", 1, 1, "\"name\" is missing", NULL},
	{"missing mode", "weir: 1\nname: t\n", 1, 1, "\"mode\" is missing", NULL},
	{"missing service of a lifeline", HEAD "lifeline:\n  - to: 192.0.2.1\n    serves: tcp/22\n",
	 5, 5, "\"service\" is missing in a lifeline", NULL},
	{"missing cgroup", S "{class: x}\n", 5, 6, "\"cgroup\" is missing", NULL},
	{"missing addresses", P "{class: x}\n", 5, 6, "\"addresses\" is missing", NULL},
	{"missing direction", G "hours: 20:00-21:00}\n", 7, 5, "is missing in a grant", NULL},
	{"missing budget",
	 HEAD "services: {s: {cgroup: a}}\npartners: {p: {addresses: 192.0.2.1}}\n"
	      "grants:\n  - {name: g, service: s, partner: p, serves: tcp/1}\n",
	 7, 5, "\"budget\" is missing in a grant", NULL},
	{"another version", "weir: 2\nname: t\nmode: enforce\n", 1, 7, "version \"2\"", NULL},
	/* types */
	{"a list as the policy", "- weir\n", 1, 1, "wrong type", NULL},
	{"a word as services", HEAD "services: x\n", 4, 11, "wrong type", NULL},
	{"a list as partners", HEAD "partners: [x]\n", 4, 11, "wrong type", NULL},
	{"a mapping as grants", HEAD "grants: {x: y}\n", 4, 9, "wrong type", NULL},
	{"a word as a grant", HEAD "grants: [x]\n", 4, 10, "wrong type", NULL},
	{"a mapping as a name", "weir: 1\nname: {a: b}\nmode: enforce\n", 2, 7, "wrong type", NULL},
	{"a list as a mode", "weir: 1\nname: t\nmode: [enforce]\n", 3, 7, "wrong type", NULL},
	{"a mapping as addresses", P "{addresses: {a: b}}\n", 5, 18, "wrong type", NULL},
	{"a list in addresses", P "{addresses: [[192.0.2.1]]}\n", 5, 19, "wrong type", NULL},
	{"nothing as a partner", P "\n", 5, 5, "wrong type", NULL},
	{"nothing as a value", "weir: 1\nname:\nmode: enforce\n", 2, 6, "a value is missing", NULL},
	{"an empty list", P "{addresses: []}\n", 5, 18, "an empty list", NULL},
	{"an unknown mode", "weir: 1\nname: t\nmode: enforced\n", 3, 7, "did you mean \"enforce\"?",
	 NULL},
	{"an unknown breach", G "serves: tcp/1, on_breach: drop}\n", 7, 79, "hold, alert or sever",
	 NULL},
	/* names */
	{"a name with a colon", HEAD "partners:\n  \"a:b\": {addresses: 192.0.2.1}\n", 5, 3,
	 "is no name", NULL},
	{"a name that begins with a dash", HEAD "partners:\n  -a: {addresses: 192.0.2.1}\n", 5, 3,
	 "a letter or a digit comes first", NULL},
	{"a long name",
	 HEAD "partners:\n  abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvw: "
	      "{addresses: 192.0.2.1}\n",
	 5, 3, "at most 48 bytes", NULL},
	{"a partner called any", HEAD "partners:\n  any: {addresses: 192.0.2.1}\n", 5, 3,
	 "stands for each", NULL},
	{"a service that is built in", HEAD "services:\n  other: {cgroup: a}\n", 5, 3,
	 "is built in", NULL},
	/* addresses */
	{"no address", P "{addresses: 192.0.2}\n", 5, 18, "is no address or prefix", NULL},
	{"host bits", P "{addresses: [192.0.2.0/24, 198.51.100.1/28]}\n", 5, 33,
	 "the prefix is 198.51.100.0/28", NULL},
	{"host bits of IPv6", P "{addresses: [\"2001:db8::1/64\"]}\n", 5, 19,
	 "the prefix is 2001:db8::/64", NULL},
	{"a prefix too long", P "{addresses: 192.0.2.0/33}\n", 5, 18, "0 to 32", NULL},
	{"a prefix too long of IPv6", P "{addresses: \"::/129\"}\n", 5, 18, "0 to 128", NULL},
	{"a prefix with a sign", P "{addresses: 192.0.2.0/+8}\n", 5, 18, "0 to 32", NULL},
	/* budgets */
	{"an empty budget", B "[]}\n", 5, 26, "an empty budget", NULL},
	{"no unit", B "[5/1h]}\n", 5, 27, "the size is a whole number and a unit", NULL},
	{"a bad unit", B "[5Gb/1h]}\n", 5, 27, "the size is a whole number and a unit", NULL},
	{"a fraction", B "[1.5GB/1h]}\n", 5, 27, "the size is a whole number", NULL},
	{"a bad unit of time", B "[5GB/1w]}\n", 5, 27, "the span is a whole number and a unit",
	 NULL},
	{"no span", B "[5GB]}\n", 5, 27, "SIZE/SPAN", NULL},
	{"a size that overflows", B "[99999999999TiB/1h]}\n", 5, 27, "too large", NULL},
	{"a number that overflows", B "[99999999999999999999999B/1h]}\n", 5, 27, "too large", NULL},
	{"a span that overflows", B "[1B/999999999d]}\n", 5, 27, "too large", NULL},
	{"a budget of 0", B "[0B/1h]}\n", 5, 27, "a budget of 0", NULL},
	{"a span of 0", B "[1B/0s]}\n", 5, 27, "a budget of 0", NULL},
	{"four windows", B "[1B/1s, 2B/2s, 3B/3s, 4B/4s]}\n", 5, 48, "more than 3 windows", NULL},
	{"two windows of one span", B "[1GiB/1h, 2GiB/60m]}\n", 5, 36, "two windows of one span",
	 NULL},
	{"deny as a budget", B "deny}\n", 5, 26, "\"deny\" is no budget", NULL},
	/* ports */
	{"port 0", G "serves: tcp/0}\n", 7, 61, "a port is 1 to 65535", NULL},
	{"port 70000", G "serves: [tcp/22, tcp/70000]}\n", 7, 70, "a port is 1 to 65535", NULL},
	{"a port beyond all numbers", G "serves: tcp/99999999999999999999}\n", 7, 61,
	 "a port is 1 to 65535", NULL},
	{"a range from 0", G "serves: tcp/0-22}\n", 7, 61, "a port is 1 to 65535", NULL},
	{"a range backwards", G "serves: tcp/22-21}\n", 7, 61, "backwards", NULL},
	{"a port that is a word", G "serves: tcp/ssh}\n", 7, 61, "is no port or range", NULL},
	{"an open range", G "serves: tcp/22-}\n", 7, 61, "is no port or range", NULL},
	{"an unknown protocol", G "serves: quic/443}\n", 7, 61, "unknown protocol \"quic\"", NULL},
	{"an unknown protocol, a near one", G "serves: tpc/443}\n", 7, 61, "did you mean \"tcp\"?",
	 NULL},
	{"a protocol without its port", G "serves: tcp}\n", 7, 61, "its port is missing", NULL},
	{"protocol 256", G "serves: proto/256}\n", 7, 61, "1 to 255", NULL},
	{"an endpoint twice", G "serves: [tcp/1, tcp/1]}\n", 7, 69, "listed twice", NULL},
	/* times */
	{"hour 25", G "serves: tcp/1, hours: 20:00-25:00}\n", 7, 75, "no such hour", NULL},
	{"minute 60", G "serves: tcp/1, hours: 20:60-21:00}\n", 7, 75, "no such hour", NULL},
	{"unknown days", G "serves: tcp/1, hours: Foo-Bar 20:00-21:00}\n", 7, 75, "no such days",
	 NULL},
	{"the same start and end", G "serves: tcp/1, hours: Mon 20:00-20:00}\n", 7, 75,
	 "starts and ends at the same minute", NULL},
	{"hours without minutes", G "serves: tcp/1, hours: Mon 20-22}\n", 7, 75, "HH:MM-HH:MM",
	 NULL},
	{"an impossible day", P "{addresses: 192.0.2.1, until: 2027-02-30}\n", 5, 36,
	 "\"2027-02-30\" is no day", NULL},
	{"a day in words", P "{addresses: 192.0.2.1, until: tomorrow}\n", 5, 36, "YYYY-MM-DD",
	 NULL},
	{"until before from", P "{addresses: 192.0.2.1, from: 2027-01-02, until: 2027-01-01}\n", 5,
	 54, "until is before from", NULL},
	{"an unknown zone", HEAD "zone: Europe/Berlln\n", 4, 7, "unknown zone", NULL},
	{"a zone that is a path", HEAD "zone: ../../../etc/passwd\n", 4, 7, "unknown zone", NULL},
	/* paths */
	{"an absolute path", S "{cgroup: /a}\n", 5, 15, "begins without \"/\"", NULL},
	{"a path with ..", S "{cgroup: a/../b}\n", 5, 15, "lead nowhere", NULL},
	{"an empty component", S "{cgroup: a//b}\n", 5, 15, "an empty component", NULL},
	{"a slash at the end", S "{cgroup: a/}\n", 5, 15, "an empty component", NULL},
	{"a star in the middle", S "{cgroup: a/b*c}\n", 5, 15, "at the end of a component", NULL},
	{"two stars", S "{cgroup: a/b**}\n", 5, 15, "at the end of a component", NULL},
	{"a component of 96 bytes",
	 S
	 "{cgroup: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaa}\n",
	 5, 15, "at most 95 bytes", NULL},
	{"a path 17 deep", S "{cgroup: 1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17}\n", 5, 15,
	 "deeper than 16", NULL},
	/* YAML */
	{"an empty file", "# nothing\n", 1, 1, "an empty file", NULL},
	{"an open bracket", HEAD "include: [b\n", 5, 1, "not YAML", NULL},
	{"a tab as indent", HEAD "services:\n\ta: b\n", 5, 1, "not YAML", NULL},
	{"two documents", HEAD "---\nweir: 1\n", 4, 1, "a second document", NULL},
	{"an alias to itself", "weir: 1\nmode: enforce\nname: *a\n", 3, 7, "alias *a", NULL},
	{"an anchor", "weir: 1\nname: &a t\nmode: enforce\n", 2, 7, "anchor &a", NULL},
	{"a tag", "weir: 1\nname: !!str t\nmode: enforce\n", 2, 7, "tags have no place", NULL},
	{"an escaped NUL", "weir: 1\nmode: enforce\nname: \"a\\0b\"\n", 3, 7, "a control character",
	 NULL},
	{"an escape that steers terminals", "weir: 1\nmode: enforce\nname: \"a\\e[2J\"\n", 3, 7,
	 "a control character", NULL},
	{"invalid UTF-8", "weir: 1\nmode: enforce\nname: ab\xff\n", 3, 9, "not UTF-8", NULL},
	{"UTF-8 that is cut off", "weir: 1\nmode: enforce\nname: ab\xc3\n", 3, 9, "not UTF-8",
	 NULL},
	{"UTF-8 that is cut off by the end", "weir: 1\nmode: enforce\nname: ab\xe2\x82", 3, 9,
	 "not UTF-8", NULL},
	{"a surrogate", "weir: 1\nmode: enforce\nname: \xed\xa0\x80\n", 3, 7, "not UTF-8", NULL},
	{"a bell", "weir: 1\nmode: enforce\nname: a\a\n", 3, 8, "a control character (0x07)", NULL},
	{"columns count bytes", P "{info: {a: \"\xc3\xa4\xc3\xb6\"}, addresses: x}\n", 5, 37,
	 "is no address", NULL},
	{"lines count after CRLF", "weir: 1\r\nname: t\r\nmode: x\r\n", 3, 7, "is no mode", NULL},
	{"columns count after a byte order mark", "\xef\xbb\xbfmood: 1\n" HEAD, 1, 1, "unknown key",
	 NULL},
	/* included files */
	{"services in an included file", HEAD "include: more.yaml\n", 1001, 11,
	 "belongs into the policy itself", "services: {s: {cgroup: a}}\n"},
	{"include in an included file", HEAD "include: more.yaml\n", 1001, 10,
	 "belongs into the policy itself", "include: policy.yaml\n"},
	{"unknown key in an included file", HEAD "include: more.yaml\n", 1001, 1,
	 "did you mean \"grants\"?", "grant: []\n"},
};

static void test_a_nul_byte(void **state)
{
	static const char text[] = "weir: 1\nname: a\0b\nmode: enforce\n";
	static const struct expected expected = {"a NUL byte", text, 2, 8, "a NUL byte", NULL};

	(void)state;
	expect_fault(&expected, sizeof(text) - 1, SEVERITY_ERROR);
}

static void test_an_anchor_that_holds_itself(void **state)
{
	static const char text[] = "weir: 1\nname: t\nmode: &a [*a]\n";
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 3, 7, "anchor &a"));
	assert_non_null(find_fault(&faults, 0, 3, 11, "alias *a"));
	faults_free(&faults);
}

/* Each of nine anchors would hold the one before ten times: a billion values. */
static void test_a_bomb_of_aliases_does_not_expand(void **state)
{
	char text[2048] = HEAD "a0: &a0 x\n";
	struct faults faults = {0};
	struct texts texts;
	int i;

	(void)state;
	for (i = 1; i < 10; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
			 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	faults_free(&faults);
}

static void test_deep_nesting_is_refused_at_its_bracket(void **state)
{
	enum { DEPTH = 200000 };
	char *text = malloc(DEPTH + 64);
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_non_null(text);
	strcpy(text, HEAD "a: ");
	memset(text + strlen(HEAD "a: "), '[', DEPTH);
	assert_int_equal(judge(texts_of(&texts, text, strlen(HEAD) + 3 + DEPTH, NULL), &faults),
			 -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 4, 4 + 15, "nested deeper than 16 levels"));
	faults_free(&faults);
	free(text);
}

static void test_deep_nesting_by_dashes(void **state)
{
	enum { DEPTH = 100000 };
	char *text = malloc(2 * DEPTH + 64);
	struct faults faults = {0};
	struct texts texts;
	size_t at;
	int i;

	(void)state;
	assert_non_null(text);
	strcpy(text, HEAD "a:\n");
	at = strlen(text);
	for (i = 0; i < DEPTH; i++) {
		text[at++] = '-';
		text[at++] = ' ';
	}
	assert_int_equal(judge(texts_of(&texts, text, at, NULL), &faults), -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 5, 1 + 2 * 15, "nested deeper than 16 levels"));
	faults_free(&faults);
	free(text);
}

static void test_all_faults_are_told_at_once(void **state)
{
	static const char text[] =
		"weir: 1\nnmae: t\nmode: enforce\n"
		"services:\n  s: {cgroup: /a}\n"
		"partners:\n  p: {addresses: [192.0.2.1/24, x]}\n"
		"grants:\n"
		"  - {name: g, service: z, partner: p, serves: tcp/0, budget: []}\n"
		"strangers: {serves: [1MB/0h]}\n";
	static const struct {
		uint32_t line, column;
	} expected[] = {{1, 1},	 {2, 1},  {5, 15}, {7, 19}, {7, 33},
			{9, 24}, {9, 47}, {9, 62}, {10, 22}};
	struct faults faults = {0};
	struct texts texts;
	size_t i;

	(void)state;
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	for (i = 0; i < COUNT(expected); i++)
		if (!find_fault(&faults, 0, expected[i].line, expected[i].column, "")) {
			faults_print(&faults, &texts.sources, stderr);
			fail_msg("nothing at %u:%u", expected[i].line, expected[i].column);
		}
	assert_int_equal(faults.errors, COUNT(expected));
	faults_free(&faults);
}

static void test_what_stands_before_bad_yaml_is_judged_too(void **state)
{
	static const char text[] = HEAD "mood: x\nservices: {a: {cgroup: b\n";
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 4, 1, "unknown key"));
	assert_non_null(find_fault(&faults, 0, 6, 1, "not YAML"));
	assert_int_equal(faults.errors, 2);
	faults_free(&faults);
}

static void test_a_fault_leaves_the_policy_alone(void **state)
{
	struct policy policy = {.name = (char *)"mine"};
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_int_equal(policy_read(texts_of(&texts, "x", 1, NULL), &policy, &faults), -EBADMSG);
	assert_string_equal(policy.name, "mine");
	faults_free(&faults);
}

static void test_faults_are_printed_in_order(void **state)
{
	static const char text[] = "nmae: t\nmode: enforce\nweir: 2\nname: x\n";
	struct faults faults = {0};
	struct texts texts;
	char *printed = NULL;
	size_t size;
	FILE *out = open_memstream(&printed, &size);

	(void)state;
	assert_non_null(out);
	judge(texts_of(&texts, text, strlen(text), NULL), &faults);
	faults_print(&faults, &texts.sources, out);
	fclose(out);
	assert_memory_equal(printed,
			    "policy.yaml:1:1: unknown key \"nmae\" in the policy: did you "
			    "mean \"name\"?\npolicy.yaml:3:7: version",
			    80);
	free(printed);
	faults_free(&faults);
}

/* ---- files ------------------------------------------------------------------------------------*/

struct directory {
	char path[64];
};

static int make_directory(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	strcpy(directory->path, "/tmp/weir-test-read-XXXXXX");
	*state = directory;
	return mkdtemp(directory->path) ? 0 : -1;
}

static int remove_directory(void **state)
{
	struct directory *directory = *state;
	char command[128];
	int r;

	snprintf(command, sizeof(command), "rm -rf %s", directory->path);
	r = system(command);
	free(directory);
	return r;
}

static void put_file(const struct directory *directory, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int load(const struct directory *directory, struct sources *sources, struct faults *faults)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/policy.yaml", directory->path);
	return sources_load(path, sources, faults);
}

static void test_a_pattern_includes_files_in_order(void **state)
{
	struct sources sources = {0};
	struct faults faults = {0};

	put_file(*state, "policy.yaml", HEAD "include: [b-*.yaml]\n");
	put_file(*state, "b-2.yaml", "partners: {p: {addresses: 192.0.2.2}}\n");
	put_file(*state, "b-1.yaml", "partners: {q: {addresses: 192.0.2.1}}\n");
	assert_int_equal(load(*state, &sources, &faults), 0);
	assert_int_equal(sources.count, 3);
	assert_non_null(strstr(sources.item[1].name, "/b-1.yaml"));
	assert_non_null(strstr(sources.item[2].text, "192.0.2.2"));
	sources_free(&sources);
}

static void test_an_include_is_found_however_it_is_spelled(void **state)
{
	struct sources sources = {0};
	struct faults faults = {0};

	put_file(*state, "policy.yaml", HEAD "\"\\x69nclude\": more.yaml\n");
	put_file(*state, "more.yaml", "partners: {p: {addresses: 192.0.2.2}}\n");
	assert_int_equal(load(*state, &sources, &faults), 0);
	assert_int_equal(sources.count, 2);
	sources_free(&sources);
}

static void expect_load_fault(const struct directory *directory, uint32_t line, uint32_t column,
			      const char *says)
{
	struct sources sources = {0};
	struct faults faults = {0};

	assert_int_equal(load(directory, &sources, &faults), -EBADMSG);
	if (!find_fault(&faults, 0, line, column, says)) {
		faults_print(&faults, &sources, stderr);
		fail_msg("%u:%u: %s", line, column, says);
	}
	assert_int_equal(faults.errors, 1);
	sources_free(&sources);
	faults_free(&faults);
}

static void test_an_include_that_matches_nothing(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: [partners.d/*.yaml]\n");
	expect_load_fault(*state, 4, 11, "no such file");
}

static void test_a_policy_that_includes_itself(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: ['*.yaml']\n");
	expect_load_fault(*state, 4, 11, "policy.yaml is included by itself");
}

static void test_a_file_included_twice(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: [more.yaml, ./more.yaml]\n");
	put_file(*state, "more.yaml", "partners: {}\n");
	expect_load_fault(*state, 4, 22, "is included twice");
}

static void test_a_directory_included(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: .\n");
	expect_load_fault(*state, 4, 10, "not a regular file");
}

static void test_a_pipe_included_does_not_hang(void **state)
{
	const struct directory *directory = *state;
	char path[256];

	put_file(*state, "policy.yaml", HEAD "include: pipe\n");
	snprintf(path, sizeof(path), "%s/pipe", directory->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_load_fault(*state, 4, 10, "not a regular file");
}

static void test_a_file_of_100_mb_is_refused_by_its_size(void **state)
{
	const struct directory *directory = *state;
	char path[256];

	put_file(*state, "policy.yaml", HEAD);
	snprintf(path, sizeof(path), "%s/policy.yaml", directory->path);
	assert_int_equal(truncate(path, 100000000), 0);
	expect_load_fault(*state, 1, 1, "too large");
}

static void test_an_included_file_of_100_mb(void **state)
{
	const struct directory *directory = *state;
	char path[256];

	put_file(*state, "policy.yaml", HEAD "include: more.yaml\n");
	put_file(*state, "more.yaml", "");
	snprintf(path, sizeof(path), "%s/more.yaml", directory->path);
	assert_int_equal(truncate(path, 100000000), 0);
	expect_load_fault(*state, 4, 10, "too large");
}

static void test_no_such_policy(void **state)
{
	struct sources sources = {0};
	struct faults faults = {0};

	assert_int_equal(load(*state, &sources, &faults), -ENOENT);
	assert_int_equal(sources.count, 0);
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_shortest_policy),
		cmocka_unit_test(test_strangers_left_out_are_denied),
		cmocka_unit_test(test_strangers_of_a_service),
		cmocka_unit_test(test_a_service),
		cmocka_unit_test(test_a_partner),
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
		cmocka_unit_test(test_a_nul_byte),
		cmocka_unit_test(test_an_anchor_that_holds_itself),
		cmocka_unit_test(test_a_bomb_of_aliases_does_not_expand),
		cmocka_unit_test(test_deep_nesting_is_refused_at_its_bracket),
		cmocka_unit_test(test_deep_nesting_by_dashes),
		cmocka_unit_test(test_all_faults_are_told_at_once),
		cmocka_unit_test(test_what_stands_before_bad_yaml_is_judged_too),
		cmocka_unit_test(test_a_fault_leaves_the_policy_alone),
		cmocka_unit_test(test_faults_are_printed_in_order),
		in_directory(test_a_pattern_includes_files_in_order),
		in_directory(test_an_include_is_found_however_it_is_spelled),
		in_directory(test_an_include_that_matches_nothing),
		in_directory(test_a_policy_that_includes_itself),
		in_directory(test_a_file_included_twice),
		in_directory(test_a_directory_included),
		in_directory(test_a_pipe_included_does_not_hang),
		in_directory(test_a_file_of_100_mb_is_refused_by_its_size),
		in_directory(test_an_included_file_of_100_mb),
		in_directory(test_no_such_policy),
	};
	static struct CMUnitTest rows[COUNT(errors)];
	int failed = cmocka_run_group_tests_name("read", tests, NULL, NULL);
	size_t count = add_rows(rows, 0, errors, COUNT(errors), test_one_error);

	return failed + _cmocka_run_group_tests("read: faults", rows, count, NULL, NULL);
}
