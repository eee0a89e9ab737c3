/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_host_config.c - /etc/weir/host.yaml: what it may hold, and what is told where.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/policy/host_config.h"

struct reading {
	struct host_config config;
	struct faults faults;
	char *told;
	int r;
};

static struct reading reading_of(const char *text)
{
	struct source source = {(char *)"host.yaml", (char *)text, strlen(text)};
	struct sources sources = {&source, 1};
	struct reading reading = {0};
	size_t length;
	FILE *out = open_memstream(&reading.told, &length);

	reading.r = host_config_read(&sources, &reading.config, &reading.faults);
	faults_print(&reading.faults, &sources, out);
	fclose(out);
	return reading;
}

static void reading_free(struct reading *reading)
{
	host_config_free(&reading->config);
	faults_free(&reading->faults);
	free(reading->told);
}

static void test_all_keys(void **state)
{
	struct reading reading = reading_of("weir: 1\n"
					    "uplinks: [eth0, bond0.7]\n"
					    "groups: hub\n"
					    "sinks: [file, journald]\n"
					    "without_guard: closed\n");

	(void)state;
	assert_int_equal(reading.r, 0);
	assert_true(reading.config.is_there);
	assert_int_equal(reading.config.uplinks.count, 2);
	assert_string_equal(reading.config.uplinks.item[1].text, "bond0.7");
	assert_int_equal(reading.config.groups.count, 1);
	assert_int_equal(reading.config.sink, HOST_SINK_JOURNALD);
	assert_int_equal(reading.config.without_guard, WITHOUT_GUARD_CLOSED);
	reading_free(&reading);
}

static void test_all_but_the_version_may_be_left_out(void **state)
{
	struct reading reading = reading_of("weir: 1\n");

	(void)state;
	assert_int_equal(reading.r, 0);
	assert_int_equal(reading.config.uplinks.count, 0);
	assert_int_equal(reading.config.sink, HOST_SINK_FILE);
	reading_free(&reading);
}

static void assert_told(const char *text, const char *line)
{
	struct reading reading = reading_of(text);

	assert_int_equal(reading.r, -EBADMSG);
	if (!strstr(reading.told, line))
		fail_msg("\"%s\" is not in: %s", line, reading.told);
	reading_free(&reading);
}

static void test_faults_have_their_place(void **state)
{
	(void)state;
	assert_told("uplinks: [eth0]\n", "host.yaml:1:1: \"weir\" is missing");
	assert_told("weir: 2\n", "host.yaml:1:7: version \"2\" is not known");
	assert_told("weir: 1\nuplink: eth0\n", "host.yaml:2:1: unknown key \"uplink\"");
	assert_told("weir: 1\nuplink: eth0\n", "did you mean \"uplinks\"?");
	assert_told("weir: 1\nweir: 1\n", "duplicate key");
	assert_told("weir: 1\nuplinks: [eth0, eth0]\n", "2:17: \"eth0\" is named twice");
	assert_told("weir: 1\nuplinks: [any]\n", "leave \"uplinks\" out");
	assert_told("weir: 1\nuplinks: [lo]\n", "loopback is no uplink");
	assert_told("weir: 1\nuplinks: [a/b]\n", "is no interface's name");
	assert_told("weir: 1\nuplinks: [sixteen-bytes-it]\n", "is no interface's name");
	assert_told("weir: 1\nuplinks: []\n", "an empty list");
	assert_told("weir: 1\nsinks: jornald\n", "did you mean \"journald\"?");
	assert_told("weir: 1\nuplinks: {eth0: 1}\n", "one value belongs here");
	assert_told("weir: 1\nsinks: [stdout, journald]\n", "only one of them");
	assert_told("weir: 1\ngroups: [\"a b\"]\n", "is no name");
	assert_told("weir: [1\n", "host.yaml:");
	assert_told("", "host.yaml:");
}

static void test_no_file_is_no_fault(void **state)
{
	struct host_config config = {0};
	struct sources sources = {0};
	struct faults faults = {0};

	(void)state;
	assert_int_equal(host_config_load("/nonexistent/host.yaml", &config, &sources, &faults), 0);
	assert_false(config.is_there);
	assert_int_equal(host_config_load("/", &config, &sources, &faults), -EISDIR);
	host_config_free(&config);
	sources_free(&sources);
	faults_free(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_all_but_the_version_may_be_left_out),
		cmocka_unit_test(test_faults_have_their_place),
		cmocka_unit_test(test_no_file_is_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
