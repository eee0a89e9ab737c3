/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* an_agent.h - an agent (user/fleet/agent.h) with two brokers, and what it does as one text. */
#ifndef WEIR_AN_AGENT_H
#define WEIR_AN_AGENT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/units.h"
#include "user/fleet/agent.h"

static struct agent agent;
static struct host_key agent_key;
static struct fleet_config agent_config = {
	.host = {.text = (char *)"hub-1"},
	.broker = {{.label = (char *)"a"}, {.label = (char *)"b"}},
	.brokers = 2,
	.late_ns = 5 * NS_PER_MINUTE,
};

/* Since it was emptied: lines "0 TOPIC RESULT", "again 0", "# a line told". */
static char agent_did[1 << 20];
static bool agent_is_refused; /* a broker takes nothing */

__attribute__((format(printf, 1, 2))) static void did(const char *format, ...)
{
	size_t used = strlen(agent_did);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(agent_did + used, sizeof(agent_did) - used, format, arguments);
	va_end(arguments);
}

static bool agent_publishes(void *data, size_t broker, const char *topic, const char *text,
			    size_t length)
{
	const char *result = memmem(text, length, "\nresult: ", 9);

	(void)data;
	if (agent_is_refused)
		return false;
	did("%zu %.24s %.*s\n", broker, topic, result ? (int)strcspn(result + 9, "\n") : 0,
	    result ? result + 9 : "");
	return true;
}

static void agent_asks_again(void *data, size_t broker)
{
	(void)data;
	did("again %zu\n", broker);
}

static void agent_tells(void *data, const char *line)
{
	(void)data;
	did("# %s\n", line);
}

static void agent_make_key(void)
{
	uint8_t raw[32], *to;
	size_t length = sizeof(raw);

	agent_key.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!agent_key.key || !EVP_PKEY_get_raw_public_key(agent_key.key, raw, &length))
		abort();
	to = wire_put_string(agent_key.blob, "ssh-ed25519", 11);
	wire_put_string(to, raw, sizeof(raw));
}

static void agent_begin(uint64_t now)
{
	const struct agent_out out = {agent_publishes, agent_asks_again, agent_tells, NULL};

	if (!agent_key.key)
		agent_make_key();
	agent_is_refused = false;
	agent_did[0] = '\0';
	agent_init(&agent, &agent_config, &agent_key, &out, now);
}

#endif
