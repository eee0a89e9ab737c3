/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_fleet_config.c - fleet.yaml: what it says is read, and what is wrong with it has a place. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/base/units.h"
#include "user/fleet/config.h"
#include "user/fleet/topic.h"

#define KEY_A "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPDHC0mRFI9/a2jsyy5i+30C9cGkNgFpLq1n+OYGHwEp"
#define KEY_B "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPDHC0mRFI9/a2jsyy5i+30C9cGkNgFpLq1n+OYGHwEq"
#define FILES "ca: /c/ca.pem, cert: /c/crt.pem, key: /c/key.pem"
#define ONE   "brokers: [{host: a.example, " FILES "}]\n"
#define TWO   "brokers: [{host: a.example, " FILES "}, {host: \"2001:db8::1\", port: 1, " FILES "}]\n"

static struct fleet_config config;
static struct faults faults;

/* What is told of a text, as one; "" for one that is read without a word. */
static const char *told(const char *text)
{
	struct source source = {(char *)"fleet.yaml", (char *)text, strlen(text)};
	const struct sources sources = {&source, 1};
	static char said[8192];
	FILE *out = fmemopen(said, sizeof(said), "w");
	int r;

	assert_non_null(out);
	said[0] = '\0';
	fleet_config_free(&config);
	faults_free(&faults);
	faults = (struct faults){0};
	r = fleet_config_read(&sources, &config, &faults);
	assert_true(r == (faults.errors ? -EBADMSG : 0));
	if (faults.count)
		faults_print(&faults, &sources, out);
	fclose(out);
	return said;
}

static int forget(void **state)
{
	(void)state;
	fleet_config_free(&config);
	faults_free(&faults);
	faults = (struct faults){0};
	return 0;
}

static void what_it_says_is_read(void **state)
{
	(void)state;
	assert_string_equal(told("weir: 1\nhost: hub-1\nkey: /c/h.pem\n" TWO "late: 90s\nhosts:\n"
				 "  - {name: hub-1, groups: [hub, berlin], key: " KEY_A "}\n"
				 "  - {name: hub-2, key: " KEY_B " a comment}\n"),
			    "");
	assert_string_equal(config.host.text, "hub-1");
	assert_string_equal(config.key, "/c/h.pem");
	assert_int_equal(config.brokers, 2);
	assert_string_equal(config.broker[0].label, "a.example:8883");
	assert_string_equal(config.broker[1].label, "[2001:db8::1]:1");
	assert_string_equal(config.broker[1].ca, "/c/ca.pem");
	assert_int_equal(config.late_ns, 90 * NS_PER_SECOND);
	assert_int_equal(config.hosts, 2);
	assert_string_equal(fleet_find_host(&config, "hub-2")->name.text, "hub-2");
	assert_null(fleet_find_host(&config, "hub-3"));
	assert_string_equal(ssh_key_type_name(&config.item[1].key), "ssh-ed25519");
}

static void groups_choose_hosts(void **state)
{
	static const char *const berlin[] = {"bonn", "berlin"};

	(void)state;
	told("weir: 1\n" TWO "hosts: [{name: a, groups: [hub, berlin], key: " KEY_A
	     "}, {name: b, key: " KEY_B "}]\n");
	assert_true(fleet_is_for(berlin, 2, &config.item[0]));
	assert_false(fleet_is_for(berlin, 1, &config.item[0]));
	assert_false(fleet_is_for(berlin, 2, &config.item[1]));
	assert_true(fleet_is_for(NULL, 0, &config.item[1]));
}

static void one_broker_is_a_warning(void **state)
{
	(void)state;
	assert_non_null(strstr(told("weir: 1\n" ONE), "fleet.yaml:2:11: warning: one broker"));
	assert_int_equal(faults.errors, 0);
	assert_int_equal(config.late_ns, 5 * NS_PER_MINUTE);
}

