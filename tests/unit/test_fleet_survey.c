/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_fleet_survey.c - what brokers of paper have of the fleet, and what is made of it. */
#include "tests/unit/a_fleet.h"
#include "user/fleet/survey.h"

static int end(void **state)
{
	(void)state;
	document_free(&document);
	return 0;
}

static void begin(const char *text)
{
	struct order_fault fault;

	assert_int_equal(document_read(text, strlen(text), &document, &fault), 0);
}

static const struct known_signers nobody;

static void survey_word(struct survey *survey, size_t broker, size_t host, enum ack_result result)
{
	char topic[TOPIC_TEXT], *text;
	size_t length;

	text = word(host, result, 1000, topic, &length);
	survey_message(survey, broker, topic, text, length);
	free(text);
}

static void survey_standing(struct survey *survey, size_t host, struct standing *standing)
{
	char topic[TOPIC_TEXT], *text;
	size_t length;

	assert_int_equal(standing_write(standing, &keys[host], &text, &length), 0);
	survey_message(survey, 0, topic_of_host(standing->host, topic), text, length);
	free(text);
}

static void a_survey_tells_the_worst(void **state)
{
	struct standing standing;
	char topic[TOPIC_TEXT];
	struct survey survey;

	(void)state;
	begin(cut);
	assert_int_equal(survey_init(&survey, &config, &nobody), 0);
	survey.broker[0].is_reached = survey.broker[1].is_reached = true;
	survey_judge(&survey, wall_now());
	assert_int_equal(survey.count[HOST_UNREACHABLE], HOSTS);
	for (size_t i = 0; i < HOSTS; i++) {
		standing_of(i, 0, &standing);
		survey_standing(&survey, i, &standing);
	}
	survey_judge(&survey, wall_now());
	assert_int_equal(survey.count[HOST_ENFORCED], HOSTS); /* there is no order */
	survey_message(&survey, 0, topic_of_order(document.id, topic), cut, strlen(cut));
	survey_word(&survey, 0, 0, ACK_DONE);
	survey_word(&survey, 1, 1, ACK_REFUSED);
	survey_judge(&survey, wall_now());
	assert_int_equal(survey.item[0].state, HOST_ENFORCED);
	assert_int_equal(survey.item[1].state, HOST_REFUSES);
	assert_string_equal(survey.item[1].why, "why not");
	assert_int_equal(survey.item[2].state, HOST_LATE);
	assert_string_equal(survey.item[2].order, document.id);
	assert_int_equal(survey.disagreements, 1); /* broker 1 does not have it */
	survey_message(&survey, 1, topic, cut, strlen(cut));
	survey_judge(&survey, wall_now());
	assert_int_equal(survey.disagreements, 0);
	standing.has_daemon = false;
	standing.at_ns += NS_PER_SECOND;
	survey_standing(&survey, 2, &standing);
	survey_judge(&survey, wall_now());
	assert_int_equal(survey.item[2].state, HOST_NO_DAEMON);
	survey_judge(&survey, wall_now() + NS_PER_HOUR);
	assert_int_equal(survey.count[HOST_UNREACHABLE], HOSTS);
	survey_free(&survey);
}

/* With a base that the host says it has, or had. */
static void survey_base(struct survey *survey, size_t host, uint64_t version, bool holds,
			uint64_t at_ns)
{
	struct standing standing;

	standing_of(host, 0, &standing);
	standing.at_ns = at_ns;
	standing.base = version;
	standing.base_holds = holds;
	survey_standing(survey, host, &standing);
}

