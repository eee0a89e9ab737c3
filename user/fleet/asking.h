/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * asking.h - runs a command on each of many hosts, through one that reaches a host: ssh(1), say.
 *
 * Over the brokers nothing is asked: whoever has an order's text can have it carried out, and what
 * a host has connections with is nobody's business there.
 */
#ifndef WEIR_FLEET_ASKING_H
#define WEIR_FLEET_ASKING_H

#include <stddef.h>
#include <stdint.h>

enum { ASKING_AT_ONCE = 32, ASKING_MOST_BYTES = 1 << 20 /* that one may say */ };

/* What came of one host. */
struct asked {
	const char *host;
	int code;	 /* the command's exit code; -1: it had none */
	const char *out; /* what it said, with a NUL behind it; not NULL where code >= 0 */
	size_t length;
	char why[200]; /* the last line of what it said beside that, or why nothing came of it */
};

struct question {
	const char *over; /* words between blanks, to which the host's name is added */
	const char *command;
	const char *text; /* its standard input */
	size_t length;
	uint64_t within_ns; /* of its start: who has not ended then is ended */
	/* Each host once, as soon as it is through; what is told lives as long as the call. */
	void (*take)(const struct asked *asked, void *data);
	void *data;
};

/*
 * Asks all of them, ASKING_AT_ONCE at a time, without a terminal: nobody is asked for a password.
 * 0; -errno: some were not asked, or nobody waits for their answer, and `take` was not called for
 * them.
 */
int ask_hosts(const struct question *question, const char *const *host, size_t count);

#endif
