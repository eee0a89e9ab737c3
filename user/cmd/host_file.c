/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * host_file.c - the host's configuration, for the commands that read it.
 */
#include "user/cmd/host_file.h"

#include <errno.h>
#include <string.h>

int host_file_read(const struct arguments *arguments, const char *path, struct host_config *config)
{
	const char *name = path ? path : HOST_CONFIG_PATH;
	struct sources sources = {0};
	struct faults faults = {0};
	int r = host_config_load(name, config, &sources, &faults);

	if (r == 0 && path && !config->is_there)
		r = -ENOENT;
	if (r == -EBADMSG)
		faults_print(&faults, &sources, stderr);
	else if (r < 0)
		command_refuse(arguments, "%s: %s", name, strerror(-r));
	sources_free(&sources);
	faults_free(&faults);
	return r < 0 ? CMD_REFUSED : CMD_DONE;
}