static void a_base_that_was_replaced_is_in_force_no_more(void **state)
{
	const uint64_t today = wall_now();
	char topic[TOPIC_TEXT];
	struct survey survey;

	(void)state;
	begin(base);
	assert_int_equal(survey_init(&survey, &config, &nobody), 0);
	for (size_t i = 0; i < HOSTS; i++)
		survey_base(&survey, i, 3, i != 1, today); /* h1 has another policy */
	survey_judge(&survey, today);
	assert_int_equal(survey.count[HOST_REFUSES], 1); /* also where no broker has the base */
	survey_message(&survey, 0, topic_of_order(document.id, topic), base, strlen(base));
	for (size_t i = 0; i < HOSTS; i++)
		survey_word(&survey, 0, i, ACK_DONE);		  /* long ago */
	survey_base(&survey, 2, 0, false, today + NS_PER_SECOND); /* and h2 was installed anew */
	survey_judge(&survey, today);
	assert_int_equal(survey.item[0].state, HOST_ENFORCED);
	assert_int_equal(survey.item[0].lacks, 0);
	assert_int_equal(survey.item[1].state, HOST_REFUSES);
	assert_int_equal(survey.item[1].lacks, 1);
	assert_string_equal(survey.item[1].why,
			    "another policy was put in its place on the host itself");
	assert_int_equal(survey.item[2].state, HOST_REFUSES);
	assert_string_equal(survey.item[2].why, "it was in force there, and is no more");
	/* gone back to it: its word of long ago is not asked for */
	survey_base(&survey, 1, 3, true, today + NS_PER_SECOND);
	survey_judge(&survey, today);
	assert_int_equal(survey.item[1].state, HOST_ENFORCED);
	survey_free(&survey);
}

static void serve_base(struct survey *survey, const char *version)
{
	char more[128], topic[TOPIC_TEXT], *text;
	struct document one;
	struct order_fault fault;

	snprintf(more, sizeof(more), "reason: x\nversion: %s\n\nweir: 1\n", version);
	text = order("base", "base@weir", more, "2026-01-01T00:00:00Z");
	assert_int_equal(document_read(text, strlen(text), &one, &fault), 0);
	survey_message(survey, 0, topic_of_order(one.id, topic), text, strlen(text));
	document_free(&one);
	free(text);
}

static void a_later_base_of_others_supersedes_nothing(void **state)
{
	const uint64_t today = wall_now();
	struct survey survey;

	(void)state;
	begin(base);
	assert_int_equal(survey_init(&survey, &config, &nobody), 0);
	survey_base(&survey, 0, 3, true, today);
	survey_base(&survey, 1, 2, true, today);
	survey_base(&survey, 2, 4, true, today); /* of berlin */
	serve_base(&survey, "3");
	serve_base(&survey, "4\nhosts: berlin");
	survey_judge(&survey, today);
	assert_int_equal(survey.broker[0].bad_words, 0);
	assert_int_equal(survey.item[0].state, HOST_ENFORCED);
	assert_int_equal(survey.item[1].state, HOST_LATE);
	assert_int_equal(survey.item[1].orders, 1);
	assert_int_equal(survey.item[2].state, HOST_ENFORCED);
	assert_int_equal(survey.item[2].orders, 1);
	serve_base(&survey, "5");
	survey_judge(&survey, today);
	assert_int_equal(survey.count[HOST_LATE], HOSTS);
	survey_free(&survey);
}

/* It has just said so, and its standing comes within a second. */
static void the_word_of_a_base_may_be_newer_than_the_standing(void **state)
{
	char topic[TOPIC_TEXT];
	struct survey survey;

	(void)state;
	begin(base);
	assert_int_equal(survey_init(&survey, &config, &nobody), 0);
	for (size_t i = 0; i < HOSTS; i++)
		survey_base(&survey, i, 0, false, (1000 - i) * NS_PER_SECOND);
	survey_message(&survey, 0, topic_of_order(document.id, topic), base, strlen(base));
	for (size_t i = 0; i < HOSTS; i++)
		survey_word(&survey, 0, i, ACK_DONE);
	survey_judge(&survey, 1000 * NS_PER_SECOND);
	assert_int_equal(survey.count[HOST_ENFORCED], HOSTS);
	survey_free(&survey);
}

