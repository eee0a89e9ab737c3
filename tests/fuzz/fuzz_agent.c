/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_agent.c - an agent between brokers and a daemon that say anything, in any order: it asks one
 * thing at a time, says only what was answered, and comes to rest.
 *
 * The input is a list of events: a letter, a length of two bytes, and so many bytes.
 */
#include <stdint.h>

#include "tests/unit/an_agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Signed by nobody; but a text as good as any. */
static const char an_order[] = "weir-order: 1\nkind: cut\nissued: 2026-11-26T15:04:05Z\n"
			       "nonce: 00112233445566778899aabbccddeeff\nreason: x\ntarget: all\n"
			       "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n";

static void message(size_t broker, const char *text, size_t length, uint64_t now)
{
	const char *end = memchr(text, '\n', length);
	char topic[128];

	if (!end)
		return;
	snprintf(topic, sizeof(topic), "%.*s", (int)(end - text), text);
	agent_message(&agent, broker, topic, end + 1, length - (end + 1 - text), now);
}

/* An order with another nonce, under its own id. */
static void good_message(size_t broker, uint8_t which, uint64_t now)
{
	char text[sizeof(an_order)], topic[TOPIC_TEXT];
	struct document document;
	struct order_fault fault;

	memcpy(text, an_order, sizeof(text));
	strstr(text, "00112233")[0] = "0123456789abcdef"[which & 15];
	if (document_read(text, strlen(text), &document, &fault) < 0)
		abort();
	agent_message(&agent, broker, topic_of_order(document.id, topic), text, strlen(text), now);
	document_free(&document);
}

/* Its answer with the right order's id, so that it is not always a refusal. */
static void answer_well(const char *more, size_t length, uint64_t now)
{
	char line[512];
	int used = snprintf(line, sizeof(line), "{\"code\":0,\"order\":\"%s\",\"is_for_us\":%s}",
			    agent.asked == ASKED_ORDER ? agent.asked_order->id : "",
			    length && more[0] & 1 ? "true" : "false");

	agent_answer(&agent, line, used, now);
}

static void one(uint8_t event, const char *text, size_t length, uint64_t *now)
{
	size_t broker = event & 1;

	switch (event >> 1 & 7) {
	case 0:
		message(broker, text, length, *now);
		break;
	case 1:
		good_message(broker, length ? text[0] : 0, *now);
		break;
	case 2:
		if (agent.broker[broker].is_up)
			agent_down(&agent, broker);
		else
			agent_up(&agent, broker, *now);
		break;
	case 3:
		free(agent_request(&agent, *now));
		break;
	case 4:
		agent_answer(&agent, text, length, *now);
		break;
	case 5:
		answer_well(text, length, *now);
		break;
	case 6:
		if (broker)
			agent_no_answer(&agent, *now);
		else
			agent_no_daemon(&agent, *now);
		break;
	case 7:
		*now += (length ? (uint8_t)text[0] : 1) * NS_PER_SECOND;
		agent_tick(&agent, *now);
		break;
	}
}

/* All that is due is asked, and answered, sooner or later. */
static void come_to_rest(uint64_t now)
{
	size_t asked = 0;

	agent_no_answer(&agent, now);
	while (agent_wants(&agent, now)) {
		char *line = agent_request(&agent, now);

		if (!line || strchr(line, '\n') || ++asked > 10000)
			abort();
		free(line);
		answer_well("\1", 1, now);
	}
	if (agent_tick(&agent, now) <= now)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t now = NS_PER_HOUR;

	agent_begin(now);
	while (size >= 3) {
		size_t length = data[1] | (size_t)(data[2] & 15) << 8;
		char *text;

		length = length < size - 3 ? length : size - 3;
		text = malloc(length + 1);
		if (!text)
			break;
		memcpy(text, data + 3, length);
		one(data[0], text, length, &now);
		agent_did[0] = '\0';
		free(text);
		data += 3 + length;
		size -= 3 + length;
	}
	come_to_rest(now);
	agent_free(&agent);
	return 0;
}
