/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_asking.c - each host is asked once, through a command; who says nothing, too much or the
 * wrong thing holds up no other.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
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

/* What came of each host, by its number. */
struct kept {
	unsigned int times;
	int code;
	char *out, why[200];
};

static struct kept kept[HOSTS];

static void keep(const struct asked *asked, void *data)
{
	struct kept *one = &kept[strtoul(asked->host + strlen("hub-"), NULL, 10)];

	assert_ptr_equal(data, kept);
	one->times++;
	one->code = asked->code;
	one->out = asked->out ? strdup(asked->out) : NULL;
	assert_true(!asked->out || strlen(asked->out) == asked->length);
	strcpy(one->why, asked->why);
}

static void forget(void)
{
	for (size_t i = 0; i < HOSTS; i++)
		free(kept[i].out);
	memset(kept, 0, sizeof(kept));
}

static void ask_with(const char *over, const char *text, size_t length, size_t count,
		     uint64_t within_ns, int code)
{
	const struct question question = {over, "count", text, length, within_ns, keep, kept};
	static char name[HOSTS][32];
	const char *host[HOSTS];

	forget();
	for (size_t i = 0; i < count; i++) {
		snprintf(name[i], sizeof(name[i]), "hub-%zu", i);
		host[i] = name[i];
	}
	assert_int_equal(ask_hosts(&question, host, count), code);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(kept[i].times, code == 0);
}

static void ask(size_t count, uint64_t within_ns)
{
	ask_with(script, "", 0, count, within_ns, 0);
}

static void each_gets_the_text_and_its_name(void **state)
{
	enum { LENGTH = 300 << 10 }; /* more than a pipe holds */
	char *text = malloc(LENGTH), over[96], wanted[64];

	(void)state;
	memset(text, 'x', LENGTH);
	put_script("echo \"$1 $2 $3: $(wc -c)\"; exit 3\n");
	snprintf(over, sizeof(over), "  %s\t", script);
	ask_with(over, text, LENGTH, HOSTS, 60 * NS_PER_SECOND, 0);
	for (size_t i = 0; i < HOSTS; i++) {
		snprintf(wanted, sizeof(wanted), "hub-%zu count : %d\n", i, LENGTH);
		assert_int_equal(kept[i].code, 3);
		assert_string_equal(kept[i].out, wanted);
		assert_string_equal(kept[i].why, "");
	}
	free(text);
}

/* Nothing of it steers a terminal, of whatever age. */
static void the_last_line_says_why(void **state)
{
	(void)state;
	put_script("echo banner >&2; printf 'no \\033[2J\\2332Jroute\\n' >&2; exit 255\n");
	ask(1, 60 * NS_PER_SECOND);
	assert_int_equal(kept[0].code, 255);
	assert_string_equal(kept[0].out, "");
	assert_string_equal(kept[0].why, "no ?[2J?2Jroute");
	put_script("echo 'r\303\274ckw\303\244rts' >&2\n");
	ask(1, 60 * NS_PER_SECOND);
	assert_string_equal(kept[0].why, "r\303\274ckw\303\244rts");
}

/* More of them than are asked at once. */
static void those_that_hang_hold_up_no_other(void **state)
{
	uint64_t began = boot_now();

	(void)state;
	put_script("[ ${1#hub-} -ge 40 ] || sleep 600\necho $1\n");
	ask(HOSTS, 2 * NS_PER_SECOND);
	assert_true(boot_now() - began > 4 * NS_PER_SECOND); /* two turns of hanging ones */
	assert_true(boot_now() - began < 60 * NS_PER_SECOND);
	for (size_t i = 0; i < 40; i++) {
		assert_int_equal(kept[i].code, -1);
		assert_string_equal(kept[i].why, "no answer in time");
	}
	for (size_t i = 40; i < HOSTS; i++) {
		assert_int_equal(kept[i].code, 0);
		assert_non_null(strchr(kept[i].out, '\n'));
	}
}

