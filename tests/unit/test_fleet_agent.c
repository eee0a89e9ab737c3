/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_fleet_agent.c - the agent between brokers and a daemon: nothing is lost, nothing is asked
 * without end, and no broker can take from the other.
 */
#include "tests/unit/agent_asked.h"

/* ---- what is handed in ---------------------------------------------------------------------- */

static void an_order_is_handed_in_once_and_said_to_both(void **state)
{
	struct text one = cut(1);
	const char *said;

	(void)state;
	serve(0, &one);
	serve(1, &one);
	expect_asked(&one);
	answer_done(&one, "true");
	said = done();
	assert_non_null(strstr(said, "0 weir/ack/hub-1/"));
	assert_non_null(strstr(said, "1 weir/ack/hub-1/"));
	assert_non_null(strstr(said, " done\n"));
	serve(0, &one);
	serve(1, &one);
	expect_nothing_asked();
	assert_string_equal(done(), "");
	now += NS_PER_DAY;
	expect_nothing_asked();
}

static void a_broker_that_comes_back_is_told_again(void **state)
{
	struct text one = cut(1);

	(void)state;
	serve(0, &one);
	expect_asked(&one);
	answer_done(&one, "false");
	assert_non_null(strstr(done(), "not-for-us"));
	agent_down(&agent, 0);
	agent_up(&agent, 0, now);
	assert_string_equal(done(), "");
	serve(0, &one);
	assert_non_null(strstr(done(), "0 weir/ack/hub-1/"));
	serve(0, &one);
	serve(1, &one);
	assert_string_equal(done(), "");
	expect_nothing_asked();
}

static void what_a_broker_did_not_take_is_said_when_it_does(void **state)
{
	struct text one = cut(1);

	(void)state;
	serve(0, &one);
	expect_asked(&one);
	agent_is_refused = true;
	answer_done(&one, "true");
	agent_is_refused = false;
	done();
	serve(0, &one);
	assert_non_null(strstr(done(), "0 weir/ack/hub-1/"));
}

static void cuts_come_first(void **state)
{
	struct text reopen = text_of("reopen", 1, "AAAA"), one = cut(2), two = cut(3);

	(void)state;
	serve(0, &reopen);
	serve(0, &one);
	serve(0, &two);
	expect_asked(&one);
	answer_done(&one, "true");
	expect_asked(&two);
	answer_done(&two, "true");
	expect_asked(&reopen);
}

