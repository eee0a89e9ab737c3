/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * caller.h - who asks: for the right to ask, and for the record.
 */
#ifndef WEIR_CALLER_H
#define WEIR_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

#define CONTROL_GROUP "weir"
#define ORDERS_GROUP  "weir-agent" /* hands in signed orders, and nothing else */

struct caller {
	int fd; /* of its connection, borrowed; 0: it has none */
	pid_t pid;
	uid_t uid;
	bool is_allowed; /* root, or in the group of the socket */
	bool is_agent;	 /* came by the socket for signed orders: request.h */
	bool has_login;	 /* a login started it */
	uid_t login;
	char user[24], login_user[24]; /* "" without a name; clipped */
	char by[64]; /* "root(0) login alice(1000)": who it is, and who logged in as it */
};

/* Id of a group, from /etc/group; false when there is none. */
bool caller_group(const char *name, gid_t *gid);

/* The peer of a connected local socket that is for the group: what the kernel noted when it
 * connected. 0 or -errno. */
int caller_of_socket(int fd, const char *group, struct caller *caller);
/*
 * Whoever hung up has given the request up, and may have carried it out on the pinned guard since:
 * done again, later, it could undo what was ordered in between. A client that only ends its own
 * side still waits for its answer.
 */
bool caller_has_hung_up(const struct caller *caller);
/* This process. */
void caller_of_self(struct caller *caller);

#endif
