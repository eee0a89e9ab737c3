/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_cover.c - how a cut by name lies to a prefix: whole only where all of the prefix is meant.
 */
#include "tests/unit/a_host.h"

#include "user/daemon/cover.h"
#include "user/policy/target.h"

static const char policy[] =
	"weir: 1\nname: test\nmode: enforce\n"
	"services:\n  s: {cgroup: a}\n"
	"partners:\n"
	"  range: {addresses: [10.0.0.0/16, 10.2.0.0/16, 2001:db8::/32], class: [k]}\n"
	"  inner: {addresses: [10.2.3.0/24]}\n"
	"  both: {addresses: [\"::/0\"]}\n"
	"grants:\n  - {name: g, service: s, partner: any, serves: tcp/22, budget: none}\n"
	"strangers: {serves: [64KiB/10m], calls: deny, total: none}\n";

static void a_prefix_is_a_partners_only_as_a_whole(void **state)
{
	static const struct {
		const char *cut, *target;
		enum cover cover;
	} cases[] = {
		{"partner:range", "addr:10.0.0.0/16", COVER_WHOLE},
		{"partner:range", "addr:10.0.9.0/24", COVER_WHOLE},
		/* wider than what it has: by its first address it would be its */
		{"partner:range", "addr:10.0.0.0/15", COVER_PART},
		{"partner:range", "addr:10.0.0.0/8", COVER_PART},
		{"class:k", "addr:10.0.0.0/15", COVER_PART},
		{"strangers", "addr:10.0.0.0/15", COVER_PART},
		/* another's inside it, at its beginning and behind it */
		{"partner:range", "addr:10.2.0.0/16", COVER_PART},
		{"partner:range", "addr:10.2.3.0/24", COVER_NONE},
		{"partner:inner", "addr:10.2.3.0/24", COVER_WHOLE},
		{"partner:inner", "addr:10.2.2.0/23", COVER_PART},
		{"partner:range", "addr:10.2.4.0/24", COVER_WHOLE},
		/* nobody's */
		{"partner:range", "addr:10.1.0.0/16", COVER_NONE},
		{"strangers", "addr:10.1.0.0/16", COVER_WHOLE},
		/* a short IPv6 prefix means IPv4 too, which a partner's ::/0 does not */
		{"partner:both", "addr:2002::/16", COVER_WHOLE},
		{"partner:both", "addr:::/0", COVER_PART},
		{"partner:both", "addr:::/64", COVER_PART},
		{"partner:range", "addr:2001:db8::/32", COVER_WHOLE},
	};
	struct host *host = *state;

	take_policy(host, policy);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct weir_cut_entry cut, target;
		enum cover cover;

		assert_int_equal(target_resolve(&host->image, cases[i].cut, &cut, NULL), 0);
		assert_int_equal(target_resolve(&host->image, cases[i].target, &target, NULL), 0);
		cover = cover_of(&host->image, &cut, &target);
		if (cover != cases[i].cover)
			fail_msg("%s, %s: %d", cases[i].cut, cases[i].target, cover);
	}
}

/* Also where the policy lists no IPv4 at all. */
static void ipv6_alone_is_not_ipv4(void **state)
{
	struct weir_cut_entry cut, target;
	struct host *host = *state;

	take_policy(host,
		    "weir: 1\nname: test\nmode: enforce\nservices:\n  s: {cgroup: a}\n"
		    "partners:\n  six: {addresses: [\"::/0\"]}\ngrants:\n"
		    "  - {name: g, service: s, partner: six, serves: tcp/22, budget: none}\n");
	assert_int_equal(target_resolve(&host->image, "partner:six", &cut, NULL), 0);
	assert_int_equal(target_resolve(&host->image, "addr:::/0", &target, NULL), 0);
	assert_int_equal(cover_of(&host->image, &cut, &target), COVER_PART);
	assert_int_equal(target_resolve(&host->image, "addr:2000::/3", &target, NULL), 0);
	assert_int_equal(cover_of(&host->image, &cut, &target), COVER_WHOLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_prefix_is_a_partners_only_as_a_whole, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(ipv6_alone_is_not_ipv4, host_up, host_down),
	};

	return cmocka_run_group_tests_name("cover", tests, NULL, NULL);
}
