/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * words.h - the names of the numbers in bpf/abi.h, as people and files see them.
 *
 * A *_name() never returns NULL: a number that has no name gives "unknown". A *_parse() returns 0
 * or -EINVAL and then leaves the result alone.
 */
#ifndef WEIR_WORDS_H
#define WEIR_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

enum { PROTOCOL_NAME_BYTES = 12 }; /* "icmpv6", "255" and the NUL fit */

const char *verdict_name(uint8_t verdict); /* pass, refuse */
int verdict_parse(const char *text, uint8_t *verdict);

const char *reason_name(uint8_t reason); /* no-grant, hours, service-budget, ... */
int reason_parse(const char *text, uint8_t *reason);

const char *direction_name(uint8_t direction); /* serves, calls, calls-back */
int direction_parse(const char *text, uint8_t *direction);

const char *mode_name(uint8_t mode);	 /* enforce, observe */
const char *breach_name(uint8_t breach); /* hold, alert, sever */
const char *target_name(uint8_t target); /* all, strangers, partner, ... */
const char *loss_name(uint8_t loss);	 /* events, storage, unclassified, ... */

/* tcp, udp, ..., or the number; `buffer` holds PROTOCOL_NAME_BYTES and is returned, or a constant.
 */
const char *protocol_name(uint8_t protocol, char *buffer);
/* The same back: a name, or a number from 0 to 255. */
int protocol_parse(const char *text, uint8_t *protocol);
/* True for a protocol whose headers carry ports that a rule can name. */
bool protocol_has_ports(uint8_t protocol);

#endif
