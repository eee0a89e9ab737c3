/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * own.h - the caller's own SSH connection, as far as it can be known.
 */
#ifndef WEIR_OWN_H
#define WEIR_OWN_H

#include <json-c/json.h>

/*
 * {"peer":...,"port":...,"cgroup":...}: from SSH_CONNECTION, and the cgroup of the outermost sshd
 * among this process's ancestors, which is its listener's. NULL when this is no SSH session.
 */
json_object *own_connection(void);

#endif
