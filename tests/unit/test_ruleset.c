/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_ruleset.c - what stands in for the guard: ranges against a look at each prefix, cuts against
 * what the guard would decide, and the lines of the rules.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "tests/unit/policy_text.h"
#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/policy/check.h"
#include "user/policy/ruleset_parts.h"
#include "user/policy/target.h"

/* 2027-01-04 12:00:00 UTC, a Monday */
static const uint64_t now = UINT64_C(1799064000) * NS_PER_SECOND;

/* ---- ranges --------------------------------------------------------------------------------- */

enum { PREFIXES = 60, ADDRESSES = 400 };

static void print_number(FILE *out, uint32_t verdict)
{
	fprintf(out, "v%u", verdict);
}

static uint32_t longest(const struct ruleset_prefix *prefix, size_t count,
			const uint8_t address[16])
{
	uint32_t verdict = VERDICT_NONE;
	int bits = -1;

	for (size_t i = 0; i < count; i++) {
		if (prefix[i].bits > bits &&
		    prefix_covers(prefix[i].address, prefix[i].bits, address)) {
			bits = prefix[i].bits;
			verdict = prefix[i].verdict;
		}
	}
	return verdict;
}

static void read_address(const char *text, uint8_t address[16])
{
	if (strchr(text, ':'))
		assert_int_equal(inet_pton(AF_INET6, text, address), 1);
	else
		assert_int_equal(address_parse(text, address), 0);
}

/* The element that holds the address; they may not overlap, and must rise. */
static uint32_t look_up(const char *ranges, bool is_v4, const uint8_t address[16])
{
	char name[16], line[160], first_text[64], last_text[64];
	uint8_t before[16] = {0}, first[16], last[16];
	uint32_t verdict = VERDICT_NONE, found;
	const char *at;
	bool has_before = false;

	snprintf(name, sizeof(name), "map test%d {", is_v4 ? 4 : 6);
	at = strstr(ranges, name);
	assert_non_null(at);
	if (at[strlen(name)] != '\n') /* it is empty */
		return VERDICT_NONE;
	for (at = strchr(at, '\n') + 1; *at && *at != '}' && strncmp(at, "\t}", 2) != 0;
	     at = strchr(at, '\n') + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		if (sscanf(line, " %63[0-9a-f.:]-%63s : v%u", first_text, last_text, &found) != 3) {
			if (sscanf(line, " %63[0-9a-f.:] : v%u", first_text, &found) != 2)
				continue;
			strcpy(last_text, first_text);
		}
		read_address(first_text, first);
		read_address(last_text, last);
		assert_true(!has_before || memcmp(before, first, 16) < 0);
		assert_true(memcmp(first, last, 16) <= 0);
		memcpy(before, last, 16);
		has_before = true;
		if (memcmp(first, address, 16) <= 0 && memcmp(address, last, 16) <= 0)
			verdict = found;
	}
	return verdict;
}

/* Few different bits, so that many are nested; some at the ends of all addresses. */
static void random_address(bool is_v4, uint8_t address[16])
{
	static const uint8_t bytes[] = {0, 0, 255, 255, 128, 1};

	for (int i = 0; i < 16; i++)
		address[i] = bytes[rand() % sizeof(bytes)];
	if (!is_v4)
		return;
	memset(address, 0, 10);
	address[10] = address[11] = 0xff;
}

static void check_ranges(size_t count)
{
	struct ruleset_prefix prefix[PREFIXES];
	_cleanup_free_ char *text = NULL;
	uint8_t address[16];
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 0; i < count; i++) {
		bool is_v4 = rand() % 2, is_new = true;

		random_address(is_v4, prefix[i].address);
		prefix[i].bits = is_v4 ? 96 + rand() % 33 : rand() % 129;
		prefix[i].verdict = rand() % 4;
		prefix_mask(prefix[i].address, prefix[i].bits);
		for (size_t j = 0; j < i; j++)
			is_new &= prefix[i].bits != prefix[j].bits ||
				  memcmp(prefix[i].address, prefix[j].address, 16) != 0;
		if (!is_new || (!is_v4 && address_is_v4(prefix[i].address)))
			i--;
	}
	ruleset_sort(prefix, count);
	ruleset_ranges(out, "test", prefix, count, print_number);
	fclose(out);
	for (int i = 0; i < ADDRESSES; i++) {
		bool is_v4;

		random_address(i % 2, address);
		is_v4 = address_is_v4(address);
		if (is_v4 == i % 2)
			assert_int_equal(look_up(text, is_v4, address),
					 longest(prefix, count, address));
	}
}

