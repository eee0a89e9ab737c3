/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * load.h - what the programs that make a bench's load share.
 */
#ifndef WEIR_BENCH_LOAD_H
#define WEIR_BENCH_LOAD_H

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

static inline void say(const char *line)
{
	puts(line);
	fflush(stdout);
}

/* The same clock in all network namespaces, and in BPF programs (bpf_ktime_get_ns). */
static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static inline void allow_files(rlim_t count)
{
	struct rlimit files = {count, count};

	if (setrlimit(RLIMIT_NOFILE, &files))
		die("RLIMIT_NOFILE");
}

static inline struct sockaddr_in at(const char *address, const char *port)
{
	struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};

	if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
		die(address);
	return where;
}

static inline int listening(const char *port)
{
	struct sockaddr_in where = at("0.0.0.0", port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    bind(fd, (struct sockaddr *)&where, sizeof(where)) || listen(fd, 4096))
		die("listen");
	return fd;
}

/* Its close resets the connection: neither end keeps TIME_WAIT, nor what was not sent. */
static inline void reset_at_close(int fd)
{
	struct linger at_once = {.l_onoff = 1};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)))
		die("SO_LINGER");
}

#endif
