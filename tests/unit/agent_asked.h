/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent_asked.h - an agent between its brokers and a daemon of paper. */
#ifndef WEIR_AGENT_ASKED_H
#define WEIR_AGENT_ASKED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/an_agent.h"

static uint64_t now;

__attribute__((unused)) static int begin(void **state)
{
	(void)state;
	now = NS_PER_HOUR;
	agent_begin(now);
	agent_up(&agent, 0, now);
	agent_up(&agent, 1, now);
	return 0;
}

__attribute__((unused)) static int end(void **state)
{
	(void)state;
	agent_free(&agent);
	return 0;
}

/* What it did since; forgets it. */
__attribute__((unused)) static const char *done(void)
{
	static char text[sizeof(agent_did)];

	strcpy(text, agent_did);
	agent_did[0] = '\0';
	return text;
}

struct text {
	char text[1024], id[ORDER_ID_TEXT], topic[TOPIC_TEXT];
};

/* A text as good as any to an agent; `signature` is what stands behind it. */
__attribute__((unused)) static struct text text_of(const char *kind, unsigned int nonce,
						   const char *signature)
{
	struct text made;
	struct document document;
	struct order_fault fault;
	bool is_beat = strcmp(kind, "beat") == 0;

	snprintf(made.text, sizeof(made.text),
		 "weir-order: 1\nkind: %s\nissued: 2026-11-26T15:04:05Z\nnonce: %032u\n%s%s"
		 "-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n",
		 kind, nonce, is_beat ? "" : "reason: x\n",
		 is_beat		       ? "version: 1\n"
		 : strcmp(kind, "reopen") == 0 ? "cut: "
						 "0123456789abcdef0123456789abcdef0123456789abcdef"
						 "0123456789abcdef\n"
					       : "target: all\n",
		 signature);
	if (document_read(made.text, strlen(made.text), &document, &fault) < 0)
		fail_msg("%u:%u: %s", fault.line, fault.column, fault.text);
	strcpy(made.id, document.id);
	topic_of_order(made.id, made.topic);
	document_free(&document);
	return made;
}

__attribute__((unused)) static struct text cut(unsigned int nonce)
{
	return text_of("cut", nonce, "AAAA");
}

__attribute__((unused)) static void serve(size_t broker, const struct text *text)
{
	agent_message(&agent, broker, text->topic, text->text, strlen(text->text), now);
}

/* The next request is about this text. */
__attribute__((unused)) static void expect_asked(const struct text *text)
{
	char *line = agent_request(&agent, now);

	assert_non_null(line);
	assert_int_equal(agent.asked, ASKED_ORDER);
	assert_string_equal(agent.asked_order->id, text->id);
	assert_non_null(strstr(line, "\"request\":\"order-apply\""));
	assert_null(strchr(line, '\n'));
	free(line);
	assert_null(agent_request(&agent, now)); /* one after the other */
}

__attribute__((unused)) static void expect_nothing_asked(void)
{
	char *line = agent_request(&agent, now);

	if (line && agent.asked != ASKED_BRIEF)
		fail_msg("%s", line);
	free(line);
	agent_no_answer(&agent, now);
}

__attribute__((unused)) static void answer(const char *line)
{
	agent_answer(&agent, line, strlen(line), now);
}

__attribute__((unused)) static void answer_done(const struct text *text, const char *is_for_us)
{
	char line[256];

	snprintf(line, sizeof(line), "{\"code\":0,\"order\":\"%s\",\"is_for_us\":%s,\"matched\":1}",
		 text->id, is_for_us);
	answer(line);
}

__attribute__((unused)) static const char refused[] =
	"{\"code\":1,\"problem\":\"signed by 1, and it takes 2\"}";

#endif
