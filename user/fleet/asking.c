/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* asking.c - runs a command on each of many hosts. */
#include "user/fleet/asking.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/now.h"
#include "user/base/text.h"
#include "user/base/units.h"

extern char **environ;

enum {
	READ_BYTES = 64 << 10, /* what a pipe holds, pipe(7) */
	MOST_WORDS = 32,
	LONGEST_WAIT_MS = 60000,
};

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

/* ---- this process ends ----------------------------------------------------------------------- */

/*
 * The helpers have sessions of their own, so that ^C, or the end of a terminal, reaches this
 * process alone: it ends them, and then itself.
 */
static const int ending[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE};
enum { ENDING = sizeof(ending) / sizeof(ending[0]) };

static volatile pid_t group[ASKING_AT_ONCE]; /* of the helpers that run; 0: none */

static void on_end(int number)
{
	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		if (group[i])
			kill(-group[i], SIGKILL);
	}
	raise(number); /* once this is left, and by then it means what it did */
}

/* What was ignored stays so: nohup(1). */
static void catch_ends(struct sigaction *before)
{
	const struct sigaction action = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};

	for (size_t i = 0; i < ENDING; i++) {
		sigaction(ending[i], NULL, &before[i]);
		if (before[i].sa_handler == SIG_DFL)
			sigaction(ending[i], &action, NULL);
	}
}

static void let_ends(const struct sigaction *before)
{
	for (size_t i = 0; i < ENDING; i++)
		sigaction(ending[i], &before[i], NULL);
}

/* No helper is started that on_end() does not know. */
static void hold_ends(sigset_t *before)
{
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < ENDING; i++)
		sigaddset(&held, ending[i]);
	sigprocmask(SIG_BLOCK, &held, before);
}

/* ---- one process ---------------------------------------------------------------------------- */

struct helper {
	const char *host; /* NULL: the place is free */
	uint64_t until_ns;
	pid_t pid;  /* of it, and of its group; 0: it was not started */
	int handle; /* pidfd */
	int out, err;
	char *said;
	size_t length;
	bool is_short;				     /* of memory */
	char last[sizeof(((struct asked *)0)->why)]; /* of its errors: the line that grows */
	size_t last_used;
};

static const struct helper no_helper = {.handle = -1, .out = -1, .err = -1};

