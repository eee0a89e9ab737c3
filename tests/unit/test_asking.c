/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_asking.c - each host is asked once, through a command; who says nothing, too much or the
 * wrong thing holds up no other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/base/now.h"
#include "user/base/units.h"
#include "user/fleet/asking.h"

enum { HOSTS = 70 };

static char script[64];

/* The command that reaches a host: its name and what it is to do come as $1 and $2. */
static void put_script(const char *text)
{
	FILE *file = fopen(script, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s", text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(script, 0755), 0);
}

static struct asked *ask(const char *over, const char *text, size_t length, size_t count,
			 uint64_t within_ns, int code)
{
	const struct question question = {over, "count", text, length};
	struct asked *asked = calloc(count, sizeof(*asked));
	static char name[HOSTS][16];

	for (size_t i = 0; i < count; i++) {
		snprintf(name[i], sizeof(name[i]), "hub-%zu", i);
		asked[i].host = name[i];
	}
	assert_int_equal(ask_hosts(&question, asked, count, within_ns), code);
	return asked;
}

static void each_gets_the_text_and_its_name(void **state)
{
	enum { LENGTH = 300 << 10 }; /* more than a pipe holds */
	char *text = malloc(LENGTH), over[96], wanted[64];
	struct asked *asked;

	(void)state;
	memset(text, 'x', LENGTH);
	put_script("echo \"$1 $2 $3: $(wc -c)\"; exit 3\n");
	snprintf(over, sizeof(over), "  %s\t", script);
	asked = ask(over, text, LENGTH, HOSTS, 60 * NS_PER_SECOND, 0);
	for (size_t i = 0; i < HOSTS; i++) {
		snprintf(wanted, sizeof(wanted), "hub-%zu count : %d\n", i, LENGTH);
		assert_int_equal(asked[i].code, 3);
		assert_string_equal(asked[i].out, wanted);
		assert_int_equal(asked[i].length, strlen(wanted));
		assert_string_equal(asked[i].why, "");
	}
	asked_free(asked, HOSTS);
	free(text);
}

static void the_last_line_says_why(void **state)
{
	struct asked *asked;

	(void)state;
	put_script("echo banner >&2; printf 'no \\033[2Jroute\\n' >&2; exit 255\n");
	asked = ask(script, "", 0, 1, 60 * NS_PER_SECOND, 0);
	assert_int_equal(asked->code, 255);
	assert_string_equal(asked->out, "");
	assert_string_equal(asked->why, "no ?[2Jroute");
	asked_free(asked, 1);
}

static void one_that_hangs_holds_up_no_other(void **state)
{
	uint64_t began = boot_now();
	struct asked *asked;

	(void)state;
	put_script("[ $1 != hub-1 ] || exec sleep 600\necho $1\n");
	asked = ask(script, "", 0, 3, 3 * NS_PER_SECOND, 0);
	assert_in_range(boot_now() - began, 2 * NS_PER_SECOND, 60 * NS_PER_SECOND);
	assert_string_equal(asked[0].out, "hub-0\n");
	assert_int_equal(asked[1].code, -1);
	assert_string_equal(asked[1].why, "no answer in time");
	assert_string_equal(asked[2].out, "hub-2\n");
	asked_free(asked, 3);
}

/* As a master of ssh's does: the command is over all the same. */
static void what_stays_behind_is_not_waited_for(void **state)
{
	uint64_t began = boot_now();
	struct asked *asked;

	(void)state;
	put_script("sleep 20 &\necho done\n");
	asked = ask(script, "", 0, 1, 60 * NS_PER_SECOND, 0);
	assert_true(boot_now() - began < 15 * NS_PER_SECOND);
	assert_int_equal(asked->code, 0);
	assert_string_equal(asked->out, "done\n");
	asked_free(asked, 1);
}

static void what_says_too_much_is_ended(void **state)
{
	struct asked *asked;

	(void)state;
	put_script("[ $1 = hub-0 ] && exec yes\necho $1\n");
	asked = ask(script, "", 0, 2, 60 * NS_PER_SECOND, 0);
	assert_int_equal(asked[0].code, -1);
	assert_string_equal(asked[0].why, "it says more than an answer has");
	assert_string_equal(asked[1].out, "hub-1\n");
	asked_free(asked, 2);
}

static void without_a_command_nobody_is_asked(void **state)
{
	struct asked *asked = ask("/nonexistent/ssh -l ops", "", 0, 2, 60 * NS_PER_SECOND, 0);

	(void)state;
	assert_int_equal(asked[1].code, -1);
	assert_string_equal(asked[1].why, "No such file or directory");
	asked_free(asked, 2);
	asked_free(ask(" \t", "", 0, 1, 60 * NS_PER_SECOND, -EINVAL), 1);
	asked_free(ask("a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a", "", 0,
		       1, 60 * NS_PER_SECOND, -E2BIG),
		   1);
}

static int up(void **state)
{
	int fd;

	(void)state;
	strcpy(script, "/tmp/weir-test-asking-XXXXXX");
	fd = mkstemp(script);
	return fd < 0 ? -1 : close(fd);
}

static int down(void **state)
{
	(void)state;
	return unlink(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_gets_the_text_and_its_name),
		cmocka_unit_test(the_last_line_says_why),
		cmocka_unit_test(one_that_hangs_holds_up_no_other),
		cmocka_unit_test(what_stays_behind_is_not_waited_for),
		cmocka_unit_test(what_says_too_much_is_ended),
		cmocka_unit_test(without_a_command_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, up, down);
}
