/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_reading.c - what was read for the difference serves the apply of the same texts, once. */
#include "policy_text.h"

#include "user/daemon/reading.h"

#define GOOD GRANT "serves: tcp/22}\n"
#define MARK "read before" /* in the place of the name, which tells one that was kept */

static const struct sources *sources_of(struct texts *texts, const char *text)
{
	return texts_of(texts, text, strlen(text), NULL);
}

static void keep(struct kept_reading *kept, const struct sources *sources)
{
	struct reading reading = {0};

	assert_int_equal(reading_make(sources, &reading), 0);
	free(reading.policy.name);
	reading.policy.name = strdup(MARK);
	faults_add(&reading.faults, SEVERITY_WARNING, (struct position){0, 1, 1}, "a warning");
	reading_keep(kept, sources, &reading);
	assert_null(reading.policy.name);
	assert_int_equal(reading.faults.count, 0);
}

/* Whether it is the one that was kept. */
static bool take(struct kept_reading *kept, const struct sources *sources)
{
	struct reading reading = {0};
	bool is_kept;

	assert_int_equal(reading_take(kept, sources, &reading), 0);
	is_kept = strcmp(reading.policy.name, MARK) == 0;
	assert_int_equal(reading.faults.warnings, is_kept + 1); /* it has one of its own */
	assert_int_equal(reading.policy.grant_count, 1);
	reading_free(&reading);
	return is_kept;
}

static void test_the_same_texts_once(void **state)
{
	struct kept_reading kept = {0};
	struct texts texts, other;

	(void)state;
	keep(&kept, sources_of(&texts, GOOD));
	other = texts;
	other.item[0].name = (char *)"elsewhere.yaml";
	other.sources.item = other.item;
	assert_true(take(&kept, &other.sources));
	assert_false(take(&kept, &texts.sources));
}

static void test_other_texts(void **state)
{
	struct kept_reading kept = {0};
	struct texts texts, other;

	(void)state;
	keep(&kept, sources_of(&texts, GOOD));
	assert_false(take(&kept, sources_of(&other, GOOD "# and a comment\n")));
	assert_true(take(&kept, &texts.sources)); /* somebody else's apply does not spoil it */
}

static void test_the_newest_stands(void **state)
{
	struct kept_reading kept = {0};
	struct texts texts, other;

	(void)state;
	keep(&kept, sources_of(&texts, GOOD));
	keep(&kept, sources_of(&other, GOOD "# and a comment\n"));
	assert_false(take(&kept, &texts.sources));
	assert_true(take(&kept, &other.sources));
}

static void test_faults(void **state)
{
	struct kept_reading kept = {0};
	struct reading reading = {0};
	struct texts texts;

	(void)state;
	assert_int_equal(reading_take(&kept, sources_of(&texts, GRANT "serves: x}\n"), &reading),
			 -EBADMSG);
	assert_int_equal(reading.faults.errors, 1);
	reading_free(&reading);
}

static void test_it_does_not_stay(void **state)
{
	struct kept_reading kept = {0};
	struct texts texts;
	uint64_t due;

	(void)state;
	assert_int_equal(reading_drop_due(&kept, 1), 0);
	keep(&kept, sources_of(&texts, GOOD));
	due = reading_drop_due(&kept, 1);
	assert_true(due > 1);
	assert_int_equal(reading_drop_due(&kept, due - 1), due);
	assert_non_null(kept.reading.policy.name);
	assert_int_equal(reading_drop_due(&kept, due), 0);
	assert_null(kept.reading.policy.name);
	assert_false(take(&kept, &texts.sources));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_texts_once), cmocka_unit_test(test_other_texts),
		cmocka_unit_test(test_the_newest_stands),   cmocka_unit_test(test_faults),
		cmocka_unit_test(test_it_does_not_stay),
	};

	return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}
