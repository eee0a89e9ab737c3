/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * flow.c - the load of tests/bench/packet: `flow sink PORT` takes what comes over TCP and UDP and
 * keeps nothing; `flow udp|tcp ADDRESS PORT FLOWS BYTES` reads a number of writes per line from its
 * input, makes them, taking turns among its FLOWS sockets, and answers each with the nanoseconds
 * that they took.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char data[1 << 20];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in at(const char *address, const char *port)
{
	struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};

	if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
		die(address);
	return where;
}

static int bound(int type, const char *port)
{
	struct sockaddr_in where = at("0.0.0.0", port);
	int fd = socket(AF_INET, type, 0), yes = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
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

/* UDP that nobody reads is dropped by the full socket, without an answer. */
static int sink(const char *port)
{
	int listener = bound(SOCK_STREAM, port), poller = epoll_create1(0);
	struct epoll_event event;

	bound(SOCK_DGRAM, port);
	if (listen(listener, 4096))
		die("listen");
	watch(poller, listener);
	puts("ready");
	fflush(stdout);
	while (epoll_wait(poller, &event, 1, -1) > 0) {
		if (event.data.fd == listener)
			watch(poller, accept(listener, NULL, NULL));
		else if (recv(event.data.fd, data, sizeof(data), MSG_TRUNC) <= 0)
			close(event.data.fd);
	}
	return 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static int pour(int type, const struct sockaddr_in *to, int flows, size_t bytes)
{
	int *fd = calloc(flows, sizeof(*fd));
	long writes, next = 0;

	for (int i = 0; i < flows; i++) {
		fd[i] = socket(AF_INET, type, 0);
		if (fd[i] < 0 || connect(fd[i], (const struct sockaddr *)to, sizeof(*to)))
			die("connect");
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
		return sink(words[2]);
	if (count == 6) {
		struct sockaddr_in to = at(words[2], words[3]);

		return pour(strcmp(words[1], "tcp") ? SOCK_DGRAM : SOCK_STREAM, &to, atoi(words[4]),
			    atol(words[5]));
	}
	fputs("usage: flow sink PORT | flow udp|tcp ADDRESS PORT FLOWS BYTES\n", stderr);
	return 2;
}
