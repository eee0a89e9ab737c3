/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_check.c - what one key of a policy cannot show: names, overlaps, rules that never match. */
#include <time.h>

#include "tests/unit/policy_text.h"

/* Lines 1 to 10; what a row adds begins on line 11. Grants begin at column 5. */
#define BASE                                                                                       \
	HEAD "services:\n"                                                                         \
	     "  sftp: {cgroup: a, class: [x]}\n"                                                   \
	     "  web: {cgroup: b, class: [x]}\n"                                                    \
	     "partners:\n"                                                                         \
	     "  north: {addresses: 192.0.2.1, class: [clinic, lab]}\n"                             \
	     "  south: {addresses: 192.0.2.2, class: [clinic]}\n"                                  \
	     "  shop: {addresses: 192.0.2.3, until: 2026-06-30}\n"

#define GRANTS BASE "grants:\n" /* grants from line 12 */
#define A      "  - {budget: none, name: a, "
#define B      "  - {budget: none, name: b, " /* what follows stands at column 29 */
#define C      "  - {budget: none, name: c, "

static const struct expected errors[] = {
	/* names given twice */
	{"duplicate service", HEAD "services:\n  s: {cgroup: a}\n  s: {cgroup: b}\n", 6, 3,
	 "service \"s\" is defined twice", NULL},
	{"duplicate partner",
	 HEAD "partners:\n  p: {addresses: 192.0.2.1}\n  p: {addresses: 192.0.2.2}\n", 6, 3,
	 "partner \"p\" is defined twice", NULL},
	{"duplicate partner in another file",
	 HEAD "include: m\npartners: {p: {addresses: 192.0.2.1}}\n", 1001, 12,
	 "partner \"p\" is defined twice", "partners: {p: {addresses: 192.0.2.2}}\n"},
	{"duplicate grant",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" A
		  "service: sftp, partner: north, serves: tcp/23}\n",
	 13, 26, "grant \"a\" is defined twice", NULL},
	/* what only one may own */
	{"the same prefix under two partners",
	 BASE "  new: {addresses: [198.51.100.1, 192.0.2.2/32]}\n", 11, 35,
	 "192.0.2.2 belongs to partner \"south\" already", NULL},
	{"the same prefix, mapped", BASE "  new: {addresses: [\"::ffff:192.0.2.2\"]}\n", 11, 21,
	 "belongs to partner \"south\" already", NULL},
	{"the same IPv6 prefix in two files",
	 HEAD "include: m\npartners: {p: {addresses: \"2001:db8::/32\"}}\n", 1001, 27,
	 "2001:db8::/32 belongs to partner \"p\" already",
	 "partners: {q: {addresses: \"2001:0DB8:0::/32\"}}\n"},
	{"a prefix listed twice", BASE "  new: {addresses: [198.51.100.1, 198.51.100.1]}\n", 11, 35,
	 "198.51.100.1 is listed twice", NULL},
	{"two services with one path",
	 HEAD "services:\n  s: {cgroup: a/b-*}\n"
	      "  t: {cgroup: [c, a/b-*]}\n",
	 6, 19, "cgroup \"a/b-*\" belongs to service \"s\" already", NULL},
	/* unknown names */
	{"unknown service", GRANTS A "service: sfpt, partner: north, serves: tcp/22}\n", 12, 38,
	 "unknown service \"sfpt\": did you mean \"sftp\"?", NULL},
	{"unknown partner", GRANTS A "service: sftp, partner: [north, sauth], serves: tcp/22}\n",
	 12, 61, "unknown partner \"sauth\": did you mean \"south\"?", NULL},
	{"a partner like no other", GRANTS A "service: sftp, partner: xyzzy, serves: tcp/22}\n", 12,
	 53, "unknown partner \"xyzzy\"", NULL},
	{"unknown service of a lifeline",
	 BASE "lifeline:\n  - {service: admin, serves: tcp/22, to: 192.0.2.9}\n", 12, 15,
	 "unknown service \"admin\"", NULL},
	{"a grant for the kernel's own packets",
	 GRANTS A "service: stack, partner: north, serves: tcp/22}\n", 12, 38, "never matches",
	 NULL},
	/* equal rank */
	{"equal rank by names",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: north, serves: tcp/22}\n",
	 13, 68, "grant \"b\" and grant \"a\" are of equal rank", NULL},
	{"equal rank by names in lists",
	 GRANTS A "service: [web, sftp], partner: [shop, north], serves: tcp/22}\n" B
		  "service: [sftp], partner: [north, south], serves: [tcp/21, tcp/22]}\n",
	 13, 88, "equal rank", NULL},
	{"equal rank by one class",
	 GRANTS A "service: sftp, partner: class:clinic, serves: tcp/22}\n" B
		  "service: sftp, partner: class:clinic, serves: tcp/22}\n",
	 13, 75, "equal rank", NULL},
	{"equal rank by two classes of one partner",
	 GRANTS A "service: sftp, partner: class:clinic, serves: tcp/22}\n" B
		  "service: sftp, partner: class:lab, serves: tcp/22}\n",
	 13, 72, "equal rank", NULL},
	{"equal rank by any",
	 GRANTS A "service: any, partner: any, serves: tcp/22}\n" B
		  "service: any, partner: any, serves: tcp/22}\n",
	 13, 65, "equal rank", NULL},
	{"equal rank by classes of services",
	 GRANTS A "service: class:x, partner: any, serves: tcp/22}\n" B
		  "service: class:x, partner: any, serves: tcp/22}\n",
	 13, 69, "equal rank", NULL},
	{"equal rank in half of the ports",
	 GRANTS A "service: sftp, partner: north, serves: tcp/20-29}\n" B
		  "service: sftp, partner: north, serves: tcp/25-34}\n",
	 13, 68, "equal rank", NULL},
	{"equal rank of icmp and its number",
	 GRANTS A "service: sftp, partner: north, calls: icmp}\n" B
		  "service: sftp, partner: north, calls: proto/58}\n",
	 13, 67, "equal rank", NULL},
	{"equal rank in one hour",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22, hours: Mon 20:00-04:00}\n" B
		  "service: sftp, partner: north, serves: tcp/22, hours: Tue 03:00-05:00}\n",
	 13, 68, "equal rank", NULL},
	{"equal rank over the end of the week",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22, hours: Sun 20:00-04:00}\n" B
		  "service: sftp, partner: north, serves: tcp/22, hours: Mon 03:00-05:00}\n",
	 13, 68, "equal rank", NULL},
	{"equal rank on one day",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22, until: 2026-01-31}\n" B
		  "service: sftp, partner: north, serves: tcp/22, from: 2026-01-31}\n",
	 13, 68, "equal rank", NULL},
	{"equal rank for a service that is built in",
	 GRANTS A "service: other, partner: north, calls: tcp/22}\n" B
		  "service: other, partner: north, calls: tcp/22}\n",
	 13, 68, "equal rank", NULL},
	/* never */
	{"taken by the grant of its only member",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: class:lab, serves: tcp/22}\n",
	 13, 26, "grant \"b\" can never match", NULL},
	{"taken by the grants of all its members",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: class:clinic, serves: tcp/22}\n" C
		  "service: any, partner: south, serves: [tcp/22, tcp/80]}\n",
	 13, 26, "grant \"b\" can never match", NULL},
	{"taken by a more specific service",
	 GRANTS A "service: [sftp, web], partner: north, serves: tcp/22}\n" B
		  "service: any, partner: north, serves: tcp/22}\n",
	 13, 26, "grant \"b\" can never match", NULL},
	{"taken by a larger range and longer hours",
	 GRANTS A
	 "service: sftp, partner: north, serves: tcp/20-30, hours: 08:00-18:00}\n" B
	 "service: any, partner: class:lab, serves: tcp/22, hours: Mon-Fri 09:00-17:00}\n" C
	 "service: web, partner: north, serves: tcp/22}\n",
	 13, 26, "grant \"b\" can never match", NULL},
	{"its partner ends before it begins",
	 GRANTS A "service: sftp, partner: shop, serves: tcp/22, from: 2026-07-01}\n", 12, 26,
	 "grant \"a\" can never match: its partners are not valid", NULL},
};

