/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_fleet_brief.c - the agent and how its host is: beats, groups, what it says of itself. */
#include "tests/unit/agent_asked.h"

/* ---- beats ---------------------------------------------------------------------------------- */

static void a_beat_is_handed_in_and_not_acknowledged(void **state)
{
	struct text beat = text_of("beat", 1, "AAAA");
	char *line;

	(void)state;
	agent_message(&agent, 0, TOPIC_BEAT, beat.text, strlen(beat.text), now);
	agent_message(&agent, 0, TOPIC_BEAT, beat.text, strlen(beat.text), now);
	line = agent_request(&agent, now);
	assert_int_equal(agent.asked, ASKED_BEAT);
	free(line);
	agent_no_answer(&agent, now);
	line = agent_request(&agent, now); /* it is not lost */
	assert_int_equal(agent.asked, ASKED_BEAT);
	free(line);
	answer("{\"code\":0}");
	assert_string_equal(done(), "");
	line = agent_request(&agent, now);
	assert_int_equal(agent.asked, ASKED_BRIEF);
	free(line);
	answer("{\"code\":0,\"in_force\":{\"beat\":{\"version\":1,\"issued\":1000}}}");
	agent_tick(&agent, now);
	assert_non_null(strstr(done(), "ALARM"));
	agent_tick(&agent, now);
	assert_string_equal(done(), "");
}

/* ---- groups --------------------------------------------------------------------------------- */

/* A minute later, the answer to the next brief. */
static void brief(const char *line)
{
	char *request;

	now += NS_PER_MINUTE;
	request = agent_request(&agent, now);
	assert_int_equal(agent.asked, ASKED_BRIEF);
	free(request);
	done();
	answer(line);
}

/* What it does by the next brief, but for saying how it is. */
static const char *after_brief(const char *more)
{
	static const char said[] = "0 weir/host/hub-1 \n1 weir/host/hub-1 \n";
	char line[1024], *did;

	snprintf(line, sizeof(line), "{\"code\":0%s}", more);
	brief(line);
	did = strstr(agent_did, said);
	assert_non_null(did);
	*did = '\0';
	return done();
}

#define READ_AGAIN                                                                                 \
	"# the groups of this host are others now: all orders are read again\nagain 0\nagain 1\n"

static void who_joins_a_group_gets_its_orders(void **state)
{
	struct text ours = cut(1), theirs = cut(2);
	const char *said;

	(void)state;
	assert_string_equal(after_brief(",\"groups\":[\"hub\"]"), "");
	serve(0, &ours);
	serve(0, &theirs);
	expect_asked(&ours);
	answer_done(&ours, "true");
	expect_asked(&theirs);
	answer_done(&theirs, "false");
	assert_string_equal(after_brief(",\"groups\":[\"hub\"]"), "");
	assert_string_equal(after_brief(""), ""); /* of a daemon that cannot say */
	assert_string_equal(after_brief(",\"groups\":[\"hub\",\"berlin\"]"), READ_AGAIN);
	serve(0, &ours);
	serve(0, &theirs);
	serve(1, &theirs);
	expect_asked(&theirs);
	answer_done(&theirs, "true");
	said = done();
	assert_non_null(strstr(said, "0 weir/ack/hub-1/"));
	assert_non_null(strstr(said, "1 weir/ack/hub-1/"));
	assert_non_null(strstr(said, " done\n"));
	expect_nothing_asked();
}

/* The daemon began anew between the two. */
static void groups_that_are_known_late_are_others_too(void **state)
{
	struct text theirs = cut(2);

	(void)state;
	serve(0, &theirs);
	expect_asked(&theirs);
	answer_done(&theirs, "false");
	assert_string_equal(after_brief(",\"groups\":[\"berlin\"]"), READ_AGAIN);
	serve(0, &theirs);
	expect_asked(&theirs);
}

/* More than a standing has room for. */
static void the_last_of_many_groups_counts(void **state)
{
	char many[1024] = ",\"groups\":[";

	(void)state;
	for (int i = 0; i < 60; i++)
		sprintf(many + strlen(many), "\"group-%04d\",", i);
	strcat(many, "\"bonn\"]");
	after_brief(many);
	memcpy(strstr(many, "bonn"), "ulmx", 4);
	assert_string_equal(after_brief(many), READ_AGAIN);
	assert_string_equal(after_brief(many), "");
}

/* ---- beats that are missed ------------------------------------------------------------------ */

/* The answer to the next brief, and what is told of beats by it. */
static const char *told_of_beats(const char *in_force)
{
	char line[256], *told;

	snprintf(line, sizeof(line), "{\"code\":0,\"in_force\":{%s}}", in_force);
	brief(line);
	agent_tick(&agent, now);
	told = strchr(done(), '#');
	return told ? told : "";
}

/* Beats are missed where they ever came, and not else. */
static void no_beat_is_missed_where_none_came(void **state)
{
	(void)state;
	assert_string_equal(told_of_beats(""), "");
	now += NS_PER_DAY;
	assert_string_equal(told_of_beats(""), "");
	/* the daemon's file of it cannot be read: there was one */
	assert_non_null(
		strstr(told_of_beats("\"beat\":{\"damaged\":true,\"version\":0,\"issued\":0}"),
		       "ALARM: of which time the last beat is cannot be told"));
	assert_string_equal(told_of_beats(""), ""); /* told, and it is no better without the file */
	assert_non_null(strstr(told_of_beats("\"beat\":{\"version\":1,\"issued\":9000000000}"),
			       "beats come again"));
	assert_non_null(strstr(told_of_beats(""), "ALARM"));
}

/* ---- standing ------------------------------------------------------------------------------- */

static void the_standing_is_said_each_minute(void **state)
{
	char *line = agent_request(&agent, now);

	(void)state;
	assert_int_equal(agent.asked, ASKED_BRIEF);
	free(line);
	answer("{\"code\":0,\"policy\":\"x\",\"cuts\":3,\"groups\":[\"hub\",\"berlin\"]}");
	assert_string_equal(done(), "0 weir/host/hub-1 \n1 weir/host/hub-1 \n");
	assert_int_equal(agent.standing.cuts, 3);
	assert_string_equal(agent.standing.groups, "hub berlin");
	assert_false(agent.standing.base_holds);
	assert_null(agent_request(&agent, now));
	now += NS_PER_MINUTE;
	line = agent_request(&agent, now);
	assert_non_null(line);
	free(line);
	answer("{\"code\":0,\"in_force\":{\"base\":{\"version\":3,\"holds\":true}}}");
	assert_int_equal(agent.standing.base, 3);
	assert_true(agent.standing.base_holds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_beat_is_handed_in_and_not_acknowledged, begin,
						end),
		cmocka_unit_test_setup_teardown(who_joins_a_group_gets_its_orders, begin, end),
		cmocka_unit_test_setup_teardown(groups_that_are_known_late_are_others_too, begin,
						end),
		cmocka_unit_test_setup_teardown(the_last_of_many_groups_counts, begin, end),
		cmocka_unit_test_setup_teardown(no_beat_is_missed_where_none_came, begin, end),
		cmocka_unit_test_setup_teardown(the_standing_is_said_each_minute, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