struct asking {
	const struct question *question;
	struct words words;
	int text; /* a file in memory */
	struct helper helper[ASKING_AT_ONCE];
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

/* In a session of its own: without a terminal to ask on, or to leave without echo when it is ended;
 * and what it started ends with it. */
static int spawn(char *const *words, const sigset_t *blocked, int in, int out, int err, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
	if (!r)
		r = posix_spawnattr_setsigmask(&attributes, blocked);
	if (!r)
		r = posix_spawnattr_setflags(&attributes,
					     POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	if (!r)
		r = posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int start(struct asking *asking, struct helper *helper)
{
	_cleanup_close_ int in = -1, out = -1, err = -1;
	struct words *words = &asking->words;
	sigset_t before;
	char path[32];
	pid_t pid = 0;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", asking->text);
	in = open(path, O_RDONLY | O_CLOEXEC); /* with a place of its own in the text */
	if (in < 0 || !open_pipe(&helper->out, &out) || !open_pipe(&helper->err, &err))
		return -errno;
	words->word[words->count] = (char *)helper->host;
	words->word[words->count + 1] = (char *)asking->question->command;
	words->word[words->count + 2] = NULL;
	hold_ends(&before);
	r = spawn(words->word, &before, in, out, err, &pid);
	if (r == 0)
		helper->pid = group[helper - asking->helper] = pid;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	helper->handle = pidfd_open(pid, 0);
	return helper->handle < 0 ? -errno : 0;
}

static void end_process(const struct helper *helper)
{
	if (helper->pid)
		kill(-helper->pid, SIGKILL);
}

/* False: there is nothing to read now, or no more is wanted. */
static bool read_out(struct helper *helper)
{
	char *more = realloc(helper->said, helper->length + READ_BYTES + 1);
	ssize_t got;

	if (!more) {
		helper->is_short = true;
		return false;
	}
	helper->said = more;
	got = read(helper->out, helper->said + helper->length, READ_BYTES);
	if (got > 0)
		helper->length += (size_t)got;
	helper->said[helper->length] = '\0';
	if (helper->length > ASKING_MOST_BYTES)
		end_process(helper);
	return got > 0 && helper->length <= ASKING_MOST_BYTES;
}

static bool read_err(struct helper *helper)
{
	char text[READ_BYTES];
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

/* A host's own words, on their way to a terminal: also one for which 0x9b begins a sequence. */
static void make_plain(char *text)
{
	bool is_utf8 = text_is_utf8(text, strlen(text));

	text_make_plain(text);
	for (; *text && !is_utf8; text++) {
		if ((unsigned char)*text >= 0x80)
			*text = '?';
	}
}

/* Tells what came of it, and frees the place. `why` NULL: its own last line. */
static void tell(struct asking *asking, struct helper *helper, int code, const char *why)
{
	struct asked asked = {
		.host = helper->host, .code = code, .out = helper->said, .length = helper->length};

	snprintf(asked.why, sizeof(asked.why), "%s", why ? why : helper->last);
	make_plain(asked.why);
	asking->question->take(&asked, asking->question->data);
	if (helper->handle >= 0)
		close(helper->handle);
	if (helper->out >= 0)
		close(helper->out);
	if (helper->err >= 0)
		close(helper->err);
	free(helper->said);
	*helper = no_helper;
}

/*
 * It has ended, and what it said is in the pipes. Somebody that it left behind may still write
 * there, and is not waited for: what a pipe holds is all that it can have said itself.
 */
static void finish(struct asking *asking, struct helper *helper)
{
	int status = 0, code;
	pid_t ended;

	while (read_out(helper))
		;
	read_err(helper);
	group[helper - asking->helper] = 0;
	do
		ended = waitpid(helper->pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	code = ended > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (helper->length > ASKING_MOST_BYTES)
		tell(asking, helper, -1, "it says more than an answer has");
	else if (helper->is_short)
		tell(asking, helper, -1, strerror(ENOMEM));
	else
		tell(asking, helper, code, code < 0 ? "it ended by a signal" : NULL);
}

static void give_up(struct asking *asking, struct helper *helper, const char *why)
{
	end_process(helper);
	group[helper - asking->helper] = 0;
	while (helper->pid && waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	tell(asking, helper, -1, why);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* Each free place takes the next host; who cannot be started leaves it free. */
static size_t start_more(struct asking *asking, const char *const *host, size_t count)
{
	size_t next = 0;

	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		struct helper *helper = &asking->helper[i];

		while (!helper->host && next < count) {
			int r;

			helper->host = host[next++];
			helper->until_ns = boot_now() + asking->question->within_ns;
			r = start(asking, helper);
			if (r < 0)
				give_up(asking, helper, strerror(-r));
		}
	}
	return next;
}

static bool is_busy(const struct asking *asking)
{
	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		if (asking->helper[i].host)
			return true;
	}
	return false;
}

static int wait_ms(const struct asking *asking)
{
	uint64_t now = boot_now(), least = LONGEST_WAIT_MS;

	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		const struct helper *helper = &asking->helper[i];
		uint64_t left = helper->until_ns > now ? (helper->until_ns - now) / 1000000 + 1 : 0;

		if (helper->host && left < least)
			least = left;
	}
	return (int)least;
}

static int wait_for(const struct asking *asking, struct pollfd *polled)
{
	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		const struct helper *helper = &asking->helper[i];

		polled[3 * i] = (struct pollfd){.fd = helper->handle, .events = POLLIN};
		polled[3 * i + 1] = (struct pollfd){.fd = helper->out, .events = POLLIN};
		polled[3 * i + 2] = (struct pollfd){.fd = helper->err, .events = POLLIN};
	}
	return poll(polled, 3 * ASKING_AT_ONCE, wait_ms(asking)) < 0 && errno != EINTR ? -errno : 0;
}

static void handle(struct asking *asking, struct helper *helper, const struct pollfd *polled)
{
	if (!helper->host)
		return;
	if (polled[0].revents) {
		finish(asking, helper);
		return;
	}
	if (boot_now() >= helper->until_ns) {
		give_up(asking, helper, "no answer in time");
		return;
	}
	if (polled[1].revents && !read_out(helper)) {
		close(helper->out);
		helper->out = -1;
	}
	if (polled[2].revents && !read_err(helper)) {
		close(helper->err);
		helper->err = -1;
	}
}

static int ask_all(struct asking *asking, const char *const *host, size_t count)
{
	struct pollfd polled[3 * ASKING_AT_ONCE] = {0};
	size_t next = 0;
	int r = 0;

	while (r == 0) {
		next += start_more(asking, host + next, count - next);
		if (!is_busy(asking))
			break;
		r = wait_for(asking, polled);
		for (size_t i = 0; i < ASKING_AT_ONCE && r == 0; i++)
			handle(asking, &asking->helper[i], &polled[3 * i]);
	}
	for (size_t i = 0; i < ASKING_AT_ONCE; i++) {
		if (asking->helper[i].host)
			give_up(asking, &asking->helper[i], strerror(-r));
	}
	return r;
}

int ask_hosts(const struct question *question, const char *const *host, size_t count)
{
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	struct asking asking = {.question = question, .text = memfd_create("order", MFD_CLOEXEC)};
	struct sigaction before, ends[ENDING];
	int r;

	if (asking.text < 0)
		return -errno;
	for (size_t i = 0; i < ASKING_AT_ONCE; i++)
		asking.helper[i] = no_helper;
	/* Where it is ignored, as some parents leave it, nobody learns how a process ended. */
	sigaction(SIGCHLD, &usual, &before);
	catch_ends(ends);
	r = file_write_all(asking.text, question->text, question->length);
	if (r == 0)
		r = words_split(&asking.words, question->over);
	if (r == 0)
		r = ask_all(&asking, host, count);
	sigaction(SIGCHLD, &before, NULL);
	free(asking.words.text);
	close(asking.text);
	let_ends(ends);
	return r;
}
