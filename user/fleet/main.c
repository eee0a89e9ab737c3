/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * main.c - weir-fleet: what speaks to brokers, in a program of its own, so that the daemon and the
 * commands that give orders have nothing of MQTT in them. `weir agent`, `weir push` and `weir
 * fleet` check what was given and become it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/fleet/agent_each.h"
#include "user/fleet/options.h"
#include "user/fleet/push_run.h"
#include "user/fleet/status.h"

static int agent(const struct fleet_config *config, const struct fleet_options *options)
{
	_cleanup_free_ char *problem = NULL;
	int r;

	if (!config->host.text) {
		fprintf(stderr, "%s: an agent needs \"host\" and \"key\"\n", options->config);
		return FLEET_REFUSED;
	}
	r = agent_each(config, options->instance, &problem);
	if (r < 0)
		fprintf(stderr, "weir agent: %s\n", problem ? problem : strerror(-r));
	return r < 0 ? FLEET_REFUSED : FLEET_DONE;
}

static const struct verb {
	const char *name, *called; /* as people call it */
	int (*run)(const struct fleet_config *config, const struct fleet_options *options);
	bool takes_file;
} verbs[] = {
	{"agent", "agent", agent, false},
	{"push", "push", push_run, true},
	{"status", "fleet", status_run, false},
};

enum option_number { CONFIG = 1, INSTANCE, TIMEOUT, DRY_RUN, OVER, JSON };

static const struct option long_options[] = {
	{"config", required_argument, NULL, CONFIG},
	{"instance", required_argument, NULL, INSTANCE},
	{"timeout", required_argument, NULL, TIMEOUT},
	{"dry-run", no_argument, NULL, DRY_RUN},
	{"over", required_argument, NULL, OVER},
	{"json", no_argument, NULL, JSON},
	{NULL, 0, NULL, 0},
};

/* False: told. */
static bool take_option(int number, const char *value, struct fleet_options *options,
			const struct verb *verb)
{
	switch (number) {
	case CONFIG:
		options->config = value;
		return true;
	case INSTANCE:
		options->instance = value;
		return true;
	case TIMEOUT:
		if (span_parse(value, &options->timeout_ns) == 0 && options->timeout_ns)
			return true;
		fprintf(stderr, "weir %s: --timeout: %s is no span of time: 30s, 5m\n",
			verb->called, value);
		return false;
	case DRY_RUN:
		options->is_dry_run = true;
		return true;
	case OVER:
		options->over = value;
		return true;
	case JSON:
		options->as_json = true;
		return true;
	}
	return false; /* getopt_long() has told */
}

static bool read_options(int argc, char **argv, const struct verb *verb,
			 struct fleet_options *options)
{
	int number;

	*options = (struct fleet_options){.config = FLEET_CONFIG_PATH, .instance = "host"};
	while ((number = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (!take_option(number, optarg, options, verb))
			return false;
	}
	options->file = argv[optind];
	if (options->over && !options->is_dry_run) {
		fprintf(stderr,
			"weir %s: --over belongs to --dry-run: an order goes over the "
			"brokers\n",
			verb->called);
		return false;
	}
	return !verb->takes_file || options->file;
}

static int run(const struct verb *verb, const struct fleet_options *options)
{
	struct fleet_config config = {0};
	struct sources sources = {0};
	struct faults faults = {0};
	int r = fleet_config_load(options->config, &config, &sources, &faults), code;

	if (faults.count)
		faults_print(&faults, &sources, stderr);
	else if (r < 0)
		fprintf(stderr, "weir %s: %s: %s\n", verb->called, options->config, strerror(-r));
	code = r < 0 ? FLEET_REFUSED : verb->run(&config, options);
	fleet_config_free(&config);
	sources_free(&sources);
	faults_free(&faults);
	return code;
}

int main(int argc, char **argv)
{
	struct fleet_options options;

	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, argv[1]) != 0)
			continue;
		if (!read_options(argc - 1, argv + 1, &verbs[i], &options))
			return FLEET_USAGE;
		return run(&verbs[i], &options);
	}
	fputs("usage: weir agent | weir push FILE | weir fleet status (weir-fleet is run by "
	      "them)\n",
	      stderr);
	return FLEET_USAGE;
}
