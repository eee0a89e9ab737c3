/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_difference.c - what another policy would change, in words and with its direction. */
#include "policy_text.h"

#include "user/base/cleanup.h"
#include "user/policy/difference.h"

#define HEAD	 "weir: 1\nname: t\nmode: enforce\n"
#define SERVICES "services:\n  sftp: {cgroup: a.service}\n  web: {cgroup: b.service}\n"
#define PARTNERS                                                                                   \
	"partners:\n  nord: {addresses: [198.51.100.0/28]}\n  sued: {addresses: [203.0.113.5]}\n"
#define BILLING                                                                                    \
	"grants:\n  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "              \
	"budget: [2GiB/1h]"
#define BASE HEAD SERVICES PARTNERS

static void make(const char *before, const char *after, struct difference *difference)
{
	struct policy old = {0}, new = {0};

	read_good(before, &old);
	read_good(after, &new);
	assert_int_equal(difference_make(&old, &new, difference), 0);
	policy_free(&old);
	policy_free(&new);
}

/* One line and no more, which says this. */
static void expect(const char *before, const char *after, enum direction_of_change direction,
		   const char *says)
{
	struct difference difference;

	make(before, after, &difference);
	for (size_t i = 0; i < difference.count; i++) {
		if (difference.count != 1 || !strstr(difference.line[i].text, says))
			print_message("%s: %s\n", change_name(difference.line[i].direction),
				      difference.line[i].text);
	}
	assert_int_equal(difference.count, 1);
	assert_non_null(strstr(difference.line[0].text, says));
	assert_string_equal(change_name(difference.line[0].direction), change_name(direction));
	assert_int_equal(difference.of[direction], 1);
	difference_free(&difference);
}

/* And back: what is looser one way is tighter the other. */
static void expect_both(const char *before, const char *after, const char *says,
			const char *says_back)
{
	expect(before, after, CHANGE_LOOSER, says);
	expect(after, before, CHANGE_TIGHTER, says_back);
}

