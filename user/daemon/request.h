/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * request.h - what may be asked of a host: a small table, for the control socket and for commands
 * that find no daemon.
 *
 * A request is one JSON object on one line: {"request":"cut","targets":["partner:x"],...}. The
 * answer is one too. It has "code" (the command's exit code), and when that is not 0 "problem"
 * (one line) and perhaps "details" (several). Whatever is malformed, of another type, too long or
 * too deep gets an answer with code 2 and changes nothing.
 *
 * The fleet's agent (caller.h, is_agent) may hand in signed orders and ask for a brief: so whoever
 * takes it over can do no more than who carries its messages.
 */
#ifndef WEIR_REQUEST_H
#define WEIR_REQUEST_H

#include "user/daemon/caller.h"
#include "user/daemon/host.h"

/* A policy of the largest size and some room for escapes. */
#define REQUEST_MAX_BYTES ((size_t)POLICY_MAX_BYTES + (POLICY_MAX_BYTES >> 2) + (1 << 20))

enum { REQUEST_DEPTH = 6, REQUEST_MAX_TARGETS = 256 };

/*
 * Answers `line` (`length` bytes, no newline needed). `asker`: for orders, their journal and
 * events. The answer ends with a newline; malloc'd, NULL without memory.
 */
char *request_answer(struct host *host, const struct caller *asker, const char *line,
		     size_t length);

/* {"code":...,"problem":...} and a newline; malloc'd. */
char *request_refusal(int code, const char *problem);

#endif
