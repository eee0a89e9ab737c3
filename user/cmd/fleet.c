/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* fleet.c - `weir fleet status`: how the hosts are, as they say it over the brokers. */
#include <string.h>

#include "user/cmd/fleet_exec.h"

static int run(const struct arguments *arguments)
{
	if (strcmp(arguments->item[0], "status") != 0)
		return command_usage(arguments, "%s: status", arguments->item[0]);
	return fleet_exec(arguments, "status");
}

const struct command command_fleet = {
	.name = "fleet",
	.arguments = "status",
	.help = "Tell which hosts have which orders, and which are late",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--config", "FILE", "brokers and hosts (left out: /etc/weir/fleet.yaml)",
			 false},
			{"--timeout", "SPAN", "how long to wait for the brokers (left out: 10s)",
			 false},
			{"--json", NULL, "as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
