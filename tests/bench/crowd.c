/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * crowd.c - many live connections, and what both ends see of their end, for tests/bench/cut.
 *
 *	crowd serve PORT COUNT KIND	takes COUNT connections, and says "all"
 *	crowd hold ADDRESS PORT COUNT KIND
 *					opens COUNT connections, and says "ready"
 *	crowd start			runs each line of its input as a command
 *
 * KIND says what runs over them when a line comes to the server's input: `idle` nothing; `paced`
 * messages, in turns, that leave the machine some rest; `bulk` as much as goes; `full` what fits
 * into the queues, since nobody reads at the other end: then the server says how many bytes wait.
 *
 * When the last of its connections was ended from outside, each says when the first was, and when
 * the last: nanoseconds of CLOCK_MONOTONIC. `start` answers with when the command began (before it
 * was forked), when it had ended, and its exit status; what the command says goes to stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

enum kind { IDLE, PACED, BULK, FULL, KINDS };

static const char *const kind_names[KINDS] = {"idle", "paced", "bulk", "full"};

enum {
	PER_SECOND = 20000, /* messages of a paced crowd, all connections together */
	MESSAGE = 1024,
	LUMP = 65536,	    /* of a bulk or full one */
	SEND_QUEUE = 32768, /* of a full one */
	RECEIVE_QUEUE = 4096,
	REST_NS = 50000, /* of a sender between two looks */
	EVENTS = 512,
};

struct crowd {
	enum kind kind;
	int poller;
	int *fd; /* -1: it has ended */
	int count, live, ended;
	uint64_t first_ns, last_ns;
	bool is_sending;
};

static char data[1 << 18];

static struct crowd crowd_of(const char *count, const char *kind)
{
	struct crowd crowd = {.count = atoi(count), .poller = epoll_create1(0)};

	while (crowd.kind < KINDS && strcmp(kind, kind_names[crowd.kind]))
		crowd.kind++;
	crowd.fd = calloc(crowd.count, sizeof(*crowd.fd));
	if (crowd.kind == KINDS || !crowd.fd || crowd.poller < 0) {
		fputs("crowd: no such kind, or no memory\n", stderr);
		exit(2);
	}
	return crowd;
}

