/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * standing.h - how a host is, as it says itself each minute, and when that changes: signed by it
 * (signed_text.h) in the namespace "host@weir".
 *
 *	weir-host: 1
 *	host: hub-1
 *	at: 2026-11-26T15:04:05Z
 *	daemon: yes			whether one answers; what stands below is its word
 *	policy: 5e8c...			digest of the policy in force
 *	base: 3				versions in force, where there are any
 *	base-holds: yes			the policy in force is that base's; left out: it is not
 *	signers: 2
 *	beat: 1764169445
 *	beat-issued: 2026-11-26T15:04:00Z
 *	cuts: 1				how many are in force
 *	clock: yes			whether the host trusts its clock
 *	groups: hub berlin
 */
#ifndef WEIR_FLEET_STANDING_H
#define WEIR_FLEET_STANDING_H

#include "user/fleet/signed_text.h"
#include "user/fleet/topic.h"

/* How often an agent asks how its host is, at least: what it says of it may be so old. */
#define STANDING_EVERY_NS NS_PER_MINUTE

struct standing {
	char host[FLEET_NAME + 1];
	uint64_t at_ns; /* wall */
	bool has_daemon;
	char policy[65];
	uint64_t base, signers, beat; /* versions; 0: none */
	bool base_holds;
	uint64_t beat_issued_ns;
	uint64_t cuts;
	bool clock_is_trusted;
	char groups[400]; /* with blanks between; cut short when there are too many */
};

/* As ack_write() and ack_read(). */
int standing_write(const struct standing *standing, const struct host_key *key, char **text,
		   size_t *length);
int standing_read(const char *text, size_t length, const struct topic *topic,
		  const struct ssh_key *key, struct standing *standing, const char **why);

#endif
