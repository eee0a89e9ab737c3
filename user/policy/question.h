/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * question.h - the parts of a question as people write them: endpoints and moments.
 */
#ifndef WEIR_QUESTION_H
#define WEIR_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

enum {
	ENDPOINT_TEXT = 32 /* "udplite/50000-50100", "proto/255" and the NUL fit */,
	MOMENT_TEXT = 40
};

/*
 * "tcp/22", "22/tcp", "proto/47", "icmp" (ICMPv6 when the peer is an IPv6 address): sets protocol
 * and port of `question`, whose peer is set already. -EINVAL.
 */
int question_endpoint(const char *text, struct weir_question *question);

/* "tcp/22", "tcp/50000-50100", "icmp", "proto/47"; `size` should be ENDPOINT_TEXT. */
void endpoint_format(uint8_t protocol, uint16_t port_first, uint16_t port_last, char *text,
		     size_t size);

/*
 * YYYY-MM-DDTHH:MM[:SS], then Z or +HH:MM or -HH:MM; a space may stand for the T. Without Z or an
 * offset it is a moment of `zone` (NULL: the host's). -EINVAL for another form, a day or an hour
 * that no clock shows, or a year before 1970 or after 2499; -ENOMEM.
 */
int moment_parse(const char *text, const char *zone, uint64_t *wall_ns);
/* True when the text of a moment says its distance to UTC. */
bool moment_is_absolute(const char *text);

/* "Mon 2027-03-01 20:00:00 CET" in the zone of the process; `size` should be MOMENT_TEXT. */
void moment_format(uint64_t wall_ns, char *text, size_t size);

#endif
