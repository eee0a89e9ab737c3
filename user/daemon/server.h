/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * server.h - the control socket: JSON lines in, JSON lines out. Beside it one that takes signed
 * orders alone, for the fleet's agent.
 *
 * No client can stall the others or make memory grow: each has one request at a time, a deadline
 * for sending it and one for taking the answer; there are SERVER_CLIENTS places, and only one
 * client may have a request longer than SERVER_SMALL under way. The agent's places, and its one
 * large request, are beside those; and it may ask only so often, since each order that is refused
 * makes a line in the journal.
 */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include "user/daemon/caller.h"
#include "user/daemon/host.h"

enum {
	SERVER_CLIENTS = 32,
	SERVER_FOR_ROOT = 4, /* of them */
	SERVER_AGENTS = 4,
	SERVER_PLACES = SERVER_CLIENTS + SERVER_AGENTS,
	SERVER_AGENT_BURST = 1024, /* requests of all agents at once, */
	SERVER_AGENT_RATE = 16,	   /* and each second from then on */
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
	bool waits;	      /* for its turn: an agent that asked too often */
};

/* Where clients come in: places 0 to SERVER_CLIENTS - 1 are the control socket's. */
enum server_door { DOOR_CONTROL, DOOR_ORDERS, SERVER_DOORS };

struct door {
	int listener; /* -1: none */
	char *path;
};

struct server {
	struct host *host;
	int epoll; /* borrowed */
	struct door door[SERVER_DOORS];
	struct client client[SERVER_PLACES];
	uint64_t agent_turn_ns; /* boot; how far their asking is used up: server.c, agent_waits() */
};

/* Nothing is open: server_close() may follow. */
void server_init(struct server *server);

/* Binds both sockets (0660, of the groups `weir` and `weir-agent` when there are such); one that
 * was left behind is replaced. Nobody is let in yet: what can fail here fails before a guard is
 * loaded. server_close() in either case. */
int server_bind(struct server *server, const char *instance, char **problem);

/* Listens at what server_bind() bound. Client n is announced to `epoll` with
 * data.u64 == SERVER_FIRST + n, the listener of door n with SERVER_LISTENER + n. */
enum { SERVER_LISTENER = 100, SERVER_FIRST = SERVER_LISTENER + SERVER_DOORS };
int server_open(struct server *server, struct host *host, int epoll, char **problem);
void server_close(struct server *server);

/* Something happened at the listener or at a client. */
void server_handle(struct server *server, uint64_t which, uint32_t events);

/* Ends clients whose time is over, and lets agents go on that waited for their turn; returns when
 * the next one's is (boot), 0 when there is none. */
uint64_t server_expire(struct server *server);

#endif