static void without_a_daemon_it_is_kept(void **state)
{
	struct text one = cut(1), two = cut(2);

	(void)state;
	serve(0, &one);
	serve(0, &two);
	expect_asked(&one);
	agent_no_answer(&agent, now);
	agent_no_daemon(&agent, now);
	assert_non_null(strstr(done(), "no daemon answers"));
	agent_no_daemon(&agent, now);
	assert_string_equal(done(), ""); /* told */
	now += NS_PER_DAY;
	/* one that the daemon does not survive keeps no other from it */
	expect_asked(&two);
	answer_done(&two, "true");
	expect_asked(&one);
	answer_done(&one, "true");
	assert_non_null(strstr(done(), " done\n"));
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void what_is_refused_is_tried_less_and_less_often(void **state)
{
	struct text one = cut(1);
	unsigned int tries = 0;
	uint64_t until = now + NS_PER_DAY;

	(void)state;
	serve(0, &one);
	while (now < until) {
		char *line = agent_request(&agent, now);
		uint64_t next;

		if (agent.asked == ASKED_ORDER) {
			tries++;
			answer(refused);
		} else if (line) {
			answer("{\"code\":0,\"policy\":\"x\",\"cuts\":0}");
		}
		free(line);
		next = agent_tick(&agent, now);
		now = next > now ? next : now;
	}
	assert_in_range(tries, 24, 40); /* an hour between them, in the end */
	/* said once: it says nothing new */
	assert_non_null(strstr(agent_did, " refused\n"));
	assert_null(strstr(strstr(strstr(agent_did, "1 weir/ack"), "refused\n") + 1, "refused\n"));
}

static void new_signers_make_it_try_at_once(void **state)
{
	struct text one = cut(1);
	char *line;

	(void)state;
	line = agent_request(&agent, now);
	answer("{\"code\":0,\"in_force\":{\"signers\":{\"version\":1}}}");
	free(line);
	serve(0, &one);
	expect_asked(&one);
	answer(refused);
	expect_nothing_asked();
	now += 2 * NS_PER_SECOND;
	line = agent_request(&agent, now);
	assert_int_equal(agent.asked, ASKED_BRIEF);
	free(line);
	answer("{\"code\":0,\"in_force\":{\"signers\":{\"version\":2}}}");
	expect_asked(&one);
	answer_done(&one, "true");
	assert_non_null(strstr(done(), " done\n"));
}

/* Else a broker could put its own behind a body, and so keep an order out. */
static void other_signatures_do_not_replace_those_that_count(void **state)
{
	struct text good = cut(1), bad = text_of("cut", 1, "AAAB");

	(void)state;
	assert_string_equal(good.id, bad.id);
	serve(0, &bad);
	expect_asked(&good); /* of the same id */
	answer(refused);
	assert_non_null(strstr(done(), " refused\n"));
	serve(1, &good);
	expect_asked(&good);
	answer_done(&good, "true");
	assert_non_null(strstr(done(), "0 weir/ack/hub-1/"));
	serve(0, &bad);
	now += NS_PER_DAY;
	expect_nothing_asked();
	assert_null(strstr(done(), "refused"));
}

static void malformed_answers_are_refusals(void **state)
{
	static const char *const wrong[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"code\":0}",
		"{\"code\":\"0\",\"order\":7}",
		"null",
		"{\"code\":0,\"order\":\"0123\",\"is_for_us\":true}",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct text one = cut(100 + i);

		serve(0, &one);
		expect_asked(&one);
		answer(wrong[i]);
		if (!strstr(agent_did, " refused\n"))
			fail_msg("%s: %s", wrong[i], agent_did);
		done();
	}
}

static void what_holds_in_part_is_said_so_and_tried_again(void **state)
{
	struct text one = cut(1);
	char line[256];

	(void)state;
	serve(0, &one);
	expect_asked(&one);
	snprintf(line, sizeof(line), "{\"order\":\"%s\",\"code\":1,\"problem\":\"disk full\"}",
		 one.id);
	answer(line);
	assert_non_null(strstr(done(), " in-part\n"));
	now += NS_PER_MINUTE;
	expect_asked(&one);
}

/* ---- floods --------------------------------------------------------------------------------- */

static void a_flood_waits_and_the_other_broker_does_not(void **state)
{
	struct text good = text_of("reopen", 7, "AAAA");
	unsigned int asked = 0;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		struct text one = cut(1000 + i);

		serve(0, &one);
	}
	for (char *line; (line = agent_request(&agent, now)); asked++) {
		bool is_over = agent.asked != ASKED_ORDER;

		free(line);
		if (is_over)
			break;
		answer(refused);
	}
	agent_no_answer(&agent, now);
	assert_int_equal(asked, 256);
	serve(1, &good);
	expect_asked(&good);
	answer_done(&good, "true");
	now += NS_PER_SECOND;
	assert_true(agent_wants(&agent, now));
}

