/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * without_guard.c - `weir without-guard`: what stands in for a guard that cannot be loaded. The
 * units call it; so may whoever wants to see it before it is needed.
 */
#include <errno.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/cmd/call.h"
#include "user/cmd/cmd.h"
#include "user/cmd/host_file.h"
#include "user/cmd/verbs.h"
#include "user/daemon/host.h"
#include "user/daemon/without_guard.h"
#include "user/kernel/guard.h"

/* A configuration with faults is no reason to be open. */
static void read_config(const struct arguments *arguments, struct host_config *config)
{
	if (host_file_read(arguments, arguments_value(arguments, "--host"), config) == CMD_DONE)
		return;
	host_config_free(config);
	config->without_guard = WITHOUT_GUARD_CLOSED;
}

static int refuse(const struct arguments *arguments, int error, const char *problem)
{
	return command_refuse(arguments, "%s", problem ? problem : strerror(-error));
}

/* A daemon that starts takes it off when it judges: it may have done so while this was made. */
static bool came_back(const struct arguments *arguments, struct host *host)
{
	_cleanup_free_ char *problem = NULL;

	return guard_is_judging(arguments->instance) && without_guard_off(host, &problem) == 0;
}

static int put_on(const struct arguments *arguments, struct host *host,
		  const struct host_config *config)
{
	_cleanup_free_ char *problem = NULL;
	struct stand_in stand_in;
	bool is_new;
	int r;

	if (guard_is_judging(arguments->instance)) {
		puts("the guard judges: nothing has to stand in for it");
		return CMD_DONE;
	}
	r = without_guard_on(host, config, &stand_in, &is_new, &problem);
	if (came_back(arguments, host)) {
		puts("the guard judges again: what stood in for it is off");
		return CMD_DONE;
	}
	if (r < 0)
		return command_refuse(arguments, "NO GUARD JUDGES, AND %s STANDS IN: %s",
				      stand_in_name(stand_in.mode),
				      problem ? problem : strerror(-r));
	fprintf(is_new ? stderr : stdout, "weir: NO GUARD JUDGES: %s stands in%s%s\n",
		stand_in_name(stand_in.mode), stand_in.why[0] ? ": " : "", stand_in.why);
	return CMD_DONE;
}

static int take_off(const struct arguments *arguments, struct host *host)
{
	_cleanup_free_ char *problem = NULL;
	int r;

	if (!guard_is_judging(arguments->instance) && !arguments_has(arguments, "--yes"))
		return command_refuse(arguments,
				      "no guard judges: without what stands in, everything "
				      "leaves; --yes if it shall");
	r = without_guard_off(host, &problem);
	if (r < 0 && r != -ENOENT)
		return refuse(arguments, r, problem);
	puts(r == 0 ? "what stood in for the guard is off" : "nothing stands in for the guard");
	return CMD_DONE;
}

static int show(const struct arguments *arguments, struct host *host,
		const struct host_config *config)
{
	_cleanup_free_ char *problem = NULL, *text = NULL;
	struct stand_in stand_in;
	size_t length;
	int r = without_guard_make(host, config, &stand_in, &text, &length, &problem);

	if (r < 0)
		return refuse(arguments, r, problem);
	if (stand_in.why[0])
		printf("# %s: %s\n", stand_in_name(stand_in.mode), stand_in.why);
	fwrite(text, 1, length, stdout);
	return CMD_DONE;
}

/* One at a time: units run it side by side. */
static int change(const struct arguments *arguments, struct host *host,
		  const struct host_config *config, bool on)
{
	_cleanup_close_ int lock = stand_in_lock(arguments->instance);

	if (lock < 0)
		return command_refuse(arguments, "cannot lock it: %s", strerror(-lock));
	return on ? put_on(arguments, host, config) : take_off(arguments, host);
}

static int run_verb(const struct arguments *arguments)
{
	const char *verb = arguments->item[0];
	bool on = strcmp(verb, "on") == 0, off = strcmp(verb, "off") == 0;
	_cleanup_free_ char *problem = NULL;
	struct host_config config = {0};
	struct host host;
	int r, code;

	if (!off)
		read_config(arguments, &config);
	r = host_init(&host, arguments->instance, on, &problem);
	if (r < 0)
		code = refuse(arguments, r, problem);
	else if (on || off)
		code = change(arguments, &host, &config, on);
	else
		code = show(arguments, &host, &config);
	host_close(&host);
	host_config_free(&config);
	return code;
}

static int run(const struct arguments *arguments)
{
	static const struct verb verbs[] = {
		{"on", run_verb, {"--host"}},
		{"off", run_verb, {"--yes"}},
		{"show", run_verb, {"--host"}},
	};

	return verbs_run(arguments, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

const struct command command_without_guard = {
	.name = "without-guard",
	.arguments = "on | off | show",
	.help = "Put what stands in for a guard that cannot be loaded in force, take it off, show "
		"it",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--host", "FILE",
			 "on, show: the host's configuration (left out: " HOST_CONFIG_PATH ")",
			 false},
			{"--yes", NULL, "off: also when no guard judges", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
