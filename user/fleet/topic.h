/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * topic.h - under which names the fleet's messages are at a broker. All are retained.
 *
 *	weir/order/ID		an order, by the SHA-256 of its body
 *	weir/beat		the last beat
 *	weir/ack/HOST/ID	what became of an order on a host (ack.h)
 *	weir/host/HOST		how a host is (standing.h)
 */
#ifndef WEIR_FLEET_TOPIC_H
#define WEIR_FLEET_TOPIC_H

#include "user/fleet/config.h"
#include "user/order/document.h"

#define TOPIC_ALL_ORDERS "weir/order/+"
#define TOPIC_BEAT	 "weir/beat"
#define TOPIC_ALL_ACKS	 "weir/ack/+/+"
#define TOPIC_ALL_HOSTS	 "weir/host/+"

enum { TOPIC_TEXT = 192 }; /* room for the longest of them */

enum topic_kind { TOPIC_IS_OTHER, TOPIC_IS_ORDER, TOPIC_IS_BEAT, TOPIC_IS_ACK, TOPIC_IS_HOST };

struct topic {
	enum topic_kind kind;
	char host[FLEET_NAME + 1]; /* of an acknowledgement, a host */
	char id[ORDER_ID_TEXT];	   /* of an order, an acknowledgement */
};

/* TOPIC_IS_OTHER for whatever is none of the above, letter by letter. */
struct topic topic_parse(const char *text);

/* All return `text`. */
const char *topic_of_order(const char *id, char text[TOPIC_TEXT]);
const char *topic_of_ack(const char *host, const char *id, char text[TOPIC_TEXT]);
const char *topic_of_host(const char *host, char text[TOPIC_TEXT]);
/* Those of all hosts about one order: a filter to subscribe to. */
const char *topic_of_acks(const char *id, char text[TOPIC_TEXT]);

#endif
