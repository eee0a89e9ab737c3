/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * record.h - what happened, as one line of JSON: OCSF 1.8 Network Activity (class 4001).
 *
 * Two kinds of line: what the kernel told about a packet or connection, and what happened to the
 * guard itself (an order, a step of the clock, a start, a loss). Both are class 4001, so that a
 * reader needs one parser; the second kind has activity 99 (Other) and no peer. What OCSF has no
 * place for stands in `unmapped`, with weir's own words.
 *
 * Pure: names come resolved from the caller.
 */
#ifndef WEIR_RECORD_H
#define WEIR_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

/* Whose line it is; the same for all lines of a guard under one policy. */
struct record_origin {
	const char *instance;
	const char *host;
	const char *policy_name;
	const char *policy_digest; /* hexadecimal */
};

/* Names for the keys and numbers of one event. NULL: not known, shown as the key's digits. */
struct record_names {
	const char *service;
	const char *partner; /* "" for none */
	const char *grant;   /* "" for none */
	const char *reason;
	const char *direction;
	const char *protocol;
};

/* refused, would-refuse, warning, alert, held, severed, opened, closed; never NULL. */
const char *record_kind_name(uint8_t kind);

/* One line with its newline; malloc'd. NULL without memory. */
char *record_event(const struct record_origin *origin, const struct record_names *names,
		   const struct weir_event *event);

enum record_severity {
	RECORD_INFORMATIONAL = 1,
	RECORD_LOW = 2,
	RECORD_MEDIUM = 3,
	RECORD_HIGH = 4,
};

struct record_field {
	const char *key;
	const char *text; /* NULL: `number` counts */
	uint64_t number;
};

/* Something about the guard itself. */
struct record_notice {
	const char *kind; /* "cut", "reopen", "clock-step", ... */
	uint64_t wall_ns;
	enum record_severity severity;
	bool is_alert;
	const char *message; /* one sentence for people */
	const struct record_field *field;
	size_t field_count;
};

char *record_notice(const struct record_origin *origin, const struct record_notice *notice);

#endif
