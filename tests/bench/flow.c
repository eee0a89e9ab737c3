/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * flow.c - the load of tests/bench/packet and throughput: `flow sink PORT` takes what comes over
 * TCP and UDP and keeps nothing; `flow count PORT` reads UDP as well, and answers each line of its
 * input with the bytes that it took since it began, when the last of them came, and now
 * (nanoseconds, CLOCK_MONOTONIC); `flow udp|tcp ADDRESS PORT FLOWS BYTES [STEP]` reads a number of
 * writes per line from its input, makes them, taking turns among its FLOWS sockets, and answers
 * each with the nanoseconds that they took. Each socket's peer is STEP addresses after the one
 * before's.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

enum { BATCH = 64 };

static char data[1 << 20];

static int bound(int type, const char *port)
{
	struct sockaddr_in where = at("0.0.0.0", port);
	int fd = socket(AF_INET, type, 0), yes = 1;

	/* several share the port where one may not have as many files open as there are flows */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) ||
	    bind(fd, (struct sockaddr *)&where, sizeof(where)))
		die("sink");
	return fd;
}

static void watch(int poller, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

struct taken {
	uint64_t bytes, last_ns;
};

/* Many at a time, so that the sender is what bounds them. */
static void take_datagrams(int fd, struct taken *taken)
{
	struct iovec where = {data, 1 << 16};
	struct mmsghdr message[BATCH];
	int count;

	for (int i = 0; i < BATCH; i++)
		message[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &where, .msg_iovlen = 1}};
	count = recvmmsg(fd, message, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	for (int i = 0; i < count; i++)
		taken->bytes += message[i].msg_len;
	if (count > 0)
		taken->last_ns = now_ns();
}

static void take_stream(int fd, struct taken *taken)
{
	ssize_t bytes = recv(fd, data, sizeof(data), MSG_TRUNC);

	if (bytes <= 0) {
		close(fd);
		return;
	}
	taken->bytes += bytes;
	taken->last_ns = now_ns();
}

static void answer(const struct taken *taken)
{
	char line[16];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		exit(0);
	printf("%llu %llu %llu\n", (unsigned long long)taken->bytes,
	       (unsigned long long)taken->last_ns, (unsigned long long)now_ns());
	fflush(stdout);
}

/* Without `counts`, nobody reads UDP: the full socket drops it, without an answer. */
static int sink(const char *port, bool counts)
{
	int listener = bound(SOCK_STREAM, port), poller = epoll_create1(0);
	int datagrams = bound(SOCK_DGRAM, port), room = 64 << 20;
	struct taken taken = {0};
	struct epoll_event event;

	if (listen(listener, 4096))
		die("listen");
	watch(poller, listener);
	if (counts) {
		setsockopt(datagrams, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
		watch(poller, datagrams);
		watch(poller, STDIN_FILENO);
	}
	puts("ready");
	fflush(stdout);
	while (epoll_wait(poller, &event, 1, -1) > 0) {
		if (event.data.fd == listener)
			watch(poller, accept(listener, NULL, NULL));
		else if (event.data.fd == datagrams)
			take_datagrams(datagrams, &taken);
		else if (event.data.fd == STDIN_FILENO)
			answer(&taken);
		else
			take_stream(event.data.fd, &taken);
	}
	return 1;
}

static int pour(int type, struct sockaddr_in to, uint32_t step, int flows, size_t bytes)
{
	/* No TIME_WAIT: 10,000 flows of each in turn would leave no port for the next ones. */
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int *fd = calloc(flows, sizeof(*fd));
	long writes, next = 0;

	for (int i = 0; i < flows; i++) {
		fd[i] = socket(AF_INET, type, 0);
		if (fd[i] < 0 || setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) ||
		    connect(fd[i], (const struct sockaddr *)&to, sizeof(to)))
			die("connect");
		to.sin_addr.s_addr = htonl(ntohl(to.sin_addr.s_addr) + step);
	}
	puts("ready");
	fflush(stdout);
	while (scanf("%ld", &writes) == 1) {
		uint64_t since = now_ns();

		for (long i = 0; i < writes; i++, next++)
			if (send(fd[next % flows], data, bytes, MSG_NOSIGNAL) < 0 &&
			    errno != ENOBUFS)
				die("send");
		printf("%llu\n", (unsigned long long)(now_ns() - since));
		fflush(stdout);
	}
	return 0;
}

int main(int count, char **words)
{
	struct rlimit files = {1 << 16, 1 << 16};

	setrlimit(RLIMIT_NOFILE, &files);
	if (count == 3 && !strcmp(words[1], "sink"))
		return sink(words[2], false);
	if (count == 3 && !strcmp(words[1], "count"))
		return sink(words[2], true);
	if (count == 6 || count == 7) {
		struct sockaddr_in to = at(words[2], words[3]);

		return pour(strcmp(words[1], "tcp") ? SOCK_DGRAM : SOCK_STREAM, to,
			    count == 7 ? atoi(words[6]) : 0, atoi(words[4]), atol(words[5]));
	}
	fputs("usage: flow sink|count PORT | flow udp|tcp ADDRESS PORT FLOWS BYTES [STEP]\n",
	      stderr);
	return 2;
}
