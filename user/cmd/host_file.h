/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * host_file.h - the host's configuration, for the commands that read it.
 */
#ifndef WEIR_HOST_FILE_H
#define WEIR_HOST_FILE_H

#include "user/cmd/cmd.h"
#include "user/policy/host_config.h"

/*
 * `path` NULL: HOST_CONFIG_PATH, which may be missing; one that was named may not. CMD_DONE, or
 * CMD_REFUSED after each fault was told on stderr. To be freed in each case.
 */
int host_file_read(const struct arguments *arguments, const char *path, struct host_config *config);

#endif
