/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_fleet_push.c - an order on its way, with brokers of paper: it is there when it was read
 * back, and a host has it when the host itself says so. Then the same brokers, surveyed.
 */
#include <stdarg.h>

#include "tests/unit/signing.h"
#include "user/base/now.h"
#include "user/fleet/push.h"
#include "user/fleet/survey.h"

enum { HOSTS = 3 };

static struct host_key keys[HOSTS];
static struct fleet_host hosts[HOSTS];
static struct name berlin = {.text = (char *)"berlin"};
static struct fleet_config config = {
	.broker = {{.label = (char *)"a"}, {.label = (char *)"b"}},
	.brokers = 2,
	.item = hosts,
	.hosts = HOSTS,
	.late_ns = 5 * NS_PER_MINUTE,
};

static char *cut, *cut_of_berlin, *beat; /* signed by "x" */
static struct document document;
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
	note("%s %zu\n", strcmp(filter, push.topic) == 0 ? "read" : "hear", broker);
	return true;
}

static void tell(void *data, const char *line)
{
	(void)data;
	note("# %s\n", line);
}

/* ---- before and after ----------------------------------------------------------------------- */

static char *order(const char *kind, const char *in, const char *more, const char *issued)
{
	char body[512], *signature, *text;

	snprintf(body, sizeof(body),
		 "weir-order: 1\nkind: %s\nissued: %s\nnonce: 00112233445566778899aabbccddeeff\n%s",
		 kind, issued, more);
	signature = sign_text("x", in, body, "");
	assert_int_not_equal(asprintf(&text, "%s%s", body, signature), -1);
	free(signature);
	return text;
}

static int open_all(void **state)
{
	static const char *const names[HOSTS] = {"h0", "h1", "h2"};
	static const char long_ago[] = "2026-01-01T00:00:00Z";
	const char *why;

	if (open_signing(state) < 0)
		return -1;
	make_key("x", "-t ed25519");
	cut = order("cut", "cut@weir", "reason: x\ntarget: all\n", long_ago);
	cut_of_berlin =
		order("cut", "cut@weir", "reason: x\ntarget: all\nhosts: berlin\n", long_ago);
	beat = order("beat", "beat@weir", "version: 7\n", long_ago);
	for (size_t i = 0; i < HOSTS; i++) {
		char *problem = NULL;

		assert_int_equal(shell("umask 077; openssl genpkey -algorithm ed25519 -out %s.pem",
				       names[i]),
				 0);
		shell("mv %s.pem host.pem", names[i]);
		assert_int_equal(host_key_load(path_of("host.pem"), &keys[i], &problem), 0);
		hosts[i].name.text = (char *)names[i];
		assert_int_equal(ssh_key_read((struct bytes){keys[i].blob, sizeof(keys[i].blob)},
					      &hosts[i].key, &why),
				 0);
		assert_int_equal(
			table_put(&config.by_name, names[i], 2, i, &(uint32_t){TABLE_NONE}), 0);
	}
	hosts[2].groups = (struct names){&berlin, 1};
	return 0;
}

static int close_all(void **state)
{
	for (size_t i = 0; i < HOSTS; i++)
		host_key_free(&keys[i]);
	table_free(&config.by_name);
	free(cut);
	free(cut_of_berlin);
	free(beat);
	return close_signing(state);
}

static void begin(const char *text)
{
	const struct push_out out = {publish, subscribe, tell, NULL};
	struct order_fault fault;

	now = NS_PER_HOUR;
	did[0] = '\0';
	assert_int_equal(document_read(text, strlen(text), &document, &fault), 0);
	assert_int_equal(push_init(&push, &config, &document, text, strlen(text), &out), 0);
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

/* What the host says of the order: its topic, and the signed text (malloc'd). */
static char *word(size_t host, enum ack_result result, uint64_t at_ns, char topic[TOPIC_TEXT],
		  size_t *length)
{
	struct ack ack = {.result = result, .at_ns = at_ns * NS_PER_SECOND};
	char *text;

	strcpy(ack.order, document.id);
	strcpy(ack.host, hosts[host].name.text);
	if (result != ACK_DONE)
		strcpy(ack.problem, "why not");
	assert_int_equal(ack_write(&ack, &keys[host], &text, length), 0);
	topic_of_ack(ack.host, ack.order, topic);
	return text;
}

static void say(size_t broker, size_t host, enum ack_result result, uint64_t at_ns)
{
	char topic[TOPIC_TEXT], *text;
	size_t length;

	text = word(host, result, at_ns, topic, &length);
	push_message(&push, broker, topic, text, length, false, now);
	free(text);
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

static void standing_of(size_t host, uint64_t version, struct standing *standing)
{
	*standing = (struct standing){.at_ns = wall_now(),
				      .beat = version,
				      .beat_issued_ns = version ? wall_now() : 0,
				      .has_daemon = true};
	strcpy(standing->host, hosts[host].name.text);
}

static void a_beat_is_there_when_hosts_have_it_or_a_later(void **state)
{
	char topic[TOPIC_TEXT], *text;
	size_t length;

	(void)state;
	begin(beat);
	assert_string_equal(push.topic, TOPIC_BEAT);
	push_up(&push, 0, now);
	keep(0);
	push_down(&push, 1, "x");
	for (size_t i = 0; i < HOSTS; i++) {
		struct standing standing;

		standing_of(i, 5 + i, &standing);
		assert_int_equal(standing_write(&standing, &keys[i], &text, &length), 0);
		push_message(&push, 0, topic_of_host(standing.host, topic), text, length, false,
			     now);
		free(text);
	}
	assert_int_equal(push_enforced(&push), 1); /* the one with 7 */
}

/* ---- surveyed ------------------------------------------------------------------------------- */

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
		cmocka_unit_test_teardown(it_is_over_when_all_have_it_and_both_keep_it, end),
		cmocka_unit_test_teardown(an_echo_is_not_kept, end),
		cmocka_unit_test_teardown(what_is_not_kept_is_published_again, end),
		cmocka_unit_test_teardown(one_broker_that_is_down_is_not_waited_for, end),
		cmocka_unit_test_teardown(only_its_groups_are_waited_for, end),
		cmocka_unit_test_teardown(what_is_not_done_does_not_count, end),
		cmocka_unit_test_teardown(the_later_word_stands, end),
		cmocka_unit_test_teardown(bad_words_never_count, end),
		cmocka_unit_test_teardown(a_beat_is_there_when_hosts_have_it_or_a_later, end),
		cmocka_unit_test_teardown(a_survey_tells_the_worst, end),
		cmocka_unit_test_teardown(a_survey_knows_groups_and_strays, end),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
