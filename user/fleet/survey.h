/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * survey.h - what brokers have of the fleet, put together: which orders, and what each host says of
 * them and of itself.
 *
 * As in push.h a host counts by its own signature alone. An order counts when somebody whom this
 * machine knows has signed it, where it knows anybody. Pure: messages in, a judgement out.
 */
#ifndef WEIR_FLEET_SURVEY_H
#define WEIR_FLEET_SURVEY_H

#include "user/fleet/ack.h"
#include "user/fleet/known_signers.h"
#include "user/fleet/standing.h"

struct survey_order {
	char id[ORDER_ID_TEXT];
	bool is_served[FLEET_BROKERS];
	uint8_t digest[FLEET_BROKERS][32]; /* of all of the text */
	bool is_read;
	bool is_forged; /* nobody whom we know has signed it: not looked at */
	enum order_kind kind;
	uint64_t version, issued_ns, until_ns;
	char **group;
	size_t groups;
};

struct survey_word {
	size_t order; /* index */
	enum ack_result result;
	uint64_t at_ns;
	char *problem; /* NULL: none */
};

enum host_state {
	HOST_ENFORCED,
	HOST_WAITING,	  /* it lacks an order that is not old */
	HOST_STALE_BEAT,  /* it has all, but the last sign that orders come through is old */
	HOST_LATE,	  /* it lacks one */
	HOST_REFUSES,	  /* or does not carry it out, or not all of it, or holds it no more */
	HOST_NO_DAEMON,	  /* its agent is there, its daemon is not */
	HOST_UNREACHABLE, /* nothing was heard of it for long */
	HOST_STATES
};

struct survey_host {
	const struct fleet_host *host;
	bool has_standing;
	struct standing standing;
	struct survey_word *word;
	size_t words;
	/* survey_judge() */
	enum host_state state;
	size_t orders, lacks;	 /* of those that are for it */
	const char *order, *why; /* of the first that it lacks: its id; why, or NULL */
};

struct survey_broker {
	bool is_reached;
	char why[200]; /* it is not */
	size_t orders;
	uint64_t beat_issued_ns; /* 0: it has none */
	uint8_t beat_digest[32];
	unsigned int bad_words; /* what no host has signed so, orders that nobody has */
	char bad[200];		/* the first of them */
};

struct survey {
	const struct fleet_config *config; /* borrowed */
	const struct known_signers *known; /* borrowed */
	struct survey_broker broker[FLEET_BROKERS];
	struct survey_host *item; /* in the order of config->item */
	struct survey_order *order;
	size_t orders;
	uint64_t beat_issued_ns;     /* the latest of those that count */
	uint64_t count[HOST_STATES]; /* survey_judge() */
	size_t disagreements;
};

/* 0 or -ENOMEM. Free with survey_free() in each case. */
int survey_init(struct survey *survey, const struct fleet_config *config,
		const struct known_signers *known);
void survey_free(struct survey *survey);

void survey_message(struct survey *survey, size_t broker, const char *topic, const char *text,
		    size_t length);

/* When all was heard: how each host is at that time (wall), and where brokers disagree. */
void survey_judge(struct survey *survey, uint64_t now_ns);

const char *host_state_name(enum host_state state); /* "stale beat" */
/* Whether one of two brokers that were reached lacks it, or has another text. */
bool survey_disagrees(const struct survey *survey, const struct survey_order *order);
bool survey_beats_disagree(const struct survey *survey);

#endif
