/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * dial.c - connections that carry nothing, for tests/bench/connect: `dial serve PORT` accepts and
 * closes; `dial ADDRESS PORT` reads a number per line from its input, makes so many connections one
 * after the other, closes each at once with a reset, and answers with the nanoseconds that the
 * usual one took (the median: one SYN that was lost costs a second) and all together.
 */
#include <string.h>
#include <unistd.h>

#include "load.h"

static void serve(const char *port)
{
	int listener = listening(port);

	say("ready");
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			close(fd);
	}
}

static uint64_t dial(const struct sockaddr_in *to)
{
	uint64_t since = now_ns();
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	reset_at_close(fd);
	close(fd);
	return now_ns() - since;
}

static int by_size(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

static int dial_many(const struct sockaddr_in *to)
{
	long count;

	say("ready");
	while (scanf("%ld", &count) == 1 && count > 0) {
		uint64_t *taken = calloc(count, sizeof(*taken)), all = 0;

		if (!taken)
			die("calloc");
		for (long i = 0; i < count; i++)
			all += taken[i] = dial(to);
		qsort(taken, count, sizeof(*taken), by_size);
		printf("%llu %llu\n", (unsigned long long)taken[count / 2],
		       (unsigned long long)all);
		fflush(stdout);
		free(taken);
	}
	return 0;
}

int main(int count, char **words)
{
	if (count == 3 && !strcmp(words[1], "serve"))
		serve(words[2]);
	if (count == 3) {
		struct sockaddr_in to = at(words[1], words[2]);

		return dial_many(&to);
	}
	fputs("usage: dial serve PORT | dial ADDRESS PORT\n", stderr);
	return 2;
}
