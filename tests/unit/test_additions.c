/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_additions.c - prefixes that orders add to partners, on a host: what one comes to, when it
 * counts, and how it lies to other orders.
 */
#include "tests/unit/a_host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netpacket/packet.h>

#include "user/base/address.h"
#include "user/base/units.h"
#include "user/daemon/additions.h"
#include "user/daemon/cutting.h"
#include "user/policy/ruleset.h"
#include "user/policy/target.h"

/* Instead of the machine's, whatever it has. */
static int own_error;

int getifaddrs(struct ifaddrs **list)
{
	static struct sockaddr_in v4 = {.sin_family = AF_INET};
	static struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	static struct sockaddr_ll link = {.sll_family = AF_PACKET};
	static struct ifaddrs item[4];

	if (own_error) {
		errno = own_error;
		return -1;
	}
	inet_pton(AF_INET, "203.0.113.10", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8:f::10", &v6.sin6_addr);
	item[0].ifa_addr = NULL; /* an interface without one */
	item[1].ifa_addr = (struct sockaddr *)&link;
	item[2].ifa_addr = (struct sockaddr *)&v4;
	item[3].ifa_addr = (struct sockaddr *)&v6;
	for (int i = 0; i < 3; i++)
		item[i].ifa_next = &item[i + 1];
	*list = item;
	return 0;
}

void freeifaddrs(struct ifaddrs *list)
{
	(void)list;
}

static json_object *add(struct host *host, const char *partner, const char *prefix,
			const char *seconds)
{
	char request[512];

	snprintf(request, sizeof(request),
		 "{\"request\":\"partner-add\",\"targets\":[\"partner:%s\"],\"prefix\":\"%s\","
		 "\"for_seconds\":%s,\"reason\":\"they moved\"}",
		 partner, prefix, seconds);
	return ask(host, request);
}

static void expect_code_of(json_object *answer, int code)
{
	expect_code(answer, code);
	json_object_put(answer);
}

static void must_add(struct host *host, const char *partner, const char *prefix)
{
	json_object *answer = add(host, partner, prefix, "3600");

	expect_code(answer, 0);
	assert_string_equal(json_object_get_string(member(answer, "prefix")), prefix);
	json_object_put(answer);
}

static uint32_t owner(const struct host *host, const char *text)
{
	uint8_t address[16];

	assert_int_equal(address_parse(text, address), 0);
	return host_partner_of(host, address);
}

static void it_counts_until_its_end_and_by_a_clock_that_is_known(void **state)
{
	struct host *host = *state;
	uint32_t nord = image_partner(&host->image, "nord");

	must_add(host, "nord", "192.0.2.0/24");
	assert_int_equal(owner(host, "192.0.2.1"), nord);
	assert_int_equal(owner(host, "192.0.3.1"), WEIR_NO_PARTNER);
	assert_int_equal(owner(host, "198.51.100.17"), image_partner(&host->image, "sued"));
	fake.control.hours_closed = 1;
	assert_int_equal(owner(host, "192.0.2.1"), WEIR_NO_PARTNER);
	fake.control.hours_closed = 0;
	fake.control.wall_offset_ns += 3601 * (int64_t)NS_PER_SECOND;
	assert_int_equal(owner(host, "192.0.2.1"), WEIR_NO_PARTNER);
	host_end_orders(host);
	assert_int_equal(host->orders.count, 0);
}

static void what_cannot_be_changes_nothing(void **state)
{
	static const struct {
		const char *partner, *prefix, *seconds, *says;
	} bad[] = {
		{"nord", "192.0.2.0/25", "2592001", "30 days"},
		{"nord", "192.0.2.1/25", "60", "to the right"},
		{"nord", "x", "60", "neither"},
		{"nobody", "192.0.2.0/25", "60", "no partner"},
		{"sued", "192.0.2.9", "60", "overlaps 192.0.2.8/29, which o1 adds to partner:nord"},
		{"sued", "192.0.2.0/24", "60", "which o1 adds"},
		{"nord", "198.51.100.16", "60", "of partner sued"},
		{"nord", "203.0.113.0/24", "60", "covers 203.0.113.10, this host's own address"},
		{"nord", "2001:db8:f::/64", "60", "covers 2001:db8:f::10, this host's own"},
	};
	struct host *host = *state;

	must_add(host, "nord", "192.0.2.8/29");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_object *answer = add(host, bad[i].partner, bad[i].prefix, bad[i].seconds);

		expect_code(answer, 1);
		if (!strstr(json_object_get_string(member(answer, "problem")), bad[i].says))
			fail_msg("%s: %s", bad[i].prefix, json_object_to_json_string(answer));
		json_object_put(answer);
		assert_int_equal(host->orders.count, 1);
	}
	must_add(host, "nord", "192.0.2.0/24");
	own_error = EMFILE;
	expect_code_of(add(host, "nord", "192.0.3.0/24", "60"), 1);
	own_error = 0;
	expect_code_of(add(host, "nord", "192.0.3.0/24", "60"), 0);
}

static void expect_cover(const struct host *host, const char *cut, const char *target,
			 enum cover cover)
{
	struct weir_cut_entry wide, narrow;

