/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* brokers.c - all brokers of a command that asks them something and ends. */
#include "user/fleet/brokers.h"

#include <poll.h>

#include "user/base/now.h"

enum { LONGEST_WAIT_MS = 60000 };

void brokers_open(struct brokers *brokers, const struct fleet_config *config,
		  const struct broker_events *events)
{
	char client[BROKER_CLIENT];

	broker_name_client("push", client);
	brokers->count = config->brokers;
	for (size_t i = 0; i < brokers->count; i++)
		broker_init(&brokers->item[i], &config->broker[i], i, client, events);
}

void brokers_close(struct brokers *brokers)
{
	for (size_t i = 0; i < brokers->count; i++)
		broker_close(&brokers->item[i]);
}

void brokers_turn(struct brokers *brokers, uint64_t until_ns)
{
	struct pollfd polled[FLEET_BROKERS];
	uint64_t now = boot_now(), wait_ms;

	for (size_t i = 0; i < brokers->count; i++) {
		uint64_t due = broker_tick(&brokers->item[i], now);

		if (due < until_ns)
			until_ns = due;
	}
	for (size_t i = 0; i < brokers->count; i++) {
		const struct broker *broker = &brokers->item[i];

		polled[i] = (struct pollfd){.fd = broker_fd(broker), .events = POLLIN};
		if (polled[i].fd >= 0 && broker_wants_write(broker))
			polled[i].events |= POLLOUT;
	}
	now = boot_now();
	wait_ms = until_ns <= now ? 0 : (until_ns - now) / 1000000 + 1;
	if (poll(polled, brokers->count, wait_ms < LONGEST_WAIT_MS ? wait_ms : LONGEST_WAIT_MS) <=
	    0)
		return;
	now = boot_now();
	for (size_t i = 0; i < brokers->count; i++) {
		if (polled[i].revents)
			broker_handle(&brokers->item[i], polled[i].revents & ~POLLOUT,
				      polled[i].revents & POLLOUT, now);
	}
}
