/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_addition.c - which prefixes may be added to a partner, by the policy.
 */
#include "tests/unit/compiled.h"

#include <errno.h>

#include "user/policy/addition.h"

static const char policy_text[] =
	"weir: 1\nname: test\nmode: enforce\n"
	"lifeline:\n"
	"  - {service: admin, serves: tcp/22, to: [192.0.2.0/28, 10.0.0.0/8], why: x}\n"
	"services:\n"
	"  admin: {cgroup: a}\n"
	"  files: {cgroup: b}\n"
	"partners:\n"
	"  nord: {addresses: [198.51.100.0/28, 198.51.100.128/25, \"2001:db8:1::/48\"]}\n"
	"  sued: {addresses: [198.51.100.16/28, 198.51.100.130, \"2001:db8:2::/48\"]}\n"
	"  west: {addresses: [\"::/0\"]}\n"
	"grants:\n"
	"  - {name: a, service: files, partner: any, serves: tcp/22, budget: none}\n"
	"strangers: {serves: [64KiB/10m], calls: deny}\n";

static void expect(const struct image *image, const char *partner, const char *prefix,
		   const char *says)
{
	uint32_t index = image_partner(image, partner);
	uint8_t address[16], bits;
	char *why = NULL;
	int r;

	assert_int_equal(prefix_parse(prefix, address, &bits), 0);
	r = addition_check(image, index, address, bits, &why);
	if (r != (says ? -EINVAL : 0) || (says && !strstr(why, says)) || (!says && why))
		fail_msg("%s to %s: %d, %s", prefix, partner, r, why ? why : "nothing said");
	assert_int_equal(addition_check(image, index, address, bits, NULL), r);
	free(why);
}

static void the_policy_comes_first(void **state)
{
	struct image image = compile_good(policy_text);

	(void)state;
	expect(&image, "nord", "203.0.113.7", NULL);
	expect(&image, "nord", "203.0.0.0/16", NULL);
	expect(&image, "nord", "203.0.0.0/15", "at least /16 of IPv4");
	expect(&image, "nord", "0.0.0.0/0", "at least /16 of IPv4");
	expect(&image, "nord", "2001:db8::/31", "at least /32 of IPv6");
	expect(&image, "nord", "::/0", "at least /32 of IPv6");
	expect(&image, "nord", "127.0.0.1", "loopback");
	expect(&image, "nord", "0.1.0.0/16", "this host");
	expect(&image, "nord", "169.254.1.0/24", "link-local");
	expect(&image, "nord", "224.0.0.0/16", "multicast");
	expect(&image, "nord", "255.255.255.255", "multicast, or reserved");
	expect(&image, "nord", "fe80::/64", "link-local");
	expect(&image, "nord", "ff02::1", "multicast");
	expect(&image, "nord", "::1", "loopback, or mapped");
	expect(&image, "nord", "::fffe:0:0/96", "loopback, or mapped");
	/* around, inside, and where it begins */
	expect(&image, "nord", "198.51.100.0/24", "overlaps 198.51.100.16/28 of partner sued");
	expect(&image, "nord", "198.51.100.16", "overlaps 198.51.100.16/28 of partner sued");
	expect(&image, "sued", "198.51.100.0/29", "overlaps 198.51.100.0/28 of partner nord");
	expect(&image, "sued", "198.51.100.0/27", "overlaps 198.51.100.0/28 of partner nord");
	expect(&image, "sued", "198.51.100.131", "overlaps 198.51.100.128/25 of partner nord");
	expect(&image, "nord", "198.51.100.130", "overlaps 198.51.100.130 of partner sued");
	expect(&image, "nord", "198.51.100.3", "is nord's by the policy");
	expect(&image, "nord", "198.51.100.0/28", "is nord's by the policy");
	expect(&image, "nord", "198.51.100.32/27", NULL);
	expect(&image, "nord", "198.51.100.64/26", NULL);
	/* ::/0 holds no IPv4 address, and each of IPv6 */
	expect(&image, "west", "203.0.113.0/24", NULL);
	expect(&image, "nord", "2001:db8:3::/48", "overlaps ::/0 of partner west");
	expect(&image, "west", "2001:db8:3::/48", "is west's by the policy");
	/* the lifeline */
	expect(&image, "nord", "192.0.2.0/24", "covers 192.0.2.0/28 of the lifeline");
	expect(&image, "nord", "192.0.2.0/28", "covers 192.0.2.0/28 of the lifeline");
	expect(&image, "nord", "192.0.2.8/29", NULL);
	expect(&image, "nord", "10.1.0.0/16", NULL);
	image_free(&image);
}

/* A partner's own prefixes may lie inside: the rest is added. */
static void own_prefixes_may_lie_inside(void **state)
{
	struct image image = compile_good("weir: 1\nname: test\nmode: enforce\n"
					  "services: {files: {cgroup: b}}\n"
					  "partners: {nord: {addresses: [198.51.100.8/29]}}\n");

	(void)state;
	expect(&image, "nord", "198.51.100.0/24", NULL);
	expect(&image, "nord", "198.51.100.0/28", NULL);
	image_free(&image);
}

/* ---- against all pairs ---------------------------------------------------------------------- */

static bool is_overlapped(const struct image *image, uint32_t partner, const uint8_t address[16],
			  uint8_t bits)
{
	for (size_t i = 0; i < image->prefix_count; i++) {
		const struct image_prefix *p = &image->prefixes[i];
		bool meets = prefix_covers(p->address, p->bits, address) ||
			     prefix_covers(address, bits, p->address);

		if (meets && (p->partner != partner || p->bits <= bits))
			return true;
	}
	return false;
}

static void random_prefixes_agree_with_all_pairs(void **state)
{
	size_t refused = 0, taken = 0;

	(void)state;
	srand(7);
	for (int round = 0; round < 200; round++) {
		char text[4096] = "weir: 1\nname: t\nmode: enforce\nservices: {s: {cgroup: b}}\n"
				  "partners:\n";
		struct faults faults = {0};
		struct image image = {0};

		for (int i = 0; i < 6; i++) {
			unsigned int bits = 24 + rand() % 9, low = rand() % 256;

			low &= 0xff << (32 - bits) & 0xff;
			sprintf(text + strlen(text), "  p%d: {addresses: [10.0.%d.%u/%u]}\n", i,
				rand() % 2, low, bits);
		}
		if (compile_text(text, TEST_NOW_NS, &image, &faults, false) < 0) {
			faults_free(&faults); /* one prefix twice */
			continue;
		}
		faults_free(&faults);
		for (int i = 0; i < 200; i++) {
			uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 10}, bits;
			uint32_t partner = 1 + rand() % 6;
			bool is_refused;

			bits = 96 + 20 + rand() % 13;
			address[14] = rand() % 3;
			address[15] = rand();
			prefix_mask(address, bits);
			is_refused = addition_check(&image, partner, address, bits, NULL) < 0;
			assert_int_equal(is_refused, is_overlapped(&image, partner, address, bits));
			refused += is_refused;
			taken += !is_refused;
		}
		image_free(&image);
	}
	assert_true(refused > 1000 && taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_policy_comes_first),
		cmocka_unit_test(own_prefixes_may_lie_inside),
		cmocka_unit_test(random_prefixes_agree_with_all_pairs),
	};

	return cmocka_run_group_tests_name("addition", tests, NULL, NULL);
}