/* As a master of ssh's does, or worse: the command is over all the same. */
static void what_stays_behind_is_not_waited_for(void **state)
{
	uint64_t began = boot_now();

	(void)state;
	put_script("sleep 20 &\necho done\n");
	ask(1, 60 * NS_PER_SECOND);
	assert_int_equal(kept[0].code, 0);
	assert_string_equal(kept[0].out, "done\n");
	put_script("timeout 20 yes >&2 &\necho done\n");
	ask(1, 60 * NS_PER_SECOND);
	assert_int_equal(kept[0].code, 0);
	assert_string_equal(kept[0].out, "done\n");
	assert_true(boot_now() - began < 15 * NS_PER_SECOND);
}

/* It may be a zombie until somebody takes it in. */
static bool is_gone(long pid)
{
	char path[64];
	FILE *file;
	bool is_there;

	snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	file = fopen(path, "r");
	is_there = file && fgetc(file) != EOF;
	if (file)
		fclose(file);
	return !is_there;
}

static void what_hangs_is_ended_with_all_that_it_started(void **state)
{
	char text[128], path[96];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s.pid", script);
	snprintf(text, sizeof(text), "sleep 600 &\necho $! >%s\nwait\n", path);
	put_script(text);
	ask(1, 2 * NS_PER_SECOND);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	unlink(path);
	for (uint64_t until = boot_now() + 20 * NS_PER_SECOND; !is_gone(strtol(text, NULL, 10));
	     usleep(1000))
		assert_true(boot_now() < until);
}

static void what_says_too_much_is_ended(void **state)
{
	(void)state;
	put_script("[ $1 = hub-0 ] && exec yes\necho $1\n");
	ask(2, 60 * NS_PER_SECOND);
	assert_int_equal(kept[0].code, -1);
	assert_string_equal(kept[0].why, "it says more than an answer has");
	assert_string_equal(kept[1].out, "hub-1\n");
}

/* Some parents leave SIGCHLD ignored: then nobody would learn how a process ended. */
static void how_it_ended_is_known(void **state)
{
	(void)state;
	put_script("[ $1 = hub-0 ] && exit 7\nkill -9 $$\n");
	signal(SIGCHLD, SIG_IGN);
	ask(2, 60 * NS_PER_SECOND);
	assert_ptr_equal(signal(SIGCHLD, SIG_DFL), SIG_IGN);
	assert_int_equal(kept[0].code, 7);
	assert_int_equal(kept[1].code, -1);
	assert_string_equal(kept[1].why, "it ended by a signal");
}

static void nobody_is_asked_for_a_password(void **state)
{
	(void)state;
	put_script("if (echo x >/dev/tty) 2>/dev/null; then echo terminal; else echo none; fi\n");
	ask(1, 60 * NS_PER_SECOND);
	assert_string_equal(kept[0].out, "none\n");
}

/* At once, however many there are. */
static void without_a_command_nobody_is_asked(void **state)
{
	uint64_t began = boot_now();

	(void)state;
	ask_with("/nonexistent/ssh -l ops", "", 0, HOSTS, 60 * NS_PER_SECOND, 0);
	assert_true(boot_now() - began < 20 * NS_PER_SECOND);
	for (size_t i = 0; i < HOSTS; i++) {
		assert_int_equal(kept[i].code, -1);
		assert_string_equal(kept[i].why, "No such file or directory");
	}
	ask_with(" \t", "", 0, 1, 60 * NS_PER_SECOND, -EINVAL);
	ask_with("a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a", "", 0, 1,
		 60 * NS_PER_SECOND, -E2BIG);
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
	forget();
	return unlink(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_gets_the_text_and_its_name),
		cmocka_unit_test(the_last_line_says_why),
		cmocka_unit_test(those_that_hang_hold_up_no_other),
		cmocka_unit_test(what_stays_behind_is_not_waited_for),
		cmocka_unit_test(what_hangs_is_ended_with_all_that_it_started),
		cmocka_unit_test(what_says_too_much_is_ended),
		cmocka_unit_test(how_it_ended_is_known),
		cmocka_unit_test(nobody_is_asked_for_a_password),
		cmocka_unit_test(without_a_command_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, up, down);
}
