/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ack.h - the acknowledgement: what became of an order on one host, signed by it (signed_text.h) in
 * the namespace "ack@weir".
 *
 *	weir-ack: 1
 *	order: 1b1f0191...		the order's id
 *	host: hub-1
 *	result: done			done | in-part | refused | not-for-us
 *	at: 2026-11-26T15:04:05Z	when it was answered
 *	matched: 1			of a cut: how many of its targets this host has
 *	version: 7			of a base or signers: which one is in force
 *	problem: ...			why it is not done, or not all of it
 */
#ifndef WEIR_FLEET_ACK_H
#define WEIR_FLEET_ACK_H

#include "user/fleet/signed_text.h"
#include "user/fleet/topic.h"

/* `in-part`: it is in force, and something of it failed. */
enum ack_result { ACK_DONE, ACK_IN_PART, ACK_REFUSED, ACK_NOT_FOR_US, ACK_RESULTS };

struct ack {
	char order[ORDER_ID_TEXT];
	char host[FLEET_NAME + 1];
	enum ack_result result;
	uint64_t at_ns; /* wall */
	uint64_t matched;
	uint64_t version;
	char problem[256];
};

const char *ack_result_name(enum ack_result result);
/* Whether the host is as the order wants it. */
bool ack_is_good(enum ack_result result);

/* The signed text; malloc'd. 0, -ENOMEM, -EIO. */
int ack_write(const struct ack *ack, const struct host_key *key, char **text, size_t *length);

/*
 * Reads one that came under `topic` (of kind TOPIC_IS_ACK): signed by the host's key, about this
 * host and this order. 0, or -EBADMSG with a reason for people.
 */
int ack_read(const char *text, size_t length, const struct topic *topic, const struct ssh_key *key,
	     struct ack *ack, const char **why);

#endif
