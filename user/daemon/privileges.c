/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * privileges.c - capabilities.
 */
#include "user/daemon/privileges.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/filter.h"
#include "user/daemon/host.h"

const struct privilege privileges[] = {
	{CAP_BPF, "CAP_BPF", true, "the tables of a policy that is applied are fresh maps"},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", true,
	 "what was detached is attached again; others' programs are listed; sock_diag ends "
	 "sockets"},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", true,
	 "setns: the sockets of a cut end in the network namespaces of containers too; at the "
	 "start, what the maps of another build look like"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", true,
	 "/proc/PID/ns/net of another user's process leads to its network namespace"},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", true,
	 "who owns a cgroup cannot hide what is in it from a cut"},
	{CAP_PERFMON, "CAP_PERFMON", false, "loading programs that read kernel structures"},
	{CAP_CHOWN, "CAP_CHOWN", false, "the control socket goes to the group weir"},
};
const size_t privilege_count = sizeof(privileges) / sizeof(privileges[0]);

static uint64_t mask_of(bool only_what_stays)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < privilege_count; i++) {
		if (privileges[i].stays || !only_what_stays)
			mask |= UINT64_C(1) << privileges[i].capability;
	}
	return mask;
}

/* Of the calling thread alone: capget(2), capset(2). glibc has no functions for them. */
static int read_sets(struct __user_cap_header_struct *head,
		     struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3])
{
	*head = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capget, head, data) < 0 ? -errno : 0;
}

static int keep_only(uint64_t mask)
{
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int r = read_sets(&head, data);

	if (r < 0)
		return r;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(mask >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static bool has(const struct __user_cap_data_struct *data, int capability)
{
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

static const char *name_of(int capability)
{
	size_t i = 0;

	while (privileges[i].capability != capability)
		i++;
	return privileges[i].name;
}

/* Without CAP_SETPCAP it stays as the service manager has set it; no program is run anyway. */
static int bound_to(uint64_t mask)
{
	for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++) {
		if (!(mask >> i & 1) && prctl(PR_CAPBSET_DROP, i) < 0 && errno != EPERM)
			return -errno;
	}
	return 0;
}

int privileges_limit(char **problem)
{
	int r = bound_to(mask_of(true));

	if (r == 0 && (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		r = -errno;
	if (r == 0)
		r = keep_only(mask_of(false));
	if (r < 0)
		return tell_problem(problem, r, "cannot give up capabilities: %s", strerror(-r));
	return 0;
}

void privileges_blame(char **problem)
{
	/* CAP_SYS_ADMIN stands for the others, and to newer kernels for CAP_NET_ADMIN too */
	static const struct {
		int capability;
		bool is_in_sys_admin;
	} loading[] = {{CAP_BPF, true}, {CAP_NET_ADMIN, false}, {CAP_PERFMON, true}};
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (read_sets(&head, data) < 0)
		return;
	for (size_t i = 0; i < sizeof(loading) / sizeof(loading[0]) && *problem; i++) {
		_cleanup_free_ char *before = NULL;

		if (has(data, loading[i].capability) ||
		    (loading[i].is_in_sys_admin && has(data, CAP_SYS_ADMIN)))
			continue;
		before = TAKE_PTR(*problem);
		tell_problem(problem, 0, "%s; %s is missing", before,
			     name_of(loading[i].capability));
	}
}

int privileges_drop(bool *is_filtered, char **problem)
{
	int r = keep_only(mask_of(true));

	if (r < 0)
		return tell_problem(problem, r,
				    "cannot give up capabilities (the guard stays on): %s",
				    strerror(-r));
	r = filter_install();
	if (r < 0 && r != -EOPNOTSUPP)
		return tell_problem(problem, r,
				    "cannot filter system calls (the guard stays on): %s",
				    strerror(-r));
	*is_filtered = r == 0;
	return 0;
}

/* ---- what the kernel says -------------------------------------------------------------------- */

/* A line of /proc/PID/status: "CapEff:\t000000c000001000". */
static const char *line_of(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line ? line + strlen(key) : "";
}

void privileges_put(bool is_filtered, struct json_out *reply)
{
	_cleanup_free_ char *status = NULL;
	uint64_t effective, had;
	size_t length;

	if (file_read("/proc/thread-self/status", 1 << 16, &status, &length) < 0) {
		json_put_null(reply, "privileges");
		return;
	}
	effective = strtoull(line_of(status, "\nCapEff:"), NULL, 16);
	had = effective;
	json_open(reply, "privileges", '{');
	json_open(reply, "capabilities", '[');
	for (size_t i = 0; i < privilege_count; i++) {
		if (effective >> privileges[i].capability & 1)
			json_put_text(reply, NULL, privileges[i].name);
		effective &= ~(UINT64_C(1) << privileges[i].capability);
	}
	json_close(reply, ']');
	json_open(reply, "lacks", '[');
	for (size_t i = 0; i < privilege_count; i++) {
		if (privileges[i].stays && !(had >> privileges[i].capability & 1))
			json_put_text(reply, NULL, privileges[i].name);
	}
	json_close(reply, ']');
	json_put_bool(reply, "has_others", effective != 0);
	json_put_bool(reply, "no_new_privileges",
		      strtol(line_of(status, "\nNoNewPrivs:"), NULL, 10) == 1);
	json_put_bool(reply, "system_calls_filtered",
		      is_filtered && strtol(line_of(status, "\nSeccomp:"), NULL, 10) == 2);
	json_close(reply, '}');
}