/* One for each letter, with an address of its own. */
static char *with_partners(const char *letters)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	fputs(HEAD SERVICES "partners:\n", out);
	for (; *letters; letters++) {
		if (*letters != ' ')
			fprintf(out, "  %c: {addresses: [192.0.2.%d]}\n", *letters, *letters);
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

/* A partner of so many addresses in a net of its own, and `others` elsewhere. */
static char *with_addresses(int count, int others)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	fputs(HEAD SERVICES "partners:\n  p:\n    addresses:\n", out);
	for (int i = 1; i <= others; i++)
		fprintf(out, "      - 203.0.113.%d\n", i);
	for (int i = 1; i <= count; i++)
		fprintf(out, "      - 198.51.100.%d\n", 2 * i);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_nothing(void **state)
{
	struct difference difference;

	(void)state;
	make(BASE BILLING "}\n", "# a comment\n" BASE BILLING "}\n", &difference);
	assert_int_equal(difference.count, 0);
	assert_int_equal(difference.of[CHANGE_LOOSER] + difference.of[CHANGE_TIGHTER] +
				 difference.of[CHANGE_CHANGED],
			 0);
	difference_free(&difference);
}

static void test_budget_in_bytes(void **state)
{
	static const char more[] =
		BASE "grants:\n  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "
		     "budget: [5GiB/1h]}\n";

	(void)state;
	expect_both(BASE BILLING "}\n", more,
		    "grant billing: budget 2GiB/1h -> 5GiB/1h, 3GiB more in any 1h",
		    "budget 5GiB/1h -> 2GiB/1h, 3GiB less in any 1h");
}

static void test_windows_that_imply_each_other(void **state)
{
	static const char two[] =
		BASE "grants:\n  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "
		     "budget: [2GiB/1h, 10GiB/20h]}\n";
	static const char none[] =
		BASE "grants:\n  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "
		     "budget: none}\n";
	static const char implied[] =
		BASE "grants:\n  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "
		     "budget: [2GiB/1h, 48GiB/20h]}\n";
	static const char other[] =
		BASE "grants:\n  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "
		     "budget: [1GiB/10m]}\n";
	struct difference difference;

	(void)state;
	expect_both(two, BASE BILLING "}\n", "2GiB/1h, 10GiB/20h -> 2GiB/1h", "10GiB/20h");
	expect_both(BASE BILLING "}\n", none, "2GiB/1h -> none", "none -> 2GiB/1h");
	make(BASE BILLING "}\n", implied, &difference); /* 20 hours of 2GiB are 40GiB */
	assert_int_equal(difference.count, 0);
	difference_free(&difference);
	expect(BASE BILLING "}\n", other, CHANGE_CHANGED, "2GiB/1h -> 1GiB/10m");
}

static void test_hours_and_days(void **state)
{
	expect_both(BASE BILLING ", hours: Mon-Fri 20:00-04:00}\n",
		    BASE BILLING ", hours: Mon-Sat 20:00-04:00}\n",
		    "hours Mon-Fri 20:00-04:00 -> Mon-Sat 20:00-04:00", "Mon-Sat");
	expect_both(BASE BILLING ", hours: Mon-Fri 20:00-04:00}\n", BASE BILLING "}\n", "-> always",
		    "always ->");
	expect(BASE BILLING ", hours: Mon 20:00-22:00}\n",
	       BASE BILLING ", hours: Tue 20:00-22:00}\n", CHANGE_CHANGED,
	       "Mon 20:00-22:00 -> Tue 20:00-22:00");
	expect(BASE BILLING ", hours: Mon 20:00-22:00}\n",
	       BASE BILLING ", hours: Mon 20:00-22:00, zone: UTC}\n", CHANGE_CHANGED, "(UTC)");
	expect_both(BASE BILLING ", until: 2027-12-31}\n", BASE BILLING "}\n",
		    "valid until 2027-12-31 -> always", "-> until 2027-12-31");
	(void)state;
}

static void test_reach(void **state)
{
	(void)state;
	expect_both(BASE BILLING "}\n",
		    BASE "grants:\n  - {name: billing, service: [sftp, web], partner: nord, "
			 "serves: tcp/22, budget: [2GiB/1h]}\n",
		    "service sftp -> sftp, web", "sftp, web -> sftp");
	expect_both(BASE BILLING "}\n",
		    BASE "grants:\n  - {name: billing, service: sftp, partner: any, "
			 "serves: tcp/22, budget: [2GiB/1h]}\n",
		    "partner nord -> any", "any -> nord");
	expect_both(BASE BILLING "}\n",
		    BASE "grants:\n  - {name: billing, service: sftp, partner: nord, "
			 "serves: tcp/20-22, budget: [2GiB/1h]}\n",
		    "ports serves tcp/22 -> serves tcp/20-22", "tcp/20-22 ->");
}

static void test_breach_and_mode(void **state)
{
	(void)state;
	expect_both(BASE BILLING "}\n", BASE BILLING ", on_breach: alert}\n",
		    "on_breach hold -> alert", "alert -> hold");
	expect_both(BASE BILLING ", on_breach: sever}\n", BASE BILLING "}\n", "sever -> hold",
		    "hold -> sever");
	expect(BASE BILLING "}\n", BASE BILLING ", mode: observe}\n", CHANGE_CHANGED,
	       "decides nothing any more");
	expect_both(HEAD, "weir: 1\nname: t\nmode: observe\n", "policy: mode enforce -> observe",
		    "observe -> enforce");
}

static void test_a_grant_comes_and_goes(void **state)
{
	(void)state;
	expect_both(BASE, BASE BILLING "}\n",
		    "grant billing is added: sftp to nord, serves tcp/22; budget 2GiB/1h",
		    "grant billing is removed: sftp to nord");
}

/* The narrower grant takes a partner out of a wider one, which may have given it more. */
static void test_a_grant_with_a_rival_is_not_sure(void **state)
{
	(void)state;
	expect(BASE "grants:\n  - {name: all, service: any, partner: any, serves: tcp/22, "
		    "budget: [9GiB/1h]}\n",
	       BASE "grants:\n  - {name: all, service: any, partner: any, serves: tcp/22, "
		    "budget: [9GiB/1h]}\n"
		    "  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "
		    "budget: [2GiB/1h]}\n",
	       CHANGE_CHANGED, "grant billing is added");
}

/* Strangers who may take anything lose by becoming partners with a budget. */
static void test_a_grant_below_the_strangers_is_not_sure(void **state)
{
	static const char open_to_all[] = "strangers: {serves: none, calls: deny}\n";
	char before[512], after[512];

	(void)state;
	snprintf(before, sizeof(before), "%s%s", BASE, open_to_all);
	snprintf(after, sizeof(after), "%s%s%s", BASE BILLING, "}\n", open_to_all);
	expect(before, after, CHANGE_CHANGED, "grant billing is added");
}

static void test_another_name(void **state)
{
	(void)state;
	expect(BASE BILLING "}\n",
	       BASE "grants:\n  - {name: accounts, service: sftp, partner: nord, serves: tcp/22, "
		    "budget: [2GiB/1h]}\n",
	       CHANGE_LOOSER, "grant billing has the name accounts now: its meters start afresh");
	expect(HEAD SERVICES PARTNERS,
	       HEAD SERVICES "partners:\n  north: {addresses: [198.51.100.0/28]}\n"
			     "  sued: {addresses: [203.0.113.5]}\n",
	       CHANGE_LOOSER, "partner nord has the name north now");
}

static void test_partners(void **state)
{
	(void)state;
	expect_both(BASE,
		    HEAD SERVICES "partners:\n"
				  "  nord: {addresses: [198.51.100.0/28, 192.0.2.0/24]}\n"
				  "  sued: {addresses: [203.0.113.5]}\n",
		    "partner nord: 1 prefix more (192.0.2.0/24)", "1 prefix less (192.0.2.0/24)");
	/* out of the other's prefix, which may have had more */
	expect(BASE,
	       HEAD SERVICES "partners:\n  nord: {addresses: [198.51.100.0/28]}\n"
			     "  sued: {addresses: [203.0.113.5, 198.51.100.7]}\n",
	       CHANGE_CHANGED, "partner sued: 1 prefix more (198.51.100.7)");
	expect_both(HEAD SERVICES "partners:\n  nord: {addresses: [198.51.100.0/28], "
				  "budget: [1GiB/1h]}\n",
		    HEAD SERVICES "partners:\n  nord: {addresses: [198.51.100.0/28]}\n",
		    "partner nord: budget 1GiB/1h -> none", "none -> 1GiB/1h");
	expect(BASE,
	       HEAD SERVICES "partners:\n  nord: {addresses: [198.51.100.0/28], class: [h]}\n"
			     "  sued: {addresses: [203.0.113.5]}\n",
	       CHANGE_CHANGED, "class none -> h");
	expect(BASE,
	       HEAD SERVICES "partners:\n  nord: {addresses: [198.51.100.0/28], drill: true}\n"
			     "  sued: {addresses: [203.0.113.5]}\n",
	       CHANGE_CHANGED, "drill false -> true");
	expect(BASE,
	       HEAD SERVICES "partners:\n  nord: {addresses: [198.51.100.0/28]}\n"
			     "  sued: {addresses: [203.0.113.5], drill: \"203.0.113.5:22\"}\n",
	       CHANGE_CHANGED, "drill false -> 203.0.113.5:22");
}

/* Names are paired in whatever order they stand. */
static void test_another_order(void **state)
{
	static const char *const order[] = {
		"a b c d", "d c b a", "b c d a", "d a b c", "a c b d",
	};
	static const char *const other[] = {"x a b c d", "a b x c d", "d c x b a", "d c b a x"};
	struct difference difference;

	(void)state;
	for (size_t i = 0; i < COUNT(order); i++) {
		for (size_t j = 0; j < COUNT(order); j++) {
			_cleanup_free_ char *before = with_partners(order[i]);
			_cleanup_free_ char *after = with_partners(order[j]);

			make(before, after, &difference);
			assert_int_equal(difference.count, 0);
			difference_free(&difference);
		}
		for (size_t j = 0; j < COUNT(other); j++) {
			_cleanup_free_ char *before = with_partners(order[i]);
			_cleanup_free_ char *after = with_partners(other[j]);

			expect_both(before, after, "partner x is added", "partner x is removed");
		}
	}
}

/* Short lists are searched, long ones looked up. */
static void test_lists_of_any_length(void **state)
{
	struct difference difference;

	(void)state;
	for (int count = 1; count < 20; count++) {
		_cleanup_free_ char *before = with_addresses(count, 0);
		_cleanup_free_ char *same = with_addresses(count, 0);
		_cleanup_free_ char *one = with_addresses(count, 1);

		make(before, same, &difference);
		assert_int_equal(difference.count, 0);
		difference_free(&difference);
		expect_both(before, one, "partner p: 1 prefix more (203.0.113.1)",
			    "partner p: 1 prefix less (203.0.113.1)");
	}
}

static void test_services(void **state)
{
	(void)state;
	expect(BASE,
	       HEAD "services:\n  sftp: {cgroup: c.service}\n  web: {cgroup: b.service}\n" PARTNERS,
	       CHANGE_CHANGED, "service sftp: cgroup a.service -> c.service");
	expect_both(BASE,
		    HEAD "services:\n  sftp: {cgroup: a.service, mode: observe}\n"
			 "  web: {cgroup: b.service}\n" PARTNERS,
		    "service sftp: mode enforce -> observe", "observe -> enforce");
	expect_both(BASE,
		    HEAD "services:\n"
			 "  sftp: {cgroup: a.service, strangers: {serves: [1MiB/1h]}}\n"
			 "  web: {cgroup: b.service}\n" PARTNERS,
		    "strangers: each one served deny -> 1MiB/1h", "1MiB/1h -> deny");
}

static void test_strangers_and_lifeline(void **state)
{
	(void)state;
	expect_both(BASE "strangers: {serves: [64KiB/10m]}\n",
		    BASE "strangers: {serves: [1MiB/10m]}\n",
		    "strangers: each one served 64KiB/10m -> 1MiB/10m, 960KiB more in any 10m",
		    "960KiB less");
	expect_both(BASE "strangers: {serves: [64KiB/10m], total: [1MiB/1h]}\n",
		    BASE "strangers: {serves: [64KiB/10m]}\n", "all together 1MiB/1h -> none",
		    "none -> 1MiB/1h");
	expect_both(BASE,
		    BASE "lifeline:\n  - {service: web, serves: tcp/22, to: [192.0.2.1], why: j}\n",
		    "lifeline web serves tcp/22 to 192.0.2.1 is added", "is removed");
}

static void test_looser_comes_first_and_long_lists_are_counted(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct difference difference;
	size_t length;
	FILE *out = open_memstream(&before, &length);

	(void)state;
	fputs(BASE BILLING "}\n", out);
	fclose(out);
	out = open_memstream(&after, &length);
	fputs(HEAD SERVICES "partners:\n  nord: {addresses: [198.51.100.0/28]}\n", out);
	for (int i = 0; i < 1000; i++)
		fprintf(out, "  p%d: {addresses: [10.0.%d.%d]}\n", i, i / 256, i % 256);
	fputs("grants:\n  - {name: billing, service: sftp, partner: nord, serves: tcp/22, "
	      "budget: [1GiB/1h]}\n",
	      out);
	fclose(out);
	make(before, after, &difference);
	assert_int_equal(difference.of[CHANGE_LOOSER], 1000);
	assert_int_equal(difference.of[CHANGE_TIGHTER], 2); /* sued is gone, billing has less */
	assert_int_equal(difference.count + difference.unlisted, 1002);
	assert_true(difference.count < 100);
	for (size_t i = 1; i < difference.count; i++)
		assert_true(difference.line[i - 1].direction <= difference.line[i].direction);
	difference_free(&difference);
}

static void test_four_eyes_and_reserve(void **state)
{
	(void)state;
	expect_both(BASE "four_eyes: true\n", BASE, "four_eyes true -> false",
		    "four_eyes false -> true");
	expect_both(BASE BILLING "}\n", BASE BILLING ", reserve: 1GiB/7d}\n",
		    "grant billing: reserve none -> 1GiB/7d", "reserve 1GiB/7d -> none");
	expect_both(BASE BILLING ", reserve: 1GiB/7d}\n", BASE BILLING ", reserve: 2GiB/7d}\n",
		    "reserve 1GiB/7d -> 2GiB/7d", "reserve 2GiB/7d -> 1GiB/7d");
	expect_both(BASE BILLING ", reserve: 1GiB/7d}\n", BASE BILLING ", reserve: 1GiB/1d}\n",
		    "reserve 1GiB/7d -> 1GiB/24h", "reserve 1GiB/24h -> 1GiB/7d");
	expect(BASE BILLING ", reserve: 1GiB/7d}\n", BASE BILLING ", reserve: 2GiB/30d}\n",
	       CHANGE_CHANGED, "reserve 1GiB/7d -> 2GiB/30d");
}

static size_t moved(const char *before, const char *after)
{
	struct difference difference;
	size_t count;

	make(before, after, &difference);
	count = difference.moved;
	difference_free(&difference);
	return count;
}

/* Whether what a name stands for is the same, however much may leave. */
static void test_what_moves(void **state)
{
	(void)state;
	assert_int_equal(moved(BASE BILLING "}\n", BASE BILLING "}\n"), 0);
	assert_int_equal(moved(BASE BILLING "}\n",
			       BASE BILLING ", hours: Mon 20:00-22:00, on_breach: sever}\n"),
			 0);
	assert_int_equal(moved(BASE BILLING "}\n", BASE), 1);
	assert_int_equal(moved(BASE, BASE BILLING "}\n"), 1);
	assert_int_equal(moved(BASE BILLING "}\n", BASE BILLING ", class: [x]}\n"), 1);
	assert_int_equal(moved(BASE BILLING "}\n", BASE BILLING ", until: 2030-01-01}\n"), 1);
	assert_int_equal(moved(HEAD "partners:\n  p: {addresses: [192.0.2.1, 192.0.2.2]}\n",
			       HEAD "partners:\n  p: {addresses: [192.0.2.1]}\n"),
			 1);
	assert_int_equal(moved(HEAD "services:\n  s: {cgroup: [a, b]}\n",
			       HEAD "services:\n  s: {cgroup: [a]}\n"),
			 1);
	assert_int_equal(moved(HEAD "services:\n  s: {cgroup: a, budget: [2MiB/1h]}\n",
			       HEAD "services:\n  s: {cgroup: a, budget: [1MiB/1h]}\n"),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_budget_in_bytes),
		cmocka_unit_test(test_windows_that_imply_each_other),
		cmocka_unit_test(test_hours_and_days),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_breach_and_mode),
		cmocka_unit_test(test_a_grant_comes_and_goes),
		cmocka_unit_test(test_a_grant_with_a_rival_is_not_sure),
		cmocka_unit_test(test_a_grant_below_the_strangers_is_not_sure),
		cmocka_unit_test(test_another_name),
		cmocka_unit_test(test_partners),
		cmocka_unit_test(test_another_order),
		cmocka_unit_test(test_lists_of_any_length),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_strangers_and_lifeline),
		cmocka_unit_test(test_four_eyes_and_reserve),
		cmocka_unit_test(test_what_moves),
		cmocka_unit_test(test_looser_comes_first_and_long_lists_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
