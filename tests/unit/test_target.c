/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_target.c - targets of orders: read, refused with near names, and written back.
 */
#include "tests/unit/compiled.h"

#include <errno.h>

#include "user/policy/target.h"
#include "user/policy/words.h"

static const char policy[] =
	"weir: 1\nname: t\nmode: enforce\n"
	"services: {sftp: {cgroup: a, class: [exchange]}, portal: {cgroup: b}}\n"
	"partners: {klinik-nord: {addresses: [192.0.2.1], class: [hospital]}}\n"
	"grants:\n"
	"- {name: billing, service: sftp, partner: klinik-nord, serves: tcp/22, budget: none}\n";

/* Each of these comes back as it was, unless `as` says how. */
static const struct {
	const char *text;
	const char *as;
	enum weir_target target;
} good[] = {
	{"all", NULL, WEIR_TARGET_ALL},
	{"strangers", NULL, WEIR_TARGET_STRANGERS},
	{"partner:klinik-nord", NULL, WEIR_TARGET_PARTNER},
	{"service:portal", NULL, WEIR_TARGET_SERVICE},
	{"service:other", NULL, WEIR_TARGET_SERVICE},
	{"class:hospital", NULL, WEIR_TARGET_CLASS},
	{"grant:billing", NULL, WEIR_TARGET_GRANT},
	{"addr:192.0.2.0/24", NULL, WEIR_TARGET_ADDRESS},
	{"addr:0.0.0.0/0", NULL, WEIR_TARGET_ADDRESS},
	{"addr:192.0.2.7", NULL, WEIR_TARGET_ADDRESS},
	{"addr:192.0.2.7/32", "addr:192.0.2.7", WEIR_TARGET_ADDRESS},
	{"addr:2001:db8::/32", NULL, WEIR_TARGET_ADDRESS},
	{"addr:::/0", NULL, WEIR_TARGET_ADDRESS},
	{"addr:2001:DB8:0::1", "addr:2001:db8::1", WEIR_TARGET_ADDRESS},
	{"all@service:sftp", NULL, WEIR_TARGET_ALL},
	{"strangers@service:portal", NULL, WEIR_TARGET_STRANGERS},
	{"class:hospital@service:sftp", NULL, WEIR_TARGET_CLASS},
	{"addr:192.0.2.0/24@service:sftp", NULL, WEIR_TARGET_ADDRESS},
};

static void test_good(void **state)
{
	struct image image = compile_good(policy);

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct weir_cut_entry entry;
		char *problem, *text;

		assert_int_equal(target_resolve(&image, good[i].text, &entry, &problem), 0);
		assert_null(problem);
		assert_int_equal(entry.target, good[i].target);
		assert_int_equal(entry.order, 0);
		assert_int_equal(entry.is_exception, 0);
		text = target_format(&image, &entry);
		assert_string_equal(text, good[i].as ? good[i].as : good[i].text);
		free(text);
	}
	image_free(&image);
}

static void test_fields(void **state)
{
	struct image image = compile_good(policy);
	struct weir_cut_entry entry;
	char *problem;

	(void)state;
	assert_int_equal(target_resolve(&image, "addr:192.0.2.0/24@service:sftp", &entry, &problem),
			 0);
	assert_int_equal(entry.prefix_bits, 120);
	assert_int_equal(entry.address[10], 0xff);
	assert_int_equal(entry.service, image_service(&image, "sftp"));
	assert_int_equal(target_resolve(&image, "partner:klinik-nord", &entry, &problem), 0);
	assert_int_equal(entry.service, WEIR_ANY);
	assert_int_equal(entry.index, 1);
	assert_int_equal(target_resolve(&image, "class:hospital", &entry, &problem), 0);
	assert_int_equal(entry.index, image_class(&image, "hospital"));
	entry = (struct weir_cut_entry){.target = WEIR_TARGET_NOTHING, .service = 3};
	problem = target_format(&image, &entry);
	assert_string_equal(problem, "nothing");
	free(problem);
	image_free(&image);
}

static const struct {
	const char *text;
	int error;
	const char *part; /* of the problem */
} bad[] = {
	{"partner:klinik-nrod", -ENOENT, "did you mean \"klinik-nord\"?"},
	{"partner:somebody", -ENOENT, "no partner \"somebody\""},
	{"class:hopsital", -ENOENT, "\"hospital\""},
	{"grant:bill", -ENOENT, "no grant"},
	{"service:sftpp", -ENOENT, "\"sftp\""},
	{"all@service:protal", -ENOENT, "\"portal\""},
	{"service:sftp@service:portal", -EINVAL, "narrows"},
	{"partner:", -EINVAL, "needs a name"},
	{"all@service:", -EINVAL, "needs a name"},
	{"", -EINVAL, "no target"},
	{"klinik-nord", -EINVAL, "no target"},
	{"All", -EINVAL, "no target"},
	{"@service:sftp", -EINVAL, "no target"},
	{"addr:192.0.2.1/24", -EINVAL, "right of"},
	{"addr:192.0.2.0/33", -EINVAL, "length"},
	{"addr:192.0.2", -EINVAL, "neither"},
	{"addr:", -EINVAL, "neither"},
	{"addr:2001:db8::/129", -EINVAL, "length"},
};

static void test_bad(void **state)
{
	struct image image = compile_good(policy);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct weir_cut_entry entry = {.order = 77};
		char *problem = NULL;

		assert_int_equal(target_resolve(&image, bad[i].text, &entry, &problem),
				 bad[i].error);
		assert_non_null(problem);
		if (!strstr(problem, bad[i].part))
			print_error("%s: %s\n", bad[i].text, problem);
		assert_non_null(strstr(problem, bad[i].part));
		assert_null(strchr(problem, '\n'));
		assert_int_equal(target_resolve(&image, bad[i].text, &entry, NULL), bad[i].error);
		assert_int_equal(entry.order, 77);
		free(problem);
	}
	image_free(&image);
}

/* Every number has a name of its own, which reads back as the number. */
static void test_words(void **state)
{
	char buffer[PROTOCOL_NAME_BYTES];
	uint8_t number;

	(void)state;
	for (uint8_t i = 0; i < WEIR_REASONS; i++) {
		assert_int_equal(reason_parse(reason_name(i), &number), 0);
		assert_int_equal(number, i);
	}
	for (uint8_t i = WEIR_SERVES; i <= WEIR_CALLS_BACK; i++) {
		assert_int_equal(direction_parse(direction_name(i), &number), 0);
		assert_int_equal(number, i);
	}
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(protocol_parse(protocol_name(i, buffer), &number), 0);
		assert_int_equal(number, i);
	}
	for (uint8_t i = 0; i < WEIR_LOSSES; i++)
		assert_string_not_equal(loss_name(i), "unknown");
	assert_string_equal(reason_name(WEIR_REASONS), "unknown");
	assert_int_not_equal(reason_parse("no_grant", &number), 0);
	assert_int_not_equal(protocol_parse("256", &number), 0);
	assert_int_not_equal(protocol_parse("6x", &number), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
