/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * run.c - `weir run`: the daemon, in the foreground.
 */
#include <net/if.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/cmd/cmd.h"
#include "user/cmd/host_file.h"
#include "user/daemon/run.h"

/* Every interface but loopback, as far as they are there now: the daemon attaches later ones. */
static int take_any(struct run_options *options, struct if_nameindex *list)
{
	size_t count = 0;
	char **names;

	while (list[count].if_index)
		count++;
	names = calloc(count + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	free(options->uplinks);
	options->uplinks = names;
	options->uplink_count = 0;
	options->any_uplink = true;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].if_name, "lo") != 0)
			names[options->uplink_count++] = list[i].if_name;
	}
	return 0;
}

static bool wants_any(const struct run_options *options)
{
	for (size_t i = 0; i < options->uplink_count; i++) {
		if (strcmp(options->uplinks[i], "any") == 0)
			return true;
	}
	return false;
}

/* Those of the command line, which must be there; else those of the host's configuration, which at
 * a boot may still have to be made. Where there is one that names none, every interface is an
 * uplink; where there is none, none is. */
static int choose_uplinks(const struct arguments *arguments, const struct host_config *config,
			  struct run_options *options, struct if_nameindex *list)
{
	size_t most = arguments->given_count + config->uplinks.count + 1;
	const char *name;

	options->uplinks = calloc(most, sizeof(char *));
	if (!options->uplinks)
		return -ENOMEM;
	while ((name = arguments_nth(arguments, "--uplink", options->uplink_count)) != NULL)
		options->uplinks[options->uplink_count++] = (char *)name;
	if (options->uplink_count)
		return wants_any(options) ? take_any(options, list) : 0;
	for (size_t i = 0; i < config->uplinks.count; i++)
		options->uplinks[options->uplink_count++] = config->uplinks.item[i].text;
	options->waits_for_uplinks = true;
	return config->is_there && !options->uplink_count ? take_any(options, list) : 0;
}

static int guard_host(const struct arguments *arguments, const struct host_config *config)
{
	_cleanup_free_ char *problem = NULL;
	struct run_options options = {
		.instance = arguments->instance,
		.policy_file = arguments_value(arguments, "--policy"),
		.cgroup = arguments_value(arguments, "--cgroup"),
		.observe = arguments_has(arguments, "--observe"),
		.config = config,
	};
	struct if_nameindex *list = if_nameindex();
	int r = list ? choose_uplinks(arguments, config, &options, list) : -ENOMEM;

	if (r == 0)
		r = daemon_run(&options, &problem);
	if (list)
		if_freenameindex(list);
	free(options.uplinks);
	if (r == 0)
		return CMD_DONE;
	return command_refuse(arguments, "%s", problem ? problem : strerror(-r));
}

static int run(const struct arguments *arguments)
{
	struct host_config config = {0};
	int code = host_file_read(arguments, arguments_value(arguments, "--host"), &config);

	if (code == CMD_DONE)
		code = guard_host(arguments, &config);
	host_config_free(&config);
	return code;
}

const struct command command_run = {
	.name = "run",
	.arguments = "",
	.help = "Guard the host: load the guard or take over the one that is on, then stay",
	.options =
		{
			{"--policy", "FILE", "what to apply when nothing was applied yet", false},
			{"--host", "FILE",
			 "the host's configuration (left out: " HOST_CONFIG_PATH ")", false},
			{"--cgroup", "DIR", "guard what is below it (left out: all)", false},
			{"--uplink", "IFACE",
			 "drop there what a cut partner sends; any: every interface but lo", true},
			{"--observe", NULL, "judge and record, refuse nothing but cuts", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
