/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * run.c - `weir run`: the daemon, in the foreground.
 */
#include <string.h>

#include "user/base/cleanup.h"
#include "user/cmd/cmd.h"
#include "user/daemon/run.h"

static int run(const struct arguments *arguments)
{
	_cleanup_free_ char *problem = NULL;
	_cleanup_free_ char **uplinks = calloc(arguments->given_count + 1, sizeof(*uplinks));
	struct run_options options = {
		.instance = arguments->instance,
		.policy_file = arguments_value(arguments, "--policy"),
		.cgroup = arguments_value(arguments, "--cgroup"),
		.uplinks = uplinks,
		.observe = arguments_has(arguments, "--observe"),
	};
	const char *name;
	int r;

	if (!uplinks)
		return command_refuse(arguments, "out of memory");
	while ((name = arguments_nth(arguments, "--uplink", options.uplink_count)) != NULL)
		uplinks[options.uplink_count++] = (char *)name;
	r = daemon_run(&options, &problem);
	if (r == 0)
		return CMD_DONE;
	return command_refuse(arguments, "%s", problem ? problem : strerror(-r));
}

const struct command command_run = {
	.name = "run",
	.arguments = "",
	.help = "Guard the host: load the guard or take over the one that is on, then stay",
	.options =
		{
			{"--policy", "FILE", "what to apply when nothing was applied yet", false},
			{"--cgroup", "DIR", "guard what is below it (left out: all)", false},
			{"--uplink", "IFACE", "drop there what a cut partner sends", true},
			{"--observe", NULL, "judge and record, refuse nothing but cuts", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