static void an_old_beat_is_old_when_the_brokers_have_lost_theirs(void **state)
{
	const uint64_t today = wall_now();
	struct standing standing;
	struct survey survey;

	(void)state;
	begin(beat);
	assert_int_equal(survey_init(&survey, &config, &nobody), 0);
	for (size_t i = 0; i < HOSTS; i++) {
		standing_of(i, i < 2 ? 7 : 0, &standing);
		standing.at_ns = today;
		if (i == 0)
			standing.beat_issued_ns = today - NS_PER_DAY;
		survey_standing(&survey, i, &standing);
	}
	survey_judge(&survey, today);
	assert_int_equal(survey.item[0].state, HOST_STALE_BEAT);
	assert_int_equal(survey.item[1].state, HOST_ENFORCED);
	assert_int_equal(survey.item[2].state, HOST_STALE_BEAT); /* it never had one */
	survey_message(&survey, 0, TOPIC_BEAT, beat, strlen(beat));
	survey_judge(&survey, today);
	assert_int_equal(survey.count[HOST_STALE_BEAT], 2); /* no other for that */
	survey_free(&survey);
	/* where only the brokers know of one, and where nobody does */
	assert_int_equal(survey_init(&survey, &config, &nobody), 0);
	for (size_t i = 0; i < HOSTS; i++) {
		standing_of(i, 0, &standing);
		survey_standing(&survey, i, &standing);
	}
	survey_judge(&survey, today);
	assert_int_equal(survey.count[HOST_ENFORCED], HOSTS);
	survey_message(&survey, 0, TOPIC_BEAT, beat, strlen(beat));
	survey_judge(&survey, today);
	assert_int_equal(survey.count[HOST_STALE_BEAT], HOSTS);
	survey_free(&survey);
}

/* The order was issued long ago, and an order for others is nobody else's. */
static void a_survey_knows_groups_and_strays(void **state)
{
	struct standing standing;
	char topic[TOPIC_TEXT];
	struct survey survey;
	struct known_signers known = {.is_there = true};

	(void)state;
	begin(cut_of_berlin);
	assert_int_equal(survey_init(&survey, &config, &nobody), 0);
	for (size_t i = 0; i < HOSTS; i++) {
		standing_of(i, 0, &standing);
		survey_standing(&survey, i, &standing);
	}
	survey_message(&survey, 0, topic_of_order(document.id, topic), cut_of_berlin,
		       strlen(cut_of_berlin));
	survey_judge(&survey, wall_now());
	assert_int_equal(survey.item[0].state, HOST_ENFORCED);
	assert_int_equal(survey.item[2].state, HOST_LATE);
	assert_int_equal(survey.broker[0].bad_words, 0);
	survey_message(&survey, 0, topic, cut, strlen(cut)); /* of another id */
	survey_message(&survey, 0, topic, "x", 1);
	survey_message(&survey, 0, "weir/other", "x", 1);
	survey_word(&survey, 0, 0, ACK_DONE);
	assert_int_equal(survey.broker[0].bad_words, 3);
	survey_free(&survey);
	/* where it is known who may sign, what nobody has signed is not waited for */
	assert_int_equal(survey_init(&survey, &config, &known), 0);
	survey_message(&survey, 0, topic, cut_of_berlin, strlen(cut_of_berlin));
	standing_of(2, 0, &standing);
	survey_standing(&survey, 2, &standing);
	survey_judge(&survey, wall_now());
	assert_int_equal(survey.item[2].state, HOST_ENFORCED);
	assert_int_equal(survey.broker[0].bad_words, 1);
	survey_free(&survey);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_survey_tells_the_worst, end),
		cmocka_unit_test_teardown(a_base_that_was_replaced_is_in_force_no_more, end),
		cmocka_unit_test_teardown(a_later_base_of_others_supersedes_nothing, end),
		cmocka_unit_test_teardown(the_word_of_a_base_may_be_newer_than_the_standing, end),
		cmocka_unit_test_teardown(an_old_beat_is_old_when_the_brokers_have_lost_theirs,
					  end),
		cmocka_unit_test_teardown(a_survey_knows_groups_and_strays, end),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