	assert_int_equal(target_resolve(&host->image, cut, &wide, NULL), 0);
	assert_int_equal(target_resolve(&host->image, target, &narrow, NULL), 0);
	if (host_cover(host, &wide, &narrow) != cover)
		fail_msg("%s over %s: %d", cut, target, host_cover(host, &wide, &narrow));
}

static void cuts_see_it_as_the_partners(void **state)
{
	struct host *host = *state;
	struct weir_cut_entry cut;
	uint32_t nord = image_partner(&host->image, "nord");

	must_add(host, "nord", "192.0.2.0/24");
	expect_cover(host, "partner:nord", "addr:192.0.2.7", COVER_WHOLE);
	expect_cover(host, "partner:nord", "addr:192.0.2.0/23", COVER_PART);
	expect_cover(host, "partner:sued", "addr:192.0.2.7", COVER_NONE);
	expect_cover(host, "partner:nord", "addr:192.0.4.7", COVER_NONE);
	expect_cover(host, "class:hospital", "addr:192.0.2.7", COVER_WHOLE);
	expect_cover(host, "strangers", "addr:192.0.2.7", COVER_PART);
	expect_cover(host, "strangers", "addr:192.0.4.7", COVER_WHOLE);
	expect_cover(host, "addr:192.0.2.0/25", "addr:192.0.2.7", COVER_WHOLE);
	expect_cover(host, "partner:nord@service:sftp", "addr:192.0.2.7", COVER_PART);
	expect_cover(host, "partner:nord", "addr:198.51.100.2", COVER_WHOLE);
	expect_cover(host, "partner:nord", "partner:nord", COVER_SAME);
	assert_int_equal(target_resolve(&host->image, "addr:192.0.2.7", &cut, NULL), 0);
	assert_true(host_partner_is_touched(host, &cut, nord));
	assert_false(host_partner_is_touched(host, &cut, image_partner(&host->image, "sued")));
	assert_int_equal(target_resolve(&host->image, "addr:192.0.4.7", &cut, NULL), 0);
	assert_false(host_partner_is_touched(host, &cut, nord));
}

/* What the kernel would get under another policy: nothing, and not a prefix of no bits. */
static void a_void_one_is_of_nothing(void **state)
{
	struct host *host = *state;
	_cleanup_order_table_ struct order_table table = {0};
	static const char text[] = "weir: 1\nname: other\nmode: enforce\n"
				   "services: {files: {cgroup: b}}\n"
				   "partners: {nord: {addresses: [198.51.100.8/29]},\n"
				   "  ost: {addresses: [192.0.2.77]}}\n";
	struct source source = {
		.name = (char *)"x", .text = (char *)text, .length = sizeof(text) - 1};
	const struct sources sources = {&source, 1};
	struct faults faults = {0};
	struct image other = {0};
	static const uint8_t peer[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2};
	char *problem = NULL;
	uint64_t until;
	size_t lost;

	assert_int_equal(policy_to_image(&sources, wall_now(), &other, &faults), 0);
	must_add(host, "nord", "192.0.2.0/24");
	assert_int_equal(host_compile_orders(host, &other, &host->orders, &table, &lost, &problem),
			 0);
	assert_int_equal(table.override_count, 1);
	assert_int_equal(table.override[0].at.target, WEIR_TARGET_NOTHING);
	assert_int_equal(image_partner_added(&table, peer, host_wall(host), &until),
			 WEIR_NO_PARTNER);
	order_table_free(&table);
	assert_int_equal(
		host_compile_orders(host, &host->image, &host->orders, &table, &lost, &problem), 0);
	assert_int_equal(image_partner_added(&table, peer, host_wall(host), &until),
			 image_partner(&host->image, "nord"));
	assert_true(until == host->orders.item[0].until_ns);
	faults_free(&faults);
	image_free(&other);
}

/* malloc'd. */
static char *ruleset_text(struct host *host)
{
	_cleanup_order_table_ struct order_table cuts = {0};
	static const struct names uplinks;
	struct ruleset ruleset = {.instance = "unit",
				  .mode = WITHOUT_GUARD_FALLBACK,
				  .image = &host->image,
				  .cuts = &cuts,
				  .uplinks = &uplinks,
				  .wall_ns = NS_PER_SECOND};
	char *text = NULL, *problem = NULL;
	size_t length, lost;
	FILE *out = open_memstream(&text, &length);

	assert_int_equal(
		host_compile_orders(host, &host->image, &host->orders, &cuts, &lost, &problem), 0);
	assert_int_equal(ruleset_write(&ruleset, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* To the ruleset its addresses are strangers', who get nothing there. */
static void what_stands_in_for_the_guard_has_none(void **state)
{
	struct host *host = *state;
	char *before, *after;

	before = ruleset_text(host);
	must_add(host, "nord", "192.0.2.0/24");
	after = ruleset_text(host);
	assert_non_null(strstr(before, "198.51.100.0-198.51.100."));
	assert_string_equal(before, after);
	free(before);
	free(after);
}

#define on_a_host(test) cmocka_unit_test_setup_teardown(test, host_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_a_host(it_counts_until_its_end_and_by_a_clock_that_is_known),
		on_a_host(what_cannot_be_changes_nothing),
		on_a_host(cuts_see_it_as_the_partners),
		on_a_host(a_void_one_is_of_nothing),
		on_a_host(what_stands_in_for_the_guard_has_none),
	};

	return cmocka_run_group_tests_name("additions", tests, NULL, NULL);
}