static void test_ranges_say_what_the_longest_prefix_says(void **state)
{
	(void)state;
	srand(20270104);
	for (int i = 0; i < 40; i++)
		check_ranges(1 + rand() % PREFIXES);
}

/* ---- whole rulesets ------------------------------------------------------------------------- */

static const char hospital[] =
	HEAD "lifeline: [{service: ops, serves: tcp/22, to: 192.0.2.0/28, why: jump host}]\n"
	     "services:\n"
	     "  ops: {cgroup: ops}\n"
	     "  sftp: {cgroup: sftp, class: exchange}\n"
	     "  web: {cgroup: web}\n"
	     "partners:\n"
	     "  nord: {addresses: 198.51.100.0/28, class: hospital}\n"
	     "  sued: {addresses: 198.51.100.16/28, class: hospital, until: 2028-01-01}\n"
	     "  payer: {addresses: [198.51.100.32/28, \"2001:db8::/64\"]}\n"
	     "grants:\n"
	     "  - {name: files, service: sftp, partner: class:hospital, serves: tcp/22,\n"
	     "     calls_back: tcp/1024-65535, budget: 1GiB/1h, class: bulk}\n"
	     "  - {name: portal, service: web, partner: any, serves: tcp/443, budget: none}\n"
	     "  - {name: odd, service: web, partner: payer, calls: [icmp, proto/47, udp/500], "
	     "budget: none}\n";

struct made {
	struct image image;
	struct order_table cuts;
	struct ruleset ruleset;
	char *text;
};

static struct made *make_image(const char *policy_text, const char *const *targets)
{
	struct made *made = calloc(1, sizeof(*made));
	struct policy policy = {0};
	struct faults faults = {0};
	_cleanup_free_ char *problem = NULL;

	read_good(policy_text, &policy);
	assert_int_equal(policy_check(&policy, &faults), 0);
	assert_int_equal(image_compile(&policy, now, &made->image, &faults), 0);
	policy_free(&policy);
	faults_free(&faults);
	made->cuts.entry = calloc(16, sizeof(*made->cuts.entry));
	for (; targets && *targets; targets++) {
		struct weir_cut_entry *entry = &made->cuts.entry[made->cuts.count++];
		bool is_exception = **targets == '+';

		assert_int_equal(
			target_resolve(&made->image, *targets + is_exception, entry, &problem), 0);
		entry->is_exception = is_exception;
	}
	made->ruleset = (struct ruleset){
		.instance = "host", .image = &made->image, .cuts = &made->cuts, .wall_ns = now};
	return made;
}

static void write_made(struct made *made)
{
	size_t length;
	FILE *out;

	free(made->text);
	out = open_memstream(&made->text, &length);
	assert_int_equal(ruleset_write(&made->ruleset, out), 0);
	fclose(out);
}

static void made_free(struct made *made)
{
	image_free(&made->image);
	free(made->cuts.entry);
	free(made->text);
	free(made);
}

static void assert_has(const struct made *made, const char *line)
{
	if (!strstr(made->text, line))
		fail_msg("\"%s\" is missing in\n%s", line, made->text);
}

static void assert_has_not(const struct made *made, const char *line)
{
	if (strstr(made->text, line))
		fail_msg("\"%s\" stands in\n%s", line, made->text);
}

static void test_rules_of_partners_and_lifeline(void **state)
{
	struct made *made = make_image(hospital, NULL);
	char until[64];

	(void)state;
	write_made(made);
	assert_has(made, "table inet weir-host\ndelete table inet weir-host\n");
	assert_has(made, "192.0.2.0-192.0.2.15 : jump lifeline-0");
	assert_has(made, "198.51.100.0-198.51.100.15 : goto partner-0");
	assert_has(made, "198.51.100.16-198.51.100.31 : goto partner-1");
	assert_has(made, "198.51.100.32-198.51.100.47 : goto partner-2");
	assert_has(made, "2001:db8::-2001:db8::ffff:ffff:ffff:ffff : goto partner-2");
	assert_has(made,
		   "\t\ttcp sport 22 tcp flags & (syn | ack) != syn counter name passed accept\n");
	assert_has(made, "\t\ttcp dport 1024-65535 tcp flags & (syn | ack) != (syn | ack) counter "
			 "name passed accept\n");
	snprintf(until, sizeof(until), "\t\tmeta time >= %llu counter name refused drop\n",
		 (unsigned long long)(made->image.partners[image_partner(&made->image, "sued")]
					      .until_ns /
				      NS_PER_SECOND));
	assert_has(made, until);
	assert_has(made, "\t\tmeta l4proto 1 counter name passed accept\n");
	assert_has(made, "\t\tmeta l4proto 58 counter name passed accept\n");
	assert_has(made, "\t\tmeta l4proto 47 counter name passed accept\n");
	assert_has(made, "\t\tudp dport 500 counter name passed accept\n");
	assert_has(made, "hook forward priority security; policy drop;\n\t\tgoto judge\n");
	made_free(made);
}