/* Errors and ends are reported in any case. `place` is kept in the event. */
static void watch(struct crowd *crowd, int fd, uint32_t events, uint32_t place)
{
	struct epoll_event event = {.events = events, .data.u32 = place};

	if (epoll_ctl(crowd->poller, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

static void add(struct crowd *crowd, int fd, uint32_t events)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		die("fcntl");
	reset_at_close(fd);
	crowd->fd[crowd->live] = fd;
	watch(crowd, fd, events, crowd->live++);
}

static void end(struct crowd *crowd, uint32_t place)
{
	if (crowd->fd[place] < 0)
		return;
	crowd->last_ns = now_ns();
	if (!crowd->ended++)
		crowd->first_ns = crowd->last_ns;
	close(crowd->fd[place]);
	crowd->fd[place] = -1;
	if (crowd->ended < crowd->count)
		return;
	printf("%llu %llu\n", (unsigned long long)crowd->first_ns,
	       (unsigned long long)crowd->last_ns);
	fflush(stdout);
}

static bool take_all(int fd)
{
	ssize_t got = recv(fd, data, sizeof(data), 0);

	return got > 0 || (got < 0 && errno == EAGAIN);
}

/* False: nothing could be sent. */
static bool give(struct crowd *crowd, uint32_t place, size_t bytes)
{
	ssize_t sent;

	if (crowd->fd[place] < 0)
		return false;
	sent = send(crowd->fd[place], data, bytes, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EPERM)
		end(crowd, place);
	return sent > 0;
}

static void fill(struct crowd *crowd)
{
	uint64_t waiting = 0, before;

	do { /* what was just sent makes room */
		before = waiting;
		waiting = 0;
		for (int i = 0; i < crowd->count; i++) {
			int bytes = 0;

			while (give(crowd, i, LUMP))
				;
			if (crowd->fd[i] >= 0 && !ioctl(crowd->fd[i], SIOCOUTQ, &bytes))
				waiting += bytes;
		}
	} while (waiting > before);
	printf("%llu\n", (unsigned long long)waiting);
	fflush(stdout);
}

/* Sends what is due. */
static void send_some(struct crowd *crowd, uint64_t since_ns)
{
	static uint64_t sent;
	uint64_t due = crowd->kind == PACED ? (now_ns() - since_ns) / (1000000000 / PER_SECOND)
					    : sent + 16;
	size_t bytes = crowd->kind == PACED ? MESSAGE : LUMP;

	for (int tries = 0; sent < due && tries < 64; sent++, tries++)
		give(crowd, sent % crowd->count, bytes);
}

/* The line that starts it. False: the bench is over. */
static bool hear(void)
{
	char line[16];

	return read(STDIN_FILENO, line, sizeof(line)) > 0;
}

/* Until the input ends. */
static int run(struct crowd *crowd)
{
	const struct timespec rest = {.tv_nsec = REST_NS};
	struct epoll_event events[EVENTS];
	uint64_t since_ns = 0;

	watch(crowd, STDIN_FILENO, EPOLLIN, UINT32_MAX);
	for (;;) {
		int count = epoll_pwait2(crowd->poller, events, EVENTS,
					 crowd->is_sending ? &rest : NULL, NULL);

		for (int i = 0; i < count; i++) {
			uint32_t place = events[i].data.u32, what = events[i].events;

			if (place == UINT32_MAX) {
				if (!hear())
					return 0;
				if (crowd->kind == FULL)
					fill(crowd);
				else
					crowd->is_sending = crowd->kind != IDLE;
				since_ns = now_ns();
			} else if (what & (EPOLLERR | EPOLLHUP) || !take_all(crowd->fd[place])) {
				end(crowd, place);
			}
		}
		if (crowd->is_sending)
			send_some(crowd, since_ns);
	}
}

static int serve(const char *port, const char *count, const char *kind)
{
	struct crowd crowd = crowd_of(count, kind);
	int listener = listening(port), size = SEND_QUEUE;

	say("ready");
	while (crowd.live < crowd.count) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			die("accept");
		if (crowd.kind == FULL)
			setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		add(&crowd, fd, EPOLLIN);
	}
	say("all");
	return run(&crowd);
}

static int hold(const char *address, const char *port, const char *count, const char *kind)
{
	struct crowd crowd = crowd_of(count, kind);
	struct sockaddr_in to = at(address, port);
	int size = RECEIVE_QUEUE;

	while (crowd.live < crowd.count) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0)
			die("socket");
		if (crowd.kind == FULL)
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		if (connect(fd, (const struct sockaddr *)&to, sizeof(to)))
			die("connect");
		add(&crowd, fd, crowd.kind == FULL ? 0 : EPOLLIN);
	}
	say("ready");
	crowd.kind = IDLE; /* the server sends */
	return run(&crowd);
}

static void order(char *line, FILE *answers)
{
	extern char **environ;
	char *word[64], *rest = line;
	uint64_t began = now_ns();
	int count = 0, status;
	pid_t pid;

	while (count < 63 && (word[count] = strtok_r(rest, " \n", &rest)))
		count++;
	word[count] = NULL;
	if (!count || posix_spawnp(&pid, word[0], NULL, NULL, word, environ))
		die("spawn");
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	fprintf(answers, "%llu %llu %d\n", (unsigned long long)began, (unsigned long long)now_ns(),
		WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	fflush(answers);
}

static int start(void)
{
	FILE *answers = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), "w");
	char line[1024];

	if (!answers || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		die("start");
	while (fgets(line, sizeof(line), stdin))
		order(line, answers);
	return 0;
}

int main(int count, char **words)
{
	if (count == 2 && !strcmp(words[1], "start"))
		return start();
	allow_files(1 << 14);
	if (count == 5 && !strcmp(words[1], "serve"))
		return serve(words[2], words[3], words[4]);
	if (count == 6 && !strcmp(words[1], "hold"))
		return hold(words[2], words[3], words[4], words[5]);
	fputs("usage: crowd serve PORT COUNT KIND | crowd hold ADDRESS PORT COUNT KIND | crowd "
	      "start\n",
	      stderr);
	return 2;
}
