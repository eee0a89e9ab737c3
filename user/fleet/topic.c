/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* topic.c - under which names the fleet's messages are at a broker. */
#include "user/fleet/topic.h"

#include <stdio.h>
#include <string.h>

#include "user/base/hex.h"

/* Behind `prefix`; NULL: it does not begin so. */
static const char *behind(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static bool take_id(const char *text, char id[ORDER_ID_TEXT])
{
	uint8_t digest[32];

	if (!hex_parse(text, digest, sizeof(digest)))
		return false;
	memcpy(id, text, ORDER_ID_TEXT);
	return true;
}

/* Up to a slash or the end, as config.c reads names. */
static const char *take_host(const char *text, char host[FLEET_NAME + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_.";
	size_t length = strspn(text, alphabet);

	if (length == 0 || length > FLEET_NAME || strchr("-_.", text[0]))
		return NULL;
	memcpy(host, text, length);
	host[length] = '\0';
	return text + length;
}

struct topic topic_parse(const char *text)
{
	struct topic topic = {0};
	const char *rest;

	if (strcmp(text, TOPIC_BEAT) == 0)
		return (struct topic){.kind = TOPIC_IS_BEAT};
	rest = behind(text, "weir/order/");
	if (rest && take_id(rest, topic.id))
		topic.kind = TOPIC_IS_ORDER;
	rest = behind(text, "weir/host/");
	if (rest)
		rest = take_host(rest, topic.host);
	if (rest && !*rest)
		topic.kind = TOPIC_IS_HOST;
	rest = behind(text, "weir/ack/");
	if (rest)
		rest = take_host(rest, topic.host);
	if (rest && *rest == '/' && take_id(rest + 1, topic.id))
		topic.kind = TOPIC_IS_ACK;
	return topic;
}

const char *topic_of_order(const char *id, char text[TOPIC_TEXT])
{
	snprintf(text, TOPIC_TEXT, "weir/order/%.64s", id);
	return text;
}

const char *topic_of_ack(const char *host, const char *id, char text[TOPIC_TEXT])
{
	snprintf(text, TOPIC_TEXT, "weir/ack/%.48s/%.64s", host, id);
	return text;
}

const char *topic_of_host(const char *host, char text[TOPIC_TEXT])
{
	snprintf(text, TOPIC_TEXT, "weir/host/%.48s", host);
	return text;
}

const char *topic_of_acks(const char *id, char text[TOPIC_TEXT])
{
	return topic_of_ack("+", id, text);
}
