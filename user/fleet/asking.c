/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* asking.c - runs a command on each of many hosts. */
#include "user/fleet/asking.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/now.h"
#include "user/base/text.h"
#include "user/base/units.h"

extern char **environ;

enum { READ_BYTES = 64 << 10, MOST_WORDS = 32 };

/* ---- the words ------------------------------------------------------------------------------ */

struct words {
	char *text; /* in pieces */
	char *word[MOST_WORDS + 3];
	size_t count;
};

/* "ssh -l ops": the host and its command come behind. */
static int words_split(struct words *words, const char *over)
{
	char *rest;

	words->count = 0;
	words->text = strdup(over);
	if (!words->text)
		return -ENOMEM;
	for (char *word = strtok_r(words->text, " \t", &rest); word;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (words->count == MOST_WORDS)
			return -E2BIG;
		words->word[words->count++] = word;
	}
	return words->count ? 0 : -EINVAL;
}

/* ---- one process ---------------------------------------------------------------------------- */

struct helper {
	struct asked *asked; /* NULL: the place is free */
	pid_t pid;
	int handle; /* pidfd */
	int out, err;
	char last[sizeof(((struct asked *)0)->why)]; /* of its errors: the line that grows */
	size_t last_used;
};

/* Who writes waits; who reads does not. */
static bool open_pipe(int *read_end, int *write_end)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*read_end = ends[0];
	*write_end = ends[1];
	return true;
}

/* Behind a pipe that it inherits somebody else may stay, as a master of ssh's does: so its own end
 * is what counts. */
static int start(struct helper *helper, struct words *words, const struct question *question,
		 int text)
{
	_cleanup_close_ int in = -1, out = -1, err = -1;
	posix_spawn_file_actions_t actions;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", text);
	in = open(path, O_RDONLY | O_CLOEXEC); /* with a place of its own in the text */
	if (in < 0 || !open_pipe(&helper->out, &out) || !open_pipe(&helper->err, &err))
		return -errno;
	words->word[words->count] = (char *)helper->asked->host;
	words->word[words->count + 1] = (char *)question->command;
	words->word[words->count + 2] = NULL;
	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
	r = posix_spawnp(&helper->pid, words->word[0], &actions, NULL, words->word, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r) {
		helper->pid = 0;
		return -r;
	}
	helper->handle = pidfd_open(helper->pid, 0);
	return helper->handle < 0 ? -errno : 0;
}

static void close_helper(struct helper *helper)
{
	int *fds[] = {&helper->handle, &helper->out, &helper->err};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
	}
	*helper = (struct helper){.handle = -1, .out = -1, .err = -1};
}

static void fail(struct asked *asked, const char *why)
{
	asked->code = -1;
	snprintf(asked->why, sizeof(asked->why), "%s", why);
}

/* False: there is nothing to read now. */
static bool read_out(struct helper *helper)
{
	struct asked *asked = helper->asked;
	char *more = realloc(asked->out, asked->length + READ_BYTES + 1);
	ssize_t got;

	if (!more)
		return false;
	asked->out = more;
	got = read(helper->out, asked->out + asked->length, READ_BYTES);
	if (got > 0)
		asked->length += (size_t)got;
	asked->out[asked->length] = '\0';
	if (asked->length > ASKING_MOST_BYTES)
		kill(helper->pid, SIGKILL);
	return got > 0 && asked->length <= ASKING_MOST_BYTES;
}

static bool read_err(struct helper *helper)
{
	char text[256];
	ssize_t got = read(helper->err, text, sizeof(text));

	for (ssize_t i = 0; i < got; i++) {
		if (text[i] == '\n' || text[i] == '\r') {
			helper->last_used = 0;
			continue;
		}
		if (helper->last_used + 1 >= sizeof(helper->last))
			continue;
		helper->last[helper->last_used++] = text[i];
		helper->last[helper->last_used] = '\0';
	}
	return got > 0;
}

/* It has ended: what it said is in the pipes. */
static void finish(struct helper *helper)
{
	struct asked *asked = helper->asked;
	int status = 0;

	while (read_out(helper))
		;
	while (read_err(helper))
		;
	while (waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
		;
	snprintf(asked->why, sizeof(asked->why), "%s", helper->last);
	text_make_plain(asked->why);
	asked->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (!asked->out)
		fail(asked, strerror(ENOMEM));
	else if (asked->length > ASKING_MOST_BYTES)
		fail(asked, "it says more than an answer has");
	close_helper(helper);
}

static void give_up(struct helper *helper, const char *why)
{
	struct asked *asked = helper->asked;

	if (helper->pid > 0) {
		kill(helper->pid, SIGKILL);
		while (waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fail(asked, why);
	close_helper(helper);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void wait_for(struct helper *helper, uint64_t until_ns)
{
	struct pollfd polled[3 * ASKING_AT_ONCE];
	uint64_t now = boot_now();
	int wait_ms = until_ns > now ? (int)((until_ns - now) / 1000000 + 1) : 0;

	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		polled[3 * i] = (struct pollfd){.fd = helper[i].handle, .events = POLLIN};
		polled[3 * i + 1] = (struct pollfd){.fd = helper[i].out, .events = POLLIN};
		polled[3 * i + 2] = (struct pollfd){.fd = helper[i].err, .events = POLLIN};
	}
	if (poll(polled, 3 * ASKING_AT_ONCE, wait_ms) <= 0)
		return;
	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		struct helper *one = &helper[i];

		if (polled[3 * i].revents) {
			finish(one);
			continue;
		}
		if (polled[3 * i + 1].revents && !read_out(one)) {
			close(one->out);
			one->out = -1;
		}
		if (polled[3 * i + 2].revents && !read_err(one)) {
			close(one->err);
			one->err = -1;
		}
	}
}

static void begin(struct helper *helper, struct asked *asked, struct words *words,
		  const struct question *question, int text)
{
	int r;

	helper->asked = asked;
	r = start(helper, words, question, text);
	if (r < 0)
		give_up(helper, strerror(-r));
}

/* Until none is left, and none under way; or the time is over. */
static void ask_in_turn(const struct question *question, struct words *words, struct asked *asked,
			size_t count, int text, uint64_t until_ns)
{
	struct helper helper[ASKING_AT_ONCE];
	size_t next = 0, busy = 1;

	for (size_t i = 0; i < ASKING_AT_ONCE; i++)
		helper[i] = (struct helper){.handle = -1, .out = -1, .err = -1};
	while (busy && boot_now() < until_ns) {
		busy = 0;
		for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
			if (!helper[i].asked && next < count)
				begin(&helper[i], &asked[next++], words, question, text);
			busy += helper[i].asked != NULL;
		}
		busy += next < count;
		if (busy)
			wait_for(helper, until_ns);
	}
	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		if (helper[i].asked)
			give_up(&helper[i], "no answer in time");
	}
	for (; next < count; next++)
		fail(&asked[next], "there was no time left for it");
}

int ask_hosts(const struct question *question, struct asked *asked, size_t count,
	      uint64_t within_ns)
{
	_cleanup_close_ int text = memfd_create("order", MFD_CLOEXEC);
	struct words words = {0};
	int r;

	if (text < 0)
		return -errno;
	r = file_write_all(text, question->text, question->length);
	if (r == 0)
		r = words_split(&words, question->over);
	if (r == 0)
		ask_in_turn(question, &words, asked, count, text, boot_now() + within_ns);
	free(words.text);
	return r;
}

void asked_free(struct asked *asked, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(asked[i].out);
	free(asked);
}
