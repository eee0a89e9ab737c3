/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_fleet_push.c - an order on its way, with brokers of paper: it is there when it was read
 * back, and a host has it when the host itself says so.
 */
#include <stdarg.h>

#include "tests/unit/a_fleet.h"
#include "user/fleet/push.h"

static struct push push;
static char did[1 << 16];
static uint64_t now;

static __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
	size_t used = strlen(did);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(did + used, sizeof(did) - used, format, arguments);
	va_end(arguments);
}

static const char *done(void)
{
	static char text[sizeof(did)];

	strcpy(text, did);
	did[0] = '\0';
	return text;
}

static bool publish(void *data, size_t broker, const char *topic, const char *text, size_t length)
{
	(void)data;
	(void)topic;
	assert_int_equal(length, push.length);
	assert_memory_equal(text, push.text, length);
	note("publish %zu\n", broker);
	return true;
}

static bool subscribe(void *data, size_t broker, const char *filter)
{
	(void)data;
	note("%s %zu\n",
	     strcmp(filter, push.topic) == 0	    ? "read"
	     : strcmp(filter, TOPIC_ALL_HOSTS) == 0 ? "hear all"
						    : "hear",
	     broker);
	return true;
}

static void tell(void *data, const char *line)
{
	(void)data;
	note("# %s\n", line);
}

/* ---- before and after ----------------------------------------------------------------------- */

static void begin(const char *text)
{
	const struct push_out out = {publish, subscribe, tell, NULL};
	struct order_fault fault;

	now = NS_PER_HOUR;
	did[0] = '\0';
	assert_int_equal(document_read(text, strlen(text), &document, &fault), 0);
	assert_int_equal(push_init(&push, &config, &document, text, strlen(text), &out), 0);
	push.wall_ns = 1000 * NS_PER_SECOND; /* when hosts say what they say here */
}

static int end(void **state)
{
	(void)state;
	push_free(&push);
	document_free(&document);
	return 0;
}

/* ---- brokers -------------------------------------------------------------------------------- */

static void keep(size_t broker)
{
	push_published(&push, broker, NULL, now);
	push_message(&push, broker, push.topic, push.text, push.length, true, now);
}

static void serve(size_t broker, size_t host, enum ack_result result, uint64_t at_ns,
		  bool is_retained)
{
	char topic[TOPIC_TEXT], *text;
	size_t length;

	text = word(host, result, at_ns, topic, &length);
	push_message(&push, broker, topic, text, length, is_retained, now);
	free(text);
}

static void say(size_t broker, size_t host, enum ack_result result, uint64_t at_ns)
{
	serve(broker, host, result, at_ns, false);
}

static void serve_text_of(size_t broker, size_t host, const struct standing *standing)
{
	char topic[TOPIC_TEXT], *text;
	size_t length;

	assert_int_equal(standing_write(standing, &keys[host], &text, &length), 0);
	push_message(&push, broker, topic_of_host(standing->host, topic), text, length, true, now);
	free(text);
}

/* How the host was then. */
static void serve_standing(size_t broker, size_t host, uint64_t beat_version, uint64_t at_ns,
			   bool has_daemon)
{
	struct standing standing;

	standing_of(host, beat_version, &standing);
	standing.at_ns = at_ns * NS_PER_SECOND;
	standing.has_daemon = has_daemon;
	serve_text_of(broker, host, &standing);
}

static void all_say(enum ack_result result)
{
	for (size_t i = 0; i < HOSTS; i++)
		say(0, i, result, 1000);
}

static void it_is_over_when_all_have_it_and_both_keep_it(void **state)
{
	(void)state;
	begin(cut);
	assert_int_equal(push.expected, HOSTS);
	push_up(&push, 0, now);
	push_up(&push, 1, now);
	assert_string_equal(done(), "hear 0\npublish 0\nhear 1\npublish 1\n");
	all_say(ACK_DONE);
	assert_int_equal(push_enforced(&push), HOSTS);
	assert_false(push_is_over(&push));
	keep(0);
	assert_string_equal(done(), "read 0\n");
	assert_false(push_is_over(&push));
	keep(1);
	assert_true(push_is_over(&push));
}

