/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* push.c - `weir push FILE`: a signed order to all hosts, over the brokers. */
#include "user/cmd/fleet_exec.h"

static int run(const struct arguments *arguments)
{
	return fleet_exec(arguments, "push");
}

const struct command command_push = {
	.name = "push",
	.arguments = "FILE",
	.help = "Send a signed order to the hosts it is for, and wait until they have it",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--config", "FILE", "brokers and hosts (left out: /etc/weir/fleet.yaml)",
			 false},
			{"--timeout", "SPAN", "how long to wait (left out: 30s)", false},
			{"--dry-run", NULL,
			 "tell what it says and which hosts it would reach, and send nothing",
			 false},
			{"--over", "COMMAND",
			 "dry run of a cut: ask each host what it would do, through COMMAND HOST: "
			 "ssh, say",
			 false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
