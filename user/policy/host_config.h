/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * host_config.h - /etc/weir/host.yaml: what belongs to the host and not to the policy.
 *
 *	weir: 1
 *	uplinks: [eth0]			left out: every interface but loopback, also later ones;
 *					named: waited for
 *	groups: [hub, berlin]		that orders and policies for some hosts name
 *	sinks: [file, journald]		where events go; file always
 *	without_guard: fallback		what stands in for a guard that cannot be loaded
 */
#ifndef WEIR_HOST_CONFIG_H
#define WEIR_HOST_CONFIG_H

#include "user/policy/policy.h"

#define HOST_CONFIG_PATH "/etc/weir/host.yaml"

/* Where events go beside the file that `weir events` reads. */
enum host_sink { HOST_SINK_FILE, HOST_SINK_STDOUT, HOST_SINK_JOURNALD };

/* See ruleset.h. Left out: fallback. */
enum without_guard { WITHOUT_GUARD_FALLBACK, WITHOUT_GUARD_CLOSED, WITHOUT_GUARD_OPEN };

struct host_config {
	bool is_there; /* there is such a file */
	struct names uplinks;
	struct names groups;
	enum host_sink sink;
	enum without_guard without_guard;
};

const char *without_guard_name(enum without_guard mode); /* fallback, closed, open */

/*
 * 0, also when there is no such file (is_there stays false); -EBADMSG with `faults`, which need
 * `sources` to be printed; -errno. All three are to be freed in each case; start from all zero.
 */
int host_config_load(const char *path, struct host_config *config, struct sources *sources,
		     struct faults *faults);
/* The same from a text that is there. */
int host_config_read(const struct sources *sources, struct host_config *config,
		     struct faults *faults);
void host_config_free(struct host_config *config);

#endif