static void an_echo_is_not_kept(void **state)
{
	(void)state;
	begin(cut);
	push_up(&push, 0, now);
	push_message(&push, 0, push.topic, push.text, push.length, false, now);
	push_message(&push, 0, push.topic, push.text, push.length, true, now); /* not asked for */
	assert_false(push.broker[0].is_kept);
	push_published(&push, 0, NULL, now);
	push_message(&push, 0, push.topic, push.text, push.length, false, now);
	assert_false(push.broker[0].is_kept);
	push_message(&push, 0, push.topic, push.text, push.length, true, now);
	assert_true(push.broker[0].is_kept);
}

static void what_is_not_kept_is_published_again(void **state)
{
	(void)state;
	begin(cut);
	push_up(&push, 0, now);
	push_published(&push, 0, NULL, now);
	done();
	now = push_tick(&push, now);
	push_tick(&push, now);
	assert_string_equal(done(), "# broker a: does not keep it; published again\npublish 0\n");
	push_published(&push, 0, NULL, now);
	push_message(&push, 0, push.topic, "else", 4, true, now);
	assert_non_null(strstr(done(), "serves something else in its place"));
	keep(0);
	assert_true(push.broker[0].is_kept);
	done();
	now = push_tick(&push, now); /* it is looked after */
	push_tick(&push, now);
	assert_string_equal(done(), "read 0\n");
	push_message(&push, 0, push.topic, "older", 5, true, now);
	assert_false(push.broker[0].is_kept);
	assert_int_equal(push.broker[0].published, 4);
}

static void one_broker_that_is_down_is_not_waited_for(void **state)
{
	(void)state;
	begin(cut);
	push_up(&push, 0, now);
	keep(0);
	all_say(ACK_DONE);
	assert_false(push_is_over(&push)); /* the other one may come yet */
	done();
	push_down(&push, 1, "Connection refused");
	push_down(&push, 1, "Connection refused");
	assert_string_equal(done(), "# broker b: not connected: Connection refused\n");
	assert_true(push_is_over(&push));
	push_down(&push, 0, "it broke off");
	assert_false(push_is_over(&push)); /* nobody keeps it now */
	push_up(&push, 0, now);
	assert_non_null(strstr(done(), "publish 0\n"));
	keep(0);
	assert_true(push_is_over(&push));
}

/* ---- said before ---------------------------------------------------------------------------- */

enum { LATE = 5 * 60, TODAY = 24 * 3600 }; /* seconds */

/* All have said long ago that it is done, and both brokers keep that. */
static void begin_the_next_day(const char *text)
{
	begin(text);
	push.wall_ns = (1000 + TODAY) * NS_PER_SECOND;
	push_up(&push, 0, now);
	push_up(&push, 1, now);
	keep(0);
	keep(1);
	done();
	for (size_t broker = 0; broker < 2; broker++) {
		for (size_t i = 0; i < HOSTS; i++)
			serve(broker, i, ACK_DONE, 1000, true);
	}
}

static void what_a_host_said_once_counts_only_while_it_is_heard(void **state)
{
	(void)state;
	begin_the_next_day(cut);
	assert_string_equal(done(), "hear all 0\nhear all 1\n"); /* once */
	assert_int_equal(push_enforced(&push), 0);
	assert_false(push_is_over(&push));
	serve_standing(0, 0, 0, 1000 + TODAY - LATE, true);
	serve_standing(0, 1, 0, 1000 + TODAY - LATE - 1, true);
	serve_standing(0, 2, 0, 1000 + TODAY, false); /* who would know there? */
	assert_true(push_counts(&push, &push.item[0]));
	assert_true(push.item[0].had_it_before);
	assert_int_equal(push_enforced(&push), 1);
	assert_false(push_is_over(&push));   /* they may come yet */
	serve_standing(1, 0, 0, 1000, true); /* replayed: it takes nothing back */
	assert_int_equal(push_enforced(&push), 1);
	serve_standing(1, 1, 0, 1000 + TODAY, true);
	say(0, 2, ACK_DONE, 1000 + TODAY);
	assert_false(push.item[2].had_it_before);
	assert_int_equal(push_enforced(&push), HOSTS);
	assert_true(push_is_over(&push));
}

