/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* options.h - what weir-fleet was started with, by `weir` (user/cmd/fleet_exec.c). */
#ifndef WEIR_FLEET_OPTIONS_H
#define WEIR_FLEET_OPTIONS_H

#include "user/fleet/config.h"

struct fleet_options {
	const char *config;   /* path */
	const char *instance; /* of the daemon */
	const char *file;     /* the order; "-": standard input */
	uint64_t timeout_ns;  /* 0: not given */
	bool is_dry_run;
	const char *over; /* of a dry run: what reaches a host (asking.h); NULL: none is asked */
	bool as_json;
};

/* Exit codes, as user/cmd/cmd.h has them. */
enum { FLEET_DONE = 0, FLEET_REFUSED = 1, FLEET_USAGE = 2 };

#endif