static void test_partners_that_are_treated_alike_share_a_chain(void **state)
{
	struct made *made = make_image(
		HEAD "services: {a: {cgroup: a}, b: {cgroup: b}}\n"
		     "partners: {p: {addresses: 192.0.2.1}, q: {addresses: 192.0.2.2}}\n"
		     "grants:\n"
		     "  - {name: x, service: a, partner: p, serves: tcp/22, budget: 1GiB/1h}\n"
		     "  - {name: y, service: b, partner: q, serves: tcp/22, budget: none}\n",
		NULL);

	(void)state;
	write_made(made);
	assert_has(made, "192.0.2.1-192.0.2.2 : goto partner-0");
	assert_has_not(made, "partner-1");
	made_free(made);
}

static void test_hours(void **state)
{
	static const char text[] =
		HEAD "services: {a: {cgroup: a}}\n"
		     "partners: {p: {addresses: 192.0.2.1}}\n"
		     "grants:\n"
		     "  - {name: x, service: a, partner: p, serves: tcp/22, budget: none,\n"
		     "     hours: Mon 11:00-13:00, zone: UTC}\n"
		     "  - {name: y, service: a, partner: p, serves: tcp/23, budget: none,\n"
		     "     mode: observe}\n";
	struct made *made = make_image(text, NULL);

	(void)state;
	write_made(made);
	/* this Monday's, which has begun, and those of four weeks */
	assert_has(made, "meta time { 1799060400-1799067599, 1799665200-1799672399, "
			 "1800270000-1800277199, 1800874800-1800881999, "
			 "1801479600-1801486799 } counter name passed accept");
	assert_has_not(made, "tcp sport 23");
	made->ruleset.hours_closed = true;
	write_made(made);
	assert_has_not(made, "tcp sport 22");
	made_free(made);
}

static void test_modes(void **state)
{
	struct made *made = make_image(hospital, NULL);

	(void)state;
	made->ruleset.mode = WITHOUT_GUARD_CLOSED;
	write_made(made);
	assert_has(made, "jump lifeline-0");
	assert_has_not(made, "partner");
	made->ruleset.image = NULL;
	write_made(made);
	assert_has(made, "counter name refused drop");
	assert_has_not(made, "jump lifeline-0");
	made->ruleset.mode = WITHOUT_GUARD_OPEN;
	write_made(made);
	assert_has(made, "delete table");
	assert_has_not(made, "hook");
	made_free(made);
}

static void test_names_of_uplinks(void **state)
{
	struct made *made = make_image(hospital, NULL);
	struct name name[] = {{(char *)"eth0", {0}}, {(char *)"bond0.7", {0}}};
	struct names uplinks = {name, 2};

	(void)state;
	made->ruleset.uplinks = &uplinks;
	write_made(made);
	assert_has(made, "\t\toifname != { \"eth0\", \"bond0.7\" } accept\n");
	name[1].text = (char *)"eth*"; /* nft would take more than that interface */
	write_made(made);
	assert_has_not(made, "oifname !=");
	made_free(made);
}

/* ---- cuts ------------------------------------------------------------------------------------ */

static bool is_cut(const struct made *made, const char *partner, const char *grant)
{
	struct ruleset_cuts cuts;

	ruleset_cuts_init(&cuts, &made->ruleset);
	return ruleset_is_cut(&cuts, partner ? image_partner(&made->image, partner) : 0,
			      grant ? image_grant(&made->image, grant) : 0);
}

