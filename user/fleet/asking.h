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

struct asked {
	const char *host; /* borrowed; the caller's */
	int code;	  /* the command's exit code; -1: it had none */
	char *out;	  /* what it said; never NULL when code >= 0 */
	size_t length;
	char why[200]; /* the last line of what it said beside that, or why nothing came of it */
};

struct question {
	const char *over; /* words between blanks, to which the host's name is added */
	const char *command;
	const char *text; /* its standard input */
	size_t length;
};

/*
 * Asks all of them, ASKING_AT_ONCE at a time; whoever has not answered `within_ns` of the beginning
 * is ended. 0, -errno: nobody was asked, or memory is short. Free with asked_free() in each case.
 */
int ask_hosts(const struct question *question, struct asked *asked, size_t count,
	      uint64_t within_ns);
void asked_free(struct asked *asked, size_t count);

#endif
