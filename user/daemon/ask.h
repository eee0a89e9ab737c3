/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ask.h - the asking side of the control socket.
 */
#ifndef WEIR_ASK_H
#define WEIR_ASK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Sends one line (a newline is added) and waits for the answer. *answer is malloc'd,
 * NUL-terminated. -ECONNREFUSED: no daemon listens; -ETIMEDOUT: it does, but does not answer;
 * -EACCES; -errno.
 */
int ask_daemon(const char *instance, const char *request, char **answer);

/* Whether an error of ask_daemon() means that no daemon answers, not that it could not be asked. */
bool ask_found_nobody(int error);

#endif
