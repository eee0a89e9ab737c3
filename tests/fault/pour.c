/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pour.c - what serves and pushes inside the guest of `power`: `pour serve PORT` answers each
 * connection with 1 KiB sixteen times a second, without end; `pour push PORT ADDRESS...` calls each
 * address all the time, over UDP and TCP.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char zeros[1024];

static struct sockaddr_in at(const char *address, const char *port)
{
	struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};

	inet_pton(AF_INET, address, &where.sin_addr);
	return where;
}

static void answer(int connection)
{
	char asked[64];

	if (read(connection, asked, sizeof(asked)) <= 0)
		return;
	while (write(connection, zeros, sizeof(zeros)) > 0)
		usleep(1000000 / 16);
}

static int serve(const char *port)
{
	struct sockaddr_in where = at("0.0.0.0", port);
	int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1, patience_ms = 4000;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
	if (bind(listener, (struct sockaddr *)&where, sizeof(where)) < 0 ||
	    listen(listener, 128) < 0)
		return 1;
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection >= 0 && fork() == 0) {
			close(listener);
			answer(connection);
			_exit(0);
		}
		close(connection);
	}
}

static void call(const char *address, const char *port)
{
	struct sockaddr_in where = at(address, port);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd is_there = {.fd = tcp, .events = POLLOUT};

	sendto(udp, zeros, 100, 0, (struct sockaddr *)&where, sizeof(where));
	if (connect(tcp, (struct sockaddr *)&where, sizeof(where)) == 0 ||
	    poll(&is_there, 1, 20) == 1)
		send(tcp, zeros, 100, MSG_NOSIGNAL);
	close(udp);
	close(tcp);
}

int main(int count, char **word)
{
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (count == 3 && strcmp(word[1], "serve") == 0)
		return serve(word[2]);
	if (count < 4 || strcmp(word[1], "push") != 0)
		return 2;
	for (;;) {
		for (int i = 3; i < count; i++)
			call(word[i], word[2]);
		usleep(50000);
	}
}