static const struct expected warnings[] = {
	{"a class without members",
	 GRANTS A "service: sftp, partner: [north, class:clinics], serves: tcp/22}\n", 12, 61,
	 "class \"clinics\" has no members: no partner carries it; did you mean \"clinic\"?", NULL},
	{"a class that only services carry",
	 GRANTS A "service: sftp, partner: class:x, serves: tcp/22}\n", 12, 53,
	 "class \"x\" has no members", NULL},
	{"a window of 24h", HEAD "services: {s: {cgroup: a, budget: [1GiB/1h, 9GiB/24h]}}\n", 4, 35,
	 "take 20h", NULL},
	{"a reserve that is back too soon",
	 GRANTS "  - {name: a, service: sftp, partner: north, serves: tcp/22, "
		"budget: [1GiB/1h, 2GiB/20h], reserve: 1GiB/19h}\n",
	 12, 100, "the reserve comes back before", NULL},
	{"a window of one day", HEAD "services: {s: {cgroup: a, budget: [9GiB/1d]}}\n", 4, 35,
	 "take 20h", NULL},
	{"a window that is never reached",
	 HEAD "services: {s: {cgroup: a, budget: [2GiB/1h, 1GiB/20h]}}\n", 4, 35,
	 "2GiB/1h is never reached: 1GiB/20h allows no more", NULL},
	{"no lifeline", BASE, 1, 1, "no lifeline", NULL},
	{"no resolver in the lifeline",
	 BASE "lifeline:\n  - {service: web, serves: tcp/22, to: 192.0.2.9}\n", 12, 5,
	 "the resolver (udp/53) is outside the lifeline", NULL},
	{"no way in for the admins",
	 BASE "lifeline:\n  - {service: web, calls: udp/53, to: 192.0.2.9}\n", 12, 5,
	 "no lifeline serves", NULL},
	{"a log sink outside the lifeline",
	 GRANTS A "service: web, partner: shop, calls: tcp/6514}\n", 12, 65,
	 "the log sink (tcp/6514) is outside the lifeline", NULL},
	{"a broker outside the lifeline",
	 GRANTS A "service: web, partner: shop, calls: tcp/8883}\n", 12, 65,
	 "the broker (tcp/8883) is outside the lifeline", NULL},
};