static void a_full_memory_displaces_its_own_and_asks_again(void **state)
{
	struct text kept = cut(7), first = cut(100000);

	(void)state;
	serve(1, &kept);
	expect_asked(&kept);
	answer(refused);
	for (unsigned int i = 0; i < MEMORY_ORDERS + 10; i++) {
		struct text one = cut(100000 + i);

		serve(0, &one);
	}
	assert_int_equal(agent.memory.orders[0], MEMORY_ORDERS);
	assert_int_equal(agent.memory.orders[1], 1);
	assert_non_null(strstr(done(), "no room"));
	agent_tick(&agent, now);
	now += 2 * NS_PER_MINUTE;
	agent_tick(&agent, now);
	assert_string_equal(done(), "again 0\n");
	/* what was answered makes room; the other broker may have brought it too */
	expect_asked(&kept);
	answer(refused);
	expect_asked(&first);
	answer(refused);
	first = cut(999999);
	serve(0, &first);
	assert_int_equal(agent.memory.orders[0], MEMORY_ORDERS);
	done();
	agent_tick(&agent, now);
	now += 2 * NS_PER_MINUTE;
	agent_tick(&agent, now);
	assert_string_equal(done(), "again 1\n");
}

/* ---- strays --------------------------------------------------------------------------------- */

static void strays_are_named_once_a_minute(void **state)
{
	struct text one = cut(1), other = cut(2), beat = text_of("beat", 1, "AAAA");
	const char *said;

	(void)state;
	agent_message(&agent, 0, "weir/host/hub-2", "x", 1, now);
	agent_message(&agent, 0, other.topic, one.text, strlen(one.text), now);
	agent_message(&agent, 0, one.topic, one.text, strlen(one.text) - 20, now);
	agent_message(&agent, 0, one.topic, one.text, (size_t)DOCUMENT_MAX_BYTES + 1, now);
	agent_message(&agent, 0, one.topic, one.text, strstr(one.text, "-----BEGIN") - one.text,
		      now);
	agent_message(&agent, 0, beat.topic, beat.text, strlen(beat.text), now);
	agent_message(&agent, 0, "weir/beat\x1b", "x", 1, now);
	agent_message(&agent, 0, one.topic, NULL, 0, now); /* withdrawn */
	said = done();
	assert_non_null(strstr(said, "# broker a: weir/host/hub-2: a topic that nobody asked for"));
	assert_non_null(strstr(said, "not under its own id"));
	assert_non_null(strstr(said, "no order: "));
	assert_non_null(strstr(said, "larger than any order"));
	assert_non_null(strstr(said, "not signed"));
	assert_non_null(strstr(said, "does not belong there: beat"));
	assert_null(strchr(said, '\x1b'));
	expect_nothing_asked();
	for (int i = 0; i < 1000; i++)
		agent_message(&agent, 0, "weir/host/hub-2", "x", 1, now);
	assert_string_equal(done(), "");
	now += 2 * NS_PER_MINUTE;
	agent_message(&agent, 0, "weir/host/hub-2", "x", 1, now);
	assert_non_null(strstr(done(), "(1003 so far)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_order_is_handed_in_once_and_said_to_both, begin,
						end),
		cmocka_unit_test_setup_teardown(a_broker_that_comes_back_is_told_again, begin, end),
		cmocka_unit_test_setup_teardown(what_a_broker_did_not_take_is_said_when_it_does,
						begin, end),
		cmocka_unit_test_setup_teardown(cuts_come_first, begin, end),
		cmocka_unit_test_setup_teardown(without_a_daemon_it_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(what_is_refused_is_tried_less_and_less_often, begin,
						end),
		cmocka_unit_test_setup_teardown(new_signers_make_it_try_at_once, begin, end),
		cmocka_unit_test_setup_teardown(other_signatures_do_not_replace_those_that_count,
						begin, end),
		cmocka_unit_test_setup_teardown(malformed_answers_are_refusals, begin, end),
		cmocka_unit_test_setup_teardown(what_holds_in_part_is_said_so_and_tried_again,
						begin, end),
		cmocka_unit_test_setup_teardown(a_flood_waits_and_the_other_broker_does_not, begin,
						end),
		cmocka_unit_test_setup_teardown(a_full_memory_displaces_its_own_and_asks_again,
						begin, end),
		cmocka_unit_test_setup_teardown(strays_are_named_once_a_minute, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
