/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * own.c - the caller's own SSH connection.
 *
 * An accepted socket stays in the cgroup of its listener, wherever pam_systemd moves the session:
 * so the service is that of the sshd that listens, and not that of the shell.
 */
#include "user/cmd/own.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"

enum { DEEPEST = 64, LONGEST = 65536 };

static char *read_proc(pid_t pid, const char *name)
{
	char path[64], *text;
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return file_read(path, LONGEST, &text, &length) < 0 ? NULL : text;
}

/* From /proc/PID/stat: "PID (comm) S PPID ..."; the name may hold spaces and brackets. */
static pid_t parent_of(pid_t pid, char comm[32])
{
	_cleanup_free_ char *text = read_proc(pid, "stat");
	char *open = text ? strchr(text, '(') : NULL, *close = text ? strrchr(text, ')') : NULL;
	pid_t parent;

	if (!open || !close || sscanf(close + 1, " %*c %d", &parent) != 1)
		return 0;
	snprintf(comm, 32, "%.*s", (int)(close - open - 1), open + 1);
	return parent;
}

static pid_t outermost_sshd(void)
{
	pid_t pid = getpid(), found = 0;
	char comm[32];

	for (int i = 0; i < DEEPEST && pid > 0; i++) {
		pid_t parent = parent_of(pid, comm);

		if (strncmp(comm, "sshd", 4) == 0)
			found = pid;
		pid = parent;
	}
	return found;
}

/* The line of the v2 hierarchy: "0::/system.slice/ssh.service". */
static char *cgroup_of(pid_t pid)
{
	_cleanup_free_ char *text = read_proc(pid, "cgroup");
	char *line = text;

	if (line && strncmp(line, "0::", 3) != 0) {
		line = strstr(line, "\n0::");
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return NULL;
	line += 3;
	return strndup(line, strcspn(line, "\n"));
}

json_object *own_connection(void)
{
	const char *connection = getenv("SSH_CONNECTION");
	_cleanup_free_ char *cgroup = NULL;
	json_object *own;
	char peer[64];
	pid_t sshd;
	int port;

	if (!connection || sscanf(connection, "%63s %*s %*s %d", peer, &port) != 2)
		return NULL;
	sshd = outermost_sshd();
	cgroup = sshd ? cgroup_of(sshd) : NULL;
	if (!cgroup)
		return NULL;
	own = json_object_new_object();
	json_object_object_add(own, "peer", json_object_new_string(peer));
	json_object_object_add(own, "port", json_object_new_int(port));
	json_object_object_add(own, "cgroup", json_object_new_string(cgroup));
	return own;
}
