/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * broker.h - the connection to one broker: MQTT 5 over TLS 1.3 with certificates on both sides,
 * by libmosquitto, without a thread. The only place that knows that library.
 *
 * It reconnects by itself, after a time that grows and is not the same for all hosts: a broker that
 * comes back must not find a thousand at its door at once. Each connection is a new one in full:
 * nothing of what the former left in the library's queues comes again.
 */
#ifndef WEIR_FLEET_BROKER_H
#define WEIR_FLEET_BROKER_H

#include "user/fleet/config.h"

/* Told from within the calls below. None of these may close the broker. */
struct broker_events {
	void (*up)(void *data, size_t broker);
	/* It was up, or did not come up: why, one line. */
	void (*down)(void *data, size_t broker, const char *why);
	void (*subscribed)(void *data, size_t broker, int number, bool is_granted);
	/* The broker has it; `why` NULL, or it refused. */
	void (*published)(void *data, size_t broker, int number, const char *why);
	/* `text` is NULL when it is empty. */
	void (*message)(void *data, size_t broker, const char *topic, const char *text,
			size_t length, bool is_retained);
	void *data;
};

struct mosquitto;

enum { BROKER_CLIENT = 32 };

/* Two clients of one name end each other, so nobody must know another's: "KIND:" and digits by
 * chance. Returns `client`. */
const char *broker_name_client(const char *kind, char client[BROKER_CLIENT]);

struct broker {
	const struct fleet_broker *config; /* borrowed */
	size_t index;
	struct broker_events events;
	char client[BROKER_CLIENT];
	struct mosquitto *library; /* NULL: not connected, and not trying */
	bool is_up;
	bool is_over;  /* to be ended when the library's function returns */
	char why[200]; /* is_over, or the library's last word */
	unsigned int failures;
	uint64_t up_ns;	      /* boot */
	uint64_t retry_ns;    /* when it connects again */
	uint64_t patience_ns; /* when an answer has to be there; 0: none is awaited */
	uint64_t misc_ns;     /* when the library looks after its own timers */
};

void broker_init(struct broker *broker, const struct fleet_broker *config, size_t index,
		 const char *client, const struct broker_events *events);
/* Says goodbye, if it can do so at once. */
void broker_close(struct broker *broker);

/* What to wait for: -1 when there is nothing. Both may change with each call of the others. */
int broker_fd(const struct broker *broker);
bool broker_wants_write(const struct broker *broker);
void broker_handle(struct broker *broker, bool is_readable, bool is_writable, uint64_t now_ns);

/* Connects when it is time to, gives up what does not answer; returns when it is due again (boot).
 */
uint64_t broker_tick(struct broker *broker, uint64_t now_ns);

/* Retained, QoS 1. False: it is not there; else the number that `published` will name. */
bool broker_publish(struct broker *broker, const char *topic, const char *text, size_t length,
		    int *number);
/* QoS 1. The same with `subscribed`. What is retained comes, also to who had subscribed before. */
bool broker_subscribe(struct broker *broker, const char *filter, int *number);

#endif