/* A broker need not say that it had kept it. */
static void an_old_word_is_old_however_it_is_served(void **state)
{
	(void)state;
	begin(cut);
	push_up(&push, 0, now);
	push.wall_ns = (1000 + LATE) * NS_PER_SECOND;
	say(0, 0, ACK_DONE, 1000);
	assert_int_equal(push_enforced(&push), 1);
	push.wall_ns += NS_PER_SECOND;
	say(0, 1, ACK_DONE, 1000);
	assert_int_equal(push_enforced(&push), 1);
	serve(0, 2, ACK_DONE, 1000 + LATE, true); /* kept, and not old */
	assert_int_equal(push_enforced(&push), 1);
	say(0, 2, ACK_DONE, 1000 + LATE); /* the same one: it is no newer for that */
	assert_int_equal(push_enforced(&push), 1);
	done();
	push_up(&push, 1, now); /* what the others still ask for is heard there too */
	assert_string_equal(done(), "hear 1\nhear all 1\npublish 1\n");
}

static void an_old_word_of_a_base_that_another_policy_replaced(void **state)
{
	struct standing standing;

	(void)state;
	begin_the_next_day(base);
	for (size_t i = 0; i < HOSTS; i++) {
		standing_of(i, 0, &standing);
		standing.at_ns = push.wall_ns;
		standing.base = i == 2 ? 4 : 3; /* a later one */
		standing.base_holds = i != 1;
		serve_text_of(0, i, &standing);
	}
	assert_true(push_counts(&push, &push.item[0]));
	assert_int_equal(push_enforced(&push), 1);
}

/* Installed anew, with its key: it answers, and knows of no cut. */
static void an_old_word_of_a_cut_where_nothing_is_cut(void **state)
{
	struct standing standing;

	(void)state;
	begin_the_next_day(cut);
	for (size_t i = 0; i < HOSTS; i++) {
		push.item[i].ack.matched = i != 2; /* it had nothing that was to be cut */
		standing_of(i, 0, &standing);
		standing.at_ns = push.wall_ns;
		standing.has_daemon = true;
		standing.cuts = i == 1;
		serve_text_of(0, i, &standing);
	}
	assert_false(push_counts(&push, &push.item[0]));
	assert_true(push_counts(&push, &push.item[1]));
	assert_true(push_counts(&push, &push.item[2]));
}

