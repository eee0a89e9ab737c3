/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent_inside.h - between agent.c, which hears the brokers, and agent_ask.c, which asks the
 * daemon. */
#ifndef WEIR_FLEET_AGENT_INSIDE_H
#define WEIR_FLEET_AGENT_INSIDE_H

#include "user/fleet/agent.h"

void agent_tell(const struct agent *agent, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* To all brokers that do not have it yet: what became of the order, by the text that counts. */
void agent_say(struct agent *agent, const struct kept *kept);
void agent_say_standing(struct agent *agent, uint64_t now_ns);
/* When there is something to be asked. */
uint64_t agent_asking_due(const struct agent *agent);
/* The daemon is asked how it is at that time, if not before. */
void agent_brief_at(struct agent *agent, uint64_t at_ns);

#endif
