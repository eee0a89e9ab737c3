/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* brokers.h - all brokers of a command that asks them something and ends. */
#ifndef WEIR_FLEET_BROKERS_H
#define WEIR_FLEET_BROKERS_H

#include "user/fleet/broker.h"

struct brokers {
	struct broker item[FLEET_BROKERS];
	size_t count;
};

void brokers_open(struct brokers *brokers, const struct fleet_config *config,
		  const struct broker_events *events);
void brokers_close(struct brokers *brokers);
/* One turn: what is due, then what comes until `until_ns` (boot), or sooner. */
void brokers_turn(struct brokers *brokers, uint64_t until_ns);

#endif