static void test_a_cut_covers_what_it_may_cover(void **state)
{
	static const struct {
		const char *target[4];
		/* nord's files, nord's portal, payer's portal, strangers */
		bool files, portal, payer, strangers;
	} rows[] = {
		{{"partner:nord"}, true, true, false, false},
		{{"class:hospital"}, true, true, false, false},
		{{"class:hospital", "+partner:nord"}, false, false, false, false},
		{{"grant:files"}, true, false, false, false},
		{{"class:bulk"}, true, false, false, false},
		{{"partner:nord@service:web"}, true, true, false, false},
		{{"service:sftp"}, true, true, true, true},
		{{"class:exchange"}, true, true, true, true},
		{{"strangers"}, false, false, false, true},
		{{"all"}, true, true, true, true},
		{{"all", "+grant:portal"}, true, false, false, true},
		{{"all", "+partner:payer"}, true, true, false, true},
		{{"all", "+service:web"}, true, true, true, true},
		{{"all", "+partner:payer@service:web"}, true, true, true, true},
		{{"all", "+class:exchange"}, true, true, true, true},
		{{"all", "+all", "partner:nord"}, true, true, false, false},
		{{"addr:198.51.100.0/28"}, false, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct made *made = make_image(hospital, rows[i].target);

		if (is_cut(made, "nord", "files") != rows[i].files ||
		    is_cut(made, "nord", "portal") != rows[i].portal ||
		    is_cut(made, "payer", "portal") != rows[i].payer ||
		    is_cut(made, NULL, NULL) != rows[i].strangers)
			fail_msg("%s, %s", rows[i].target[0], rows[i].target[1]);
		made_free(made);
	}
}

static void test_cuts_in_the_text(void **state)
{
	static const char *const targets[] = {"grant:files", "addr:198.51.100.40", "addr:::/0",
					      NULL};
	struct made *made = make_image(hospital, targets);

	(void)state;
	write_made(made);
	/* nord: its files are refused before anything else */
	assert_has(made, "chain partner-0 {\n\t\ttcp sport 22 counter name refused drop\n");
	assert_has(made,
		   "tcp sport 443 tcp flags & (syn | ack) != syn counter name passed accept\n");
	assert_has(made, "\tset cut4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = {\n"
			 "\t\t\t0.0.0.0-255.255.255.255\n");
	assert_has(made, "\t\t\t::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n");
	made_free(made);
}

/* Whoever is cut apart from others of the same rules has a chain of his own. */
static void test_a_cut_partner_is_told_apart(void **state)
{
	static const char *const targets[] = {"partner:q", NULL};
	struct made *made = make_image(
		HEAD
		"services: {a: {cgroup: a}}\n"
		"partners: {p: {addresses: 192.0.2.1}, q: {addresses: 192.0.2.2}}\n"
		"grants: [{name: x, service: a, partner: any, serves: tcp/22, budget: none}]\n",
		targets);

	(void)state;
	write_made(made);
	assert_has(made, "192.0.2.1 : goto partner-0");
	assert_has(made, "192.0.2.2 : goto partner-1");
	assert_has(made, "chain partner-1 {\n\t\ttcp sport 22 counter name refused "
			 "drop\n\t\tcounter name refused drop\n");
	made_free(made);
}

static void test_a_policy_that_observes(void **state)
{
	static const char *const targets[] = {"partner:p", NULL};
	static const char *const strangers[] = {"strangers", NULL};
	static const char text[] =
		"weir: 1\nname: t\nmode: observe\n"
		"services: {a: {cgroup: a}}\n"
		"partners: {p: {addresses: 192.0.2.1}, q: {addresses: 192.0.2.2, until: "
		"2028-01-01}}\n"
		"grants: [{name: x, service: a, partner: any, serves: tcp/22, budget: none}]\n";
	struct made *made = make_image(text, targets);

	(void)state;
	write_made(made);
	assert_has(made, "chain partner-0 {\n\t\ttcp sport 22 counter name refused "
			 "drop\n\t\tcounter name refused drop\n");
	assert_has(made, "chain partner-1 {\n\t\tcounter name passed accept\n");
	assert_has(made, "@partner6\n\t\tcounter name passed accept\n");
	made_free(made);
	made = make_image(text, strangers);
	write_made(made);
	assert_has(
		made,
		"counter name passed accept\n\t\tcounter name refused drop\n"); /* what it grants,
										   and no more */
	assert_has(made, "@partner6\n\t\tcounter name refused drop\n");
	assert_has(made, "meta time >= "); /* then one of them is a stranger */
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_say_what_the_longest_prefix_says),
		cmocka_unit_test(test_rules_of_partners_and_lifeline),
		cmocka_unit_test(test_partners_that_are_treated_alike_share_a_chain),
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_names_of_uplinks),
		cmocka_unit_test(test_a_cut_covers_what_it_may_cover),
		cmocka_unit_test(test_cuts_in_the_text),
		cmocka_unit_test(test_a_cut_partner_is_told_apart),
		cmocka_unit_test(test_a_policy_that_observes),
	};

	return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}