/* What is no fault: name and text. */
static const struct expected good[] = {
	{"nested prefixes", BASE "  new: {addresses: [192.0.2.0/24, 192.0.0.0/16]}\n", 0, 0, "",
	 NULL},
	{"the whole of IPv4 and the whole of IPv6",
	 HEAD "partners: {p: {addresses: 0.0.0.0/0}, q: {addresses: \"::/0\"}}\n", 0, 0, "", NULL},
	{"a name over a class",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: class:clinic, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"a class over any",
	 GRANTS A "service: sftp, partner: class:clinic, serves: tcp/22}\n" B
		  "service: sftp, partner: any, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"two classes without a common member",
	 HEAD "services: {s: {cgroup: a}}\npartners:\n"
	      "  p: {addresses: 192.0.2.1, class: v}\n  q: {addresses: 192.0.2.2, class: w}\n"
	      "grants:\n" A "service: s, partner: class:v, serves: tcp/22}\n" B
	      "service: s, partner: class:w, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"two classes whose common member is named by one",
	 GRANTS A "service: sftp, partner: [class:lab, north], serves: tcp/22}\n" B
		  "service: sftp, partner: class:clinic, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"any that meets only what others name",
	 GRANTS A "service: any, partner: [any, class:clinic, shop], serves: tcp/22}\n" B
		  "service: web, partner: any, serves: tcp/23}\n",
	 0, 0, "", NULL},
	{"two directions",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: north, calls: tcp/22}\n",
	 0, 0, "", NULL},
	{"two protocols",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: north, serves: udp/22}\n",
	 0, 0, "", NULL},
	{"a narrower range",
	 GRANTS A "service: sftp, partner: north, serves: tcp/20-29}\n" B
		  "service: sftp, partner: north, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"neighbouring ranges",
	 GRANTS A "service: sftp, partner: north, serves: tcp/20-29}\n" B
		  "service: sftp, partner: north, serves: tcp/30-39}\n",
	 0, 0, "", NULL},
	{"hours apart",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22, hours: Mon 20:00-04:00}\n" B
		  "service: sftp, partner: north, serves: tcp/22, hours: Tue 04:00-05:00}\n",
	 0, 0, "", NULL},
	{"days apart",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22, until: 2026-01-31}\n" B
		  "service: sftp, partner: north, serves: tcp/22, from: 2026-02-01}\n",
	 0, 0, "", NULL},
	{"any does not mean other",
	 GRANTS A "service: other, partner: any, calls: tcp/22}\n" B
		  "service: any, partner: any, calls: tcp/22}\n",
	 0, 0, "", NULL},
	{"shadowed by a grant in observe",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22, mode: observe}\n" B
		  "service: sftp, partner: class:lab, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"shadowed at some hours",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22, hours: 08:00-18:00}\n" B
		  "service: sftp, partner: class:lab, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"shadowed in some ports",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: class:lab, serves: [tcp/22, tcp/23]}\n",
	 0, 0, "", NULL},
	{"shadowed for some partners",
	 GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
		  "service: sftp, partner: class:clinic, serves: tcp/22}\n",
	 0, 0, "", NULL},
	{"a partner that ends within a grant",
	 GRANTS A "service: sftp, partner: shop, serves: tcp/22, from: 2026-06-30}\n", 0, 0, "",
	 NULL},
};