static void an_old_beat_of_a_host_that_is_gone(void **state)
{
	(void)state;
	begin(beat);
	push.wall_ns = (1000 + TODAY) * NS_PER_SECOND;
	push_up(&push, 0, now);
	for (size_t i = 0; i < HOSTS; i++)
		serve_standing(0, i, 7, 1000, true);
	assert_int_equal(push_enforced(&push), 0);
	serve_standing(0, 1, 7, 1000 + TODAY, true);
	assert_int_equal(push_enforced(&push), 1);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static void only_its_groups_are_waited_for(void **state)
{
	(void)state;
	begin(cut_of_berlin);
	assert_int_equal(push.expected, 1);
	push_up(&push, 0, now);
	keep(0);
	push_down(&push, 1, "x");
	say(0, 0, ACK_DONE, 1000);
	assert_int_equal(push_enforced(&push), 0);
	say(0, 2, ACK_DONE, 1000);
	assert_true(push_is_over(&push));
}

static void what_is_not_done_does_not_count(void **state)
{
	(void)state;
	for (enum ack_result result = ACK_IN_PART; result < ACK_RESULTS; result++) {
		begin(cut);
		push_up(&push, 0, now);
		keep(0);
		push_down(&push, 1, "x");
		all_say(result);
		assert_int_equal(push_enforced(&push), 0);
		/* that its groups are others is the host's last word */
		assert_int_equal(push_is_over(&push), result == ACK_NOT_FOR_US);
		end(NULL);
	}
	begin(cut);
}

static void the_later_word_stands(void **state)
{
	(void)state;
	begin(cut);
	say(0, 0, ACK_REFUSED, 1000);
	say(1, 0, ACK_DONE, 1001);
	assert_int_equal(push_enforced(&push), 1);
	say(0, 0, ACK_REFUSED, 1000); /* replayed */
	assert_int_equal(push_enforced(&push), 1);
	say(0, 0, ACK_REFUSED, 1002);
	assert_int_equal(push_enforced(&push), 0);
}

static void bad_words_never_count(void **state)
{
	char topic[TOPIC_TEXT], other[TOPIC_TEXT], *text;
	size_t length;

	(void)state;
	begin(cut);
	text = word(1, ACK_DONE, 1000, topic, &length);
	push_message(&push, 0, topic_of_ack("h0", document.id, other), text, length, false, now);
	push_message(&push, 0, topic_of_ack("h9", document.id, other), text, length, false, now);
	push_message(&push, 0, topic, text, length - 1, false, now);
	push_message(&push, 0, topic, text, 0, false, now); /* withdrawn: no word at all */
	memset(other, '0', 64);
	other[64] = '\0';
	push_message(&push, 0, topic_of_ack("h1", strdupa(other), other), text, length, false, now);
	push_message(&push, 0, "weir/host/h1", text, length, false, now);
	assert_int_equal(push_enforced(&push), 0);
	assert_int_equal(push.broker[0].bad_words, 5);
	assert_int_equal(push.broker[1].bad_words, 0);
	assert_non_null(
		strstr(done(), "host h9 does not count: the configuration has no such host"));
	for (int i = 0; i < 100; i++)
		push_message(&push, 0, topic, text, length - 1, false, now);
	assert_true(strlen(did) < 1000); /* a flood is counted */
	free(text);
}

static void a_beat_is_there_when_hosts_have_it_or_a_later(void **state)
{
	(void)state;
	begin(beat);
	assert_string_equal(push.topic, TOPIC_BEAT);
	push_up(&push, 0, now);
	keep(0);
	push_down(&push, 1, "x");
	for (size_t i = 0; i < HOSTS; i++)
		serve_standing(0, i, 5 + i, 1000, true);
	assert_int_equal(push_enforced(&push), 1); /* the one with 7 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(it_is_over_when_all_have_it_and_both_keep_it, end),
		cmocka_unit_test_teardown(an_echo_is_not_kept, end),
		cmocka_unit_test_teardown(what_is_not_kept_is_published_again, end),
		cmocka_unit_test_teardown(one_broker_that_is_down_is_not_waited_for, end),
		cmocka_unit_test_teardown(what_a_host_said_once_counts_only_while_it_is_heard, end),
		cmocka_unit_test_teardown(an_old_word_is_old_however_it_is_served, end),
		cmocka_unit_test_teardown(an_old_word_of_a_base_that_another_policy_replaced, end),
		cmocka_unit_test_teardown(an_old_word_of_a_cut_where_nothing_is_cut, end),
		cmocka_unit_test_teardown(an_old_beat_of_a_host_that_is_gone, end),
		cmocka_unit_test_teardown(only_its_groups_are_waited_for, end),
		cmocka_unit_test_teardown(what_is_not_done_does_not_count, end),
		cmocka_unit_test_teardown(the_later_word_stands, end),
		cmocka_unit_test_teardown(bad_words_never_count, end),
		cmocka_unit_test_teardown(a_beat_is_there_when_hosts_have_it_or_a_later, end),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
