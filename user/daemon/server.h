/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * server.h - the control socket: JSON lines in, JSON lines out.
 *
 * No client can stall the others or make memory grow: each has one request at a time, a deadline
 * for sending it and one for taking the answer; there are SERVER_CLIENTS places, and only one
 * client may have a request longer than SERVER_SMALL under way.
 */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include "user/daemon/caller.h"
#include "user/daemon/host.h"

enum {
	SERVER_CLIENTS = 32,
	SERVER_FOR_ROOT = 4, /* of them */
	SERVER_SMALL = 1 << 20,
	SERVER_SECONDS = 20, /* for a whole request, and for a whole answer */
};

struct client {
	int fd; /* -1: a free place */
	struct caller caller;
	char *in; /* what came of the request */
	size_t in_used, in_size;
	size_t scanned; /* of `in`: there is no newline before */
	char *out;	/* the answer; NULL: none under way */
	size_t out_used, out_done;
	uint64_t deadline_ns; /* boot */
	bool is_last;	      /* close after the answer */
};

struct server {
	struct host *host;
	int listener;
	int epoll; /* borrowed */
	char *path;
	struct client client[SERVER_CLIENTS];
};

/* Binds the socket (0660, group `weir` when there is one); one that was left behind is replaced.
 * Nobody is let in yet: what can fail here fails before a guard is loaded. */
int server_bind(struct server *server, const char *instance, char **problem);

/* Listens at what server_bind() bound. Client n is announced to `epoll` with
 * data.u64 == SERVER_FIRST + n, the listener with SERVER_LISTENER. */
enum { SERVER_LISTENER = 100, SERVER_FIRST = 101 };
int server_open(struct server *server, struct host *host, int epoll, char **problem);
void server_close(struct server *server);

/* Something happened at the listener or at a client. */
void server_handle(struct server *server, uint64_t which, uint32_t events);

/* Ends clients whose time is over; returns when the next one's is (boot), 0 when there is none. */
uint64_t server_expire(struct server *server);

#endif
