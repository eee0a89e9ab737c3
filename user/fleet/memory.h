/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * memory.h - what an agent keeps of the orders that its brokers served: their texts until they are
 * carried out, and what to say of them.
 *
 * One text is one entry: a broker can put other signatures behind a body, and must not be able to
 * replace those that count. Each broker fills its own share and displaces only what it brought
 * itself, so that one that pours out orders takes nothing from the other.
 */
#ifndef WEIR_FLEET_MEMORY_H
#define WEIR_FLEET_MEMORY_H

#include "user/fleet/ack.h"

enum {
	MEMORY_ORDERS = 4096,	 /* of each broker */
	MEMORY_BYTES = 40 << 20, /* of texts, of each broker; one may have 32 MiB */
};

enum kept_state {
	KEPT_WAITS, /* to be handed in, from due_ns on */
	KEPT_IS_ASKED,
	KEPT_IS_OVER, /* nothing will change its answer; of what is not for us, nothing but groups
		       */
};

struct kept {
	char id[ORDER_ID_TEXT];
	uint8_t digest[32]; /* of all of the text */
	char *text;	    /* NULL when it is over */
	size_t length;
	enum order_kind kind;
	size_t broker;	 /* which brought it */
	uint64_t number; /* rising, as they came */
	enum kept_state state;
	uint64_t due_ns; /* boot */
	unsigned int refusals;
	bool has_ack;
	struct ack ack; /* the last answer */
	char *ack_text; /* signed */
	size_t ack_length;
	unsigned int said; /* 1 << broker: it has the acknowledgement, on this connection */
};

struct memory {
	struct kept **item;
	size_t count;
	uint64_t number;
	size_t orders[FLEET_BROKERS], bytes[FLEET_BROKERS];
};

void memory_free(struct memory *memory);

struct kept *memory_find(const struct memory *memory, const char *id, const uint8_t digest[32]);
/* Of the texts with this id the one whose answer is to be said: one that is over before all others.
 * NULL: there is none, or none was answered. */
struct kept *memory_answer(const struct memory *memory, const char *id);

/*
 * A new entry with a copy of the text, due at once. Where the broker's share is used up, its oldest
 * one that is over makes room, else its oldest that was refused: then *displaced is set, since the
 * other broker may have brought that too. NULL: there is no room, or no memory.
 */
struct kept *memory_add(struct memory *memory, size_t broker, const char *id,
			const uint8_t digest[32], const char *text, size_t length, bool *displaced);

/* Nothing but other groups changes its answer: forgets the text, and other texts of the order but
 * the one asked about.
 */
void memory_end(struct memory *memory, struct kept *kept);

/* The host's groups are others now: what was not for it is as if it had never come. How many. */
size_t memory_drop_not_for_us(struct memory *memory);

#endif