static void test_good(void **state)
{
	const struct expected *expected = *state;
	struct faults faults = {0};
	struct texts texts;
	const struct sources *sources =
		texts_of(&texts, expected->text, strlen(expected->text), NULL);
	int r = judge(sources, &faults);

	if (r != 0)
		faults_print(&faults, sources, stderr);
	assert_int_equal(r, 0);
	faults_free(&faults);
}

static void test_both_places_are_named(void **state)
{
	static const char text[] = GRANTS A "service: sftp, partner: north, serves: tcp/22}\n" B
					    "service: sftp, partner: north, serves: tcp/22}\n";
	struct faults faults = {0};
	const struct fault *fault;
	struct texts texts;

	(void)state;
	judge(texts_of(&texts, text, strlen(text), NULL), &faults);
	fault = find_fault(&faults, 0, 13, 68, "equal rank");
	assert_non_null(fault);
	assert_int_equal(fault->other.line, 12);
	assert_int_equal(fault->other.column, 26);
	faults_free(&faults);
}

static void test_a_pair_is_told_once(void **state)
{
	static const char text[] =
		GRANTS A "service: any, partner: [north, south], serves: [tcp/22, tcp/23]}\n" B
			 "service: any, partner: [north, south], serves: [tcp/22, tcp/23]}\n";
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	judge(texts_of(&texts, text, strlen(text), NULL), &faults);
	assert_int_equal(faults.errors, 1);
	faults_free(&faults);
}

static void test_more_than_256_classes(void **state)
{
	char *text = malloc(16384);
	struct faults faults = {0};
	struct texts texts;
	size_t at;
	int i;

	(void)state;
	assert_non_null(text);
	at = (size_t)sprintf(text, HEAD "services:\n  s:\n    cgroup: a\n    class:\n");
	for (i = 0; i < 300; i++)
		at += (size_t)sprintf(text + at, "      - c%d\n", i);
	assert_int_equal(judge(texts_of(&texts, text, at, NULL), &faults), -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 8 + 256, 9, "more than 256 classes"));
	assert_int_equal(faults.errors, 1);
	faults_free(&faults);
	free(text);
}

/* A policy of the size that DESIGN names, with grants that each meet many others. */
static char *large(size_t partners, size_t *length)
{
	char *text = malloc(partners * 130 + 400 * 100);
	size_t at, i;

	assert_non_null(text);
	at = (size_t)sprintf(text, HEAD "services: {s: {cgroup: a}, t: {cgroup: b}}\npartners:\n");
	for (i = 0; i < partners; i++)
		at += (size_t)sprintf(
			text + at,
			"  p%zu: {addresses: [10.%zu.%zu.%zu/32, \"2001:db8:%zx:%zx::/64\"],"
			" class: [all, c%zu]}\n",
			i, i >> 16, i >> 8 & 255, i & 255, i >> 16, i & 65535, i % 100);
	at += (size_t)sprintf(text + at, "grants:\n");
	for (i = 0; i < 400; i++)
		at += (size_t)sprintf(text + at,
				      "  - {name: g%zu, service: any, partner: class:c%zu, serves: "
				      "tcp/%zu, budget: none}\n",
				      i, i % 100, i + 1);
	*length = at;
	return text;
}

static void test_100_000_partners_are_judged_soon(void **state)
{
	size_t length;
	char *text = large(100000, &length);
	struct faults faults = {0};
	struct timespec from, until;
	struct texts texts;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	assert_int_equal(judge(texts_of(&texts, text, length, NULL), &faults), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &until);
	/* Half a second as a rule; what is quadratic takes minutes. */
	assert_true(until.tv_sec - from.tv_sec < 30);
	faults_free(&faults);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_places_are_named),
		cmocka_unit_test(test_a_pair_is_told_once),
		cmocka_unit_test(test_more_than_256_classes),
		cmocka_unit_test(test_100_000_partners_are_judged_soon),
	};
	static struct CMUnitTest rows[COUNT(errors) + COUNT(warnings) + COUNT(good)];
	int failed = cmocka_run_group_tests_name("check", tests, NULL, NULL);
	size_t count = 0;

	count = add_rows(rows, count, errors, COUNT(errors), test_one_error);
	count = add_rows(rows, count, warnings, COUNT(warnings), test_one_warning);
	count = add_rows(rows, count, good, COUNT(good), test_good);
	return failed + _cmocka_run_group_tests("check: faults", rows, count, NULL, NULL);
}