static void what_is_wrong_has_a_place(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{"weir: 2\n" TWO, "fleet.yaml:1:7: version \"2\" is not known"},
		{"weir: 1\n", "fleet.yaml:1:1: \"brokers\" is missing"},
		{TWO, "\"weir\" is missing"},
		{"weir: 1\nbrokers: []\n", "fleet.yaml:2:10: an empty list"},
		{"weir: 1\nhots: x\n" TWO, "fleet.yaml:2:1: unknown key \"hots\""},
		{"weir: 1\nbrokers: [{host: a, host: b, " FILES "}]\n", "duplicate key \"host\""},
		{"weir: 1\nbrokers: [{host: a, ca: /a, cert: /b}]\n", "\"key\" is missing"},
		{"weir: 1\nbrokers: [{host: a b, " FILES "}]\n", "neither a name of DNS nor"},
		{"weir: 1\nbrokers: [{host: a, port: 0, " FILES "}]\n", "2:27: \"0\" is no port"},
		{"weir: 1\nbrokers: [{host: a, port: 65536, " FILES "}]\n", "no port"},
		{"weir: 1\nbrokers: [{host: a, port: +1, " FILES "}]\n", "no port"},
		{"weir: 1\nbrokers: [{host: a, ca: c, cert: /b, key: /k}]\n",
		 "2:25: \"c\" is no absolute path"},
		{"weir: 1\nbrokers: [{host: a, " FILES "}, {host: b, " FILES "}, {host: c, " FILES
		 "}]\n",
		 "two brokers at most"},
		{"weir: 1\nbrokers: [{host: a, " FILES "}, {host: a, " FILES "}]\n",
		 "this broker stands twice"},
		{"weir: 1\nhost: hub/1\n" TWO, "2:7: \"hub/1\" is no name"},
		{"weir: 1\nhost: hub\n" TWO, "2:7: host \"hub\" has no \"key\""},
		{"weir: 1\nlate: 0s\n" TWO, "2:7: \"0s\" is no span"},
		{"weir: 1\nlate: 31d\n" TWO, "no span"},
		{"weir: 1\n" TWO "hosts: [{name: a, key: " KEY_A "}, {name: a, key: " KEY_B "}]\n",
		 "host \"a\" stands twice; the other one: fleet.yaml:3:16"},
		{"weir: 1\n" TWO "hosts: [{name: a, key: " KEY_A "}, {name: b, key: " KEY_A "}]\n",
		 "the key of host \"b\" is another host's too"},
		{"weir: 1\n" TWO "hosts: [{name: a, key: ssh-rsa AAAA}]\n", "begins with"},
		{"weir: 1\n" TWO "hosts: [{name: a, key: ssh-ed25519 AAAA}]\n",
		 "fleet.yaml:3:24: "},
		{"weir: 1\n" TWO "hosts: [{name: a}]\n", "\"key\" is missing in a host"},
		{"weir: 1\n" TWO "hosts: [a]\n", "a host is a mapping"},
		{"weir: 1\nhost: &a b\n" TWO, "fleet.yaml:2:7: "},
		{"", "fleet.yaml:1:1: "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!strstr(told(wrong[i].text), wrong[i].said) || !faults.errors)
			fail_msg("%s\n-> %s", wrong[i].text, told(wrong[i].text));
	}
}

/* ---- topics --------------------------------------------------------------------------------- */

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void topics_are_what_they_are_called(void **state)
{
	char text[TOPIC_TEXT];
	struct topic topic;

	(void)state;
	topic = topic_parse(topic_of_order(ID, text));
	assert_int_equal(topic.kind, TOPIC_IS_ORDER);
	assert_string_equal(topic.id, ID);
	topic = topic_parse(topic_of_ack("hub-1.x", ID, text));
	assert_int_equal(topic.kind, TOPIC_IS_ACK);
	assert_string_equal(topic.host, "hub-1.x");
	assert_string_equal(topic.id, ID);
	topic = topic_parse(topic_of_host("hub-1.x", text));
	assert_int_equal(topic.kind, TOPIC_IS_HOST);
	assert_string_equal(topic.host, "hub-1.x");
	assert_int_equal(topic_parse(TOPIC_BEAT).kind, TOPIC_IS_BEAT);
	assert_string_equal(topic_of_acks(ID, text), "weir/ack/+/" ID);
}

static void what_is_nearly_a_topic_is_none(void **state)
{
	static const char *const wrong[] = {
		"",
		"weir",
		"weir/",
		"weir/order/",
		"weir/order/x",
		"weir/order/+",
		"weir/order/" ID "0",
		"weir/order/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		"weir/order/" ID "/",
		"/weir/order/" ID,
		"Weir/order/" ID,
		"weir/beat/",
		"weir/beats",
		"weir/host/",
		"weir/host/a/b",
		"weir/host/+",
		"weir/host/-a",
		"weir/host/a\n",
		"weir/host/1234567890123456789012345678901234567890123456789",
		"weir/ack/a",
		"weir/ack/a/",
		"weir/ack//" ID,
		"weir/ack/a/b/" ID,
		"weir/ack/+/" ID,
		"weir/ack/a/" ID "/",
		"weir/ack/a b/" ID,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (topic_parse(wrong[i]).kind != TOPIC_IS_OTHER)
			fail_msg("%s", wrong[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_it_says_is_read, forget),
		cmocka_unit_test_teardown(groups_choose_hosts, forget),
		cmocka_unit_test_teardown(one_broker_is_a_warning, forget),
		cmocka_unit_test_teardown(what_is_wrong_has_a_place, forget),
		cmocka_unit_test(topics_are_what_they_are_called),
		cmocka_unit_test(what_is_nearly_a_topic_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
