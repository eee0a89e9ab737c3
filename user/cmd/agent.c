/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent.c - `weir agent`: carries signed orders from the brokers to the daemon. */
#include "user/cmd/fleet_exec.h"

static int run(const struct arguments *arguments)
{
	return fleet_exec(arguments, "agent");
}

const struct command command_agent = {
	.name = "agent",
	.arguments = "",
	.help = "Carry signed orders from the brokers to the daemon, in the foreground",
	.options =
		{
			{"--config", "FILE", "brokers and keys (left out: /etc/weir/fleet.yaml)",
			 false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
