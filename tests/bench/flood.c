/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * flood.c - the load of tests/bench/events: `flood FILE PORT` reads IPv4 addresses from FILE, one a
 * line, and "COUNT RATE" from its input: it sends COUNT datagrams without a connection, to the
 * addresses in turn and to PORT, PORT + 1, ... with each turn, at most RATE a second (0: as fast as
 * it can), and answers with the nanoseconds that they took, how many were refused (EPERM), and how
 * many were not.
 */
#include <errno.h>

#include "load.h"

enum { MOST = 1 << 20, PORTS = 16, BATCH = 64 };

static in_addr_t address[MOST];
static size_t addresses;

static void read_addresses(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[64];

	if (!file)
		die(path);
	while (addresses < MOST && fscanf(file, "%63s", line) == 1)
		if (inet_pton(AF_INET, line, &address[addresses++]) != 1)
			die(line);
	fclose(file);
	if (!addresses)
		die(path);
}

static void wait_until(uint64_t ns)
{
	struct timespec until = {ns / 1000000000, ns % 1000000000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* How many were refused. */
static long flood(int fd, int port, long count, long rate)
{
	static uint64_t next;
	uint64_t since = now_ns();
	long refused = 0;

	for (long i = 0; i < count; i++, next++) {
		struct sockaddr_in to = {
			.sin_family = AF_INET,
			.sin_port = htons(port + next / addresses % PORTS),
			.sin_addr.s_addr = address[next % addresses],
		};

		if (rate && i % BATCH == 0)
			wait_until(since + (uint64_t)i * 1000000000 / rate);
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
			if (errno != EPERM)
				die("sendto");
			refused++;
		}
	}
	return refused;
}

int main(int count, char **words)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	long sends, rate;

	if (count != 3 || fd < 0) {
		fputs("usage: flood FILE PORT\n", stderr);
		return 2;
	}
	read_addresses(words[1]);
	puts("ready");
	fflush(stdout);
	while (scanf("%ld %ld", &sends, &rate) == 2) {
		uint64_t since = now_ns();
		long refused = flood(fd, atoi(words[2]), sends, rate);

		printf("%llu %ld %ld\n", (unsigned long long)(now_ns() - since), refused,
		       sends - refused);
		fflush(stdout);
	}
	return 0;
}
