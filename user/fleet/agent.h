/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * agent.h - what an agent does, without how: takes what brokers serve, hands orders to the daemon
 * one after the other, and says what became of them.
 *
 * It trusts no broker, and judges nothing: that a text is an order, and stands under its own id, is
 * all that it looks at; the daemon verifies. What the daemon refuses it hands in again, less and
 * less often, since what is missing (a list of signers, a clock) may come; what was carried out is
 * over. What is not for this host is so as long as its groups are what they are. Pure: no sockets,
 * and the time is given (boot, ns) but for the moment that is signed.
 */
#ifndef WEIR_FLEET_AGENT_H
#define WEIR_FLEET_AGENT_H

#include "user/fleet/memory.h"
#include "user/fleet/pace.h"
#include "user/fleet/standing.h"

/* What it does. None of these may call the agent. */
struct agent_out {
	/* Retained, QoS 1. False: the broker did not take it. */
	bool (*publish)(void *data, size_t broker, const char *topic, const char *text,
			size_t length);
	/* The broker is to serve all of its orders once more. */
	void (*ask_again)(void *data, size_t broker);
	void (*tell)(void *data, const char *line); /* without its end */
	void *data;
};

/* What a broker served that was not to be handed in; counted, and told now and then. */
enum stray {
	STRAY_TOPIC,	 /* what we did not ask for */
	STRAY_OVERSIZED, /* larger than any order */
	STRAY_NO_ORDER,
	STRAY_MISPLACED, /* a beat among the orders, an order as a beat */
	STRAY_WRONG_ID,	 /* under another id than its body's */
	STRAY_UNSIGNED,
	STRAY_NO_ROOM,
	STRAYS
};

struct stray_count {
	uint64_t count, told; /* told: of them */
	uint64_t told_ns;     /* boot */
};

/* The last beat that a broker served. */
struct kept_beat {
	char *text;
	size_t length;
	uint8_t digest[32];
	bool waits;
};

struct agent_broker {
	const char *label; /* as lines name it; borrowed */
	bool is_up;
	bool has_missed; /* it has orders that found no room, or were displaced */
	uint64_t asked_again_ns;
	struct pace pace; /* of what it makes us hand in */
	struct kept_beat beat;
	struct stray_count stray[STRAYS];
};

enum agent_asked { ASKED_NOTHING, ASKED_ORDER, ASKED_BEAT, ASKED_BRIEF };

struct agent {
	const char *host;	    /* borrowed */
	const struct host_key *key; /* borrowed */
	uint64_t late_ns;
	struct agent_out out;
	struct agent_broker broker[FLEET_BROKERS];
	size_t brokers;
	struct memory memory;
	enum agent_asked asked;
	struct kept *asked_order;
	size_t asked_broker; /* whose beat */
	uint64_t brief_ns;   /* boot; when the daemon is asked how it is */
	struct standing standing;
	char *groups;	  /* all of them, as the last brief writes them; NULL: not known */
	uint64_t said_ns; /* boot; when it was published */
	bool is_unsaid;	  /* a broker came up since */
	bool is_standing_known;
	bool has_had_beat; /* the daemon has one, or its file of it is damaged: they come here */
	bool is_beat_late; /* told, and none came since */
};

/* `config` and `key` have to outlive it. Free with agent_free(). */
void agent_init(struct agent *agent, const struct fleet_config *config, const struct host_key *key,
		const struct agent_out *out, uint64_t now_ns);
void agent_free(struct agent *agent);

/* ---- brokers -------------------------------------------------------------------------------- */

void agent_up(struct agent *agent, size_t broker, uint64_t now_ns);
void agent_down(struct agent *agent, size_t broker);
/* `text` need not end in a NUL; `topic` does. */
void agent_message(struct agent *agent, size_t broker, const char *topic, const char *text,
		   size_t length, uint64_t now_ns);

/* ---- the daemon ----------------------------------------------------------------------------- */

/* Whether something is due to be asked. */
bool agent_wants(const struct agent *agent, uint64_t now_ns);
/* The next request, one line without its end (malloc'd), or NULL: none is due, one is under way, or
 * memory is short. Then agent_answer() or agent_no_answer() follows. */
char *agent_request(struct agent *agent, uint64_t now_ns);
void agent_answer(struct agent *agent, const char *line, size_t length, uint64_t now_ns);
/* It hung up, or there is none: what was asked stays to be asked. */
void agent_no_answer(struct agent *agent, uint64_t now_ns);
/* Something is due, and none answers: the brokers are told, and it is tried again. */
void agent_no_daemon(struct agent *agent, uint64_t now_ns);

/* Does what is due; returns when something is again (boot). */
uint64_t agent_tick(struct agent *agent, uint64_t now_ns);

#endif
