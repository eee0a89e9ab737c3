/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * judged.c - whether a guard misjudges a packet while something happens to it (tests/bench/policy).
 *
 * `judged take PORT` counts the datagrams that come, and answers each line of its input with how
 * many came from an open socket, and how many from new ones. `judged give PARTNER STRANGER PORT
 * PAUSE_US` sends three with each turn until a line comes: to the partner from one socket that
 * stays open and from a new one, which is judged afresh, and one to the stranger. Then it tells its
 * turns, what was refused of the first two, and what the kernel took for the stranger.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

enum stream { OLD, NEW, STREAMS };

struct datagram {
	uint64_t stream;
	char rest[504];
};

/* Whether a line was asked for; the end of the input ends the program. */
static bool is_asked(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[64];

	if (poll(&input, 1, 0) <= 0)
		return false;
	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		exit(0);
	return true;
}

static int take(const char *port)
{
	struct sockaddr_in where = at("0.0.0.0", port);
	uint64_t count[STREAMS] = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 64 << 20;
	struct pollfd both[] = {{.fd = fd, .events = POLLIN},
				{.fd = STDIN_FILENO, .events = POLLIN}};
	struct datagram datagram;

	/* what finds no room in the socket would look like what a guard refused */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    bind(fd, (struct sockaddr *)&where, sizeof(where)))
		die("take");
	puts("ready");
	fflush(stdout);
	while (poll(both, 2, -1) > 0) {
		while (recv(fd, &datagram, sizeof(datagram), MSG_DONTWAIT) > 0)
			count[datagram.stream % STREAMS]++;
		if (!both[1].revents || !is_asked())
			continue;
		printf("%llu %llu\n", (unsigned long long)count[OLD],
		       (unsigned long long)count[NEW]);
		fflush(stdout);
	}
	return 1;
}

/* Whether the kernel took it. */
static bool give_one(int fd, const struct sockaddr_in *to, enum stream stream)
{
	struct datagram datagram = {.stream = stream};

	if (sendto(fd, &datagram, sizeof(datagram), 0, (const struct sockaddr *)to, sizeof(*to)) >
	    0)
		return true;
	if (errno != EPERM)
		die("sendto");
	return false;
}

static int give(const struct sockaddr_in *partner, const struct sockaddr_in *stranger,
		long pause_us)
{
	const struct timespec pause = {.tv_nsec = pause_us * 1000};
	unsigned long long turns = 0, refused[STREAMS] = {0}, leaked = 0;
	int open_one = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);

	puts("ready");
	fflush(stdout);
	do {
		int new_one = socket(AF_INET, SOCK_DGRAM, 0);

		refused[OLD] += !give_one(open_one, partner, OLD);
		refused[NEW] += !give_one(new_one, partner, NEW);
		leaked += give_one(other, stranger, OLD);
		close(new_one);
		turns++;
		nanosleep(&pause, NULL);
	} while (!is_asked());
	printf("%llu %llu %llu %llu\n", turns, refused[OLD], refused[NEW], leaked);
	return 0;
}

int main(int count, char **words)
{
	if (count == 3 && !strcmp(words[1], "take"))
		return take(words[2]);
	if (count == 6 && !strcmp(words[1], "give")) {
		struct sockaddr_in partner = at(words[2], words[4]),
				   stranger = at(words[3], words[4]);

		return give(&partner, &stranger, atol(words[5]));
	}
	fputs("usage: judged take PORT | judged give PARTNER STRANGER PORT PAUSE_US\n", stderr);
	return 2;
}
