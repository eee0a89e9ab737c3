/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * push.h - sending one order, without how: publishes it at each broker, has it read back from what
 * the broker kept, publishes again where that is missing or something else, and collects what the
 * hosts say.
 *
 * A host counts by its own signature alone, over this order; what a broker says counts for nothing.
 * A beat is no order that is acknowledged: there the standing of a host (standing.h) counts.
 *
 * What a host said once a broker can serve for ever, long after the host has died or was installed
 * anew. So a word that was there before, or is signed long ago, counts only together with a
 * standing that is not late (fleet_config.late_ns), and says of no other base or list of signers
 * that it is in force. Pure: the time is given (boot, ns), also `wall_ns`.
 */
#ifndef WEIR_FLEET_PUSH_H
#define WEIR_FLEET_PUSH_H

#include "user/fleet/ack.h"
#include "user/fleet/standing.h"

/* What it does; false: the broker did not take it. None of these may call back. */
struct push_out {
	bool (*publish)(void *data, size_t broker, const char *topic, const char *text,
			size_t length);
	/* What is retained there comes, as often as it is asked for. */
	bool (*subscribe)(void *data, size_t broker, const char *filter);
	void (*tell)(void *data, const char *line); /* without its end */
	void *data;
};

struct push_broker {
	const char *label; /* borrowed */
	bool is_up;
	bool has_failed; /* it was down, or did not come up, at least once */
	bool is_kept;	 /* read back as it was published, and not missed since */
	bool is_asked;	 /* to be read back, by check_ns */
	uint64_t check_ns;
	unsigned int published;	 /* how often */
	unsigned int bad_words;	 /* acknowledgements that no host has signed so */
	unsigned int told_words; /* of them */
};

struct push_host {
	const struct fleet_host *host;
	bool is_expected;
	bool has_ack;
	bool had_it_before; /* `ack` was kept by a broker already, or is signed long ago */
	struct ack ack;
	uint64_t heard_ns; /* boot */
	bool has_standing;
	struct standing
		standing; /* the newest; heard where an old word asks for it, or of a beat */
};

struct push {
	const struct fleet_config *config; /* borrowed */
	const struct document *document;   /* likewise */
	const char *text;		   /* likewise */
	size_t length;
	char topic[TOPIC_TEXT];
	struct push_out out;
	struct push_broker broker[FLEET_BROKERS];
	struct push_host *item; /* in the order of config->item */
	size_t expected;
	bool hears_standings;
	uint64_t begun_ns; /* boot; when it was published for the first time; 0: not yet */
	uint64_t wall_ns;  /* now; what hosts sign is held against it */
};

/* 0 or -ENOMEM. `wall_ns` stays to be set. Free with push_free() in each case. */
int push_init(struct push *push, const struct fleet_config *config, const struct document *document,
	      const char *text, size_t length, const struct push_out *out);
void push_free(struct push *push);

void push_up(struct push *push, size_t broker, uint64_t now_ns);
void push_down(struct push *push, size_t broker, const char *why);
/* `why` NULL: the broker has it. */
void push_published(struct push *push, size_t broker, const char *why, uint64_t now_ns);
void push_message(struct push *push, size_t broker, const char *topic, const char *text,
		  size_t length, bool is_retained, uint64_t now_ns);
/* Looks after what brokers keep; returns when it is due again (boot). */
uint64_t push_tick(struct push *push, uint64_t now_ns);

/* Whether the host's standing allows for it: of what has versions, no other one is in force; of a
 * cut that matched something, some cut is. */
bool push_is_in_force(const struct push *push, const struct push_host *host);
/* Whether it has the order in force, by its own word, and that is not of long ago alone. */
bool push_counts(const struct push *push, const struct push_host *host);
/* How many of the hosts that it is for count. */
size_t push_enforced(const struct push *push);
/* All of them have it, or say that it is not for them, and each broker keeps it or cannot be
 * reached: there is nothing to wait for. */
bool push_is_over(const struct push *push);

#endif
