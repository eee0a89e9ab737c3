/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * link.h - the way to the daemon: its socket for signed orders, one request at a time, without
 * waiting for it.
 */
#ifndef WEIR_FLEET_LINK_H
#define WEIR_FLEET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link {
	char *path;
	int fd; /* -1: there is none now */
	char *out;
	size_t out_length, out_done;
	char *in;
	size_t in_used, in_size;
	uint64_t retry_ns;    /* boot; when it connects again */
	uint64_t patience_ns; /* when the answer has to be there; 0: nothing was asked */
	unsigned int failures;
};

/* -ENAMETOOLONG, -ENOMEM. Free with link_close() in each case. */
int link_init(struct link *link, const char *instance);
void link_close(struct link *link);

/* Connects when it is time to; whether requests can be sent. */
bool link_is_open(struct link *link, uint64_t now_ns);
/* Whether it answers the request before. */
bool link_is_busy(const struct link *link);
/* Takes the line over (malloc'd, without its end). */
void link_ask(struct link *link, char *line, uint64_t now_ns);

enum link_event {
	LINK_NOTHING,
	LINK_ANSWER, /* `in` is the line, NUL-terminated; link_forget() when it was read */
	LINK_LOST,   /* what was asked, if anything, was not answered */
};

/* What to wait for at `fd`. */
bool link_wants_write(const struct link *link);
enum link_event link_handle(struct link *link, bool is_readable, bool is_writable, uint64_t now_ns);
/* Something may have taken too long. */
enum link_event link_tick(struct link *link, uint64_t now_ns);
void link_forget(struct link *link);
/* When it is due again (boot). */
uint64_t link_due(const struct link *link);

#endif
