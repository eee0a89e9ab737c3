/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * filter.c - the tables of what stays open, and the filter made of them.
 *
 * What is not listed does not exist: ENOSYS, since a C library that is newer than this list then
 * takes the older call. Arguments are compared as the kernel reads them: 32 bits of a command.
 */
#include "user/daemon/filter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/base/sanitized.h"

/* libseccomp's name for a kernel that knows all that is used here (4.14): TSYNC, log, kill process.
 */
enum { LEAST_API = 3 };

/* Above the last command that any kernel has: those in between are refused by number. */
enum { BPF_COMMANDS = 64 };

const struct filter_command filter_commands[] = {
	{BPF_MAP_CREATE, "apply: the tables of a policy; unload: a grace period"},
	{BPF_MAP_LOOKUP_ELEM, "status, latches, forgiving"},
	{BPF_MAP_UPDATE_ELEM, "apply, cut and reopen: tables, heads, switching slots"},
	{BPF_MAP_DELETE_ELEM, "an old policy's tries, where they have no batches"},
	{BPF_MAP_GET_NEXT_KEY, "an old policy's tries: is there more?"},
	{BPF_MAP_LOOKUP_BATCH, "meters, orders, cgroups; an old policy's tries"},
	{BPF_MAP_UPDATE_BATCH, "apply, cut: tables"},
	{BPF_MAP_DELETE_BATCH, "an old policy's tries"},
	{BPF_OBJ_PIN, "a removed pin is put back"},
	{BPF_OBJ_GET, "pins are read back each second"},
	{BPF_OBJ_GET_INFO_BY_FD, "what is attached where, and by which id"},
	{BPF_PROG_QUERY, "others' programs at the guarded cgroup"},
	{BPF_PROG_GET_FD_BY_ID, "their names"},
	{BPF_PROG_TEST_RUN, "meters reset: the program that forgives, loaded before"},
	{BPF_LINK_CREATE, "what was detached, and an interface that comes, gets its program"},
	{BPF_LINK_UPDATE, "a replaced program is put back"},
	{BPF_LINK_DETACH, "unload"},
	{BPF_ITER_CREATE, "ending sockets"},
};
const size_t filter_command_count = sizeof(filter_commands) / sizeof(filter_commands[0]);

/* Names of calls, and what makes them. */
struct calls {
	const char *names;
	const char *why;
};

static const struct calls open_calls[] = {
	{"brk madvise mremap munmap", "memory; none of it executable: add_memory()"},
	{"access faccessat faccessat2 fstat fstatfs lstat newfstatat stat statfs statx",
	 "files: state, events, pins, policy, /proc, /sys, the cgroup hierarchy"},
	{"close fadvise64 fallocate fchmod fchmodat fcntl fdatasync flock fsync ftruncate getcwd "
	 "getdents64 lseek open openat pread64 pwrite64 read readlink readlinkat readv umask write "
	 "writev",
	 "the same"},
	{"link linkat mkdir mkdirat rename renameat renameat2 rmdir unlink unlinkat",
	 "state that replaces state; pins"},
	{"name_to_handle_at", "the id of a cgroup"},
	{"epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait poll ppoll", "waiting"},
	{"clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep restart_syscall time "
	 "timerfd_settime",
	 "time, which nothing sets"},
	{"accept4 bind connect getsockname getsockopt listen recvfrom recvmsg sendmsg sendto "
	 "setsockopt shutdown",
	 "the control socket, the service manager, netlink: add_sockets()"},
	{"exit exit_group futex membarrier rseq sched_yield set_robust_list",
	 "threads: add_threads()"},
	{"rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack", "signals"},
	{"getcpu getpid getrandom gettid getuid sched_getaffinity sysinfo uname",
	 "what a C library asks for by itself"},
};

/* No part of weir makes them, and no library on its behalf. */
static const struct calls hostile_calls[] = {
	{"execve execveat", "another program"},
	{"ptrace process_vm_readv process_vm_writev", "another process"},
	{"init_module finit_module delete_module kexec_load kexec_file_load reboot perf_event_open",
	 "the kernel"},
	{"umount2 move_mount fsmount open_tree pivot_root chroot unshare open_by_handle_at",
	 "another view of the files"},
};

/* A name that this libseccomp does not know is a call that this program cannot mean. */
static int add_call(scmp_filter_ctx filter, uint32_t action, const char *from, size_t length)
{
	char name[32];
	int number;

	snprintf(name, sizeof(name), "%.*s", (int)length, from);
	number = seccomp_syscall_resolve_name(name);
	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, number, 0);
}

static int add_calls(scmp_filter_ctx filter, uint32_t action, const struct calls *calls,
		     size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count; i++) {
		const char *name = calls[i].names;

		while (*name && r == 0) {
			size_t length = strcspn(name, " ");

			r = add_call(filter, action, name, length);
			name += length + (name[length] == ' ');
		}
	}
	return r;
}

/* `call` is open when argument `which` has `value` under `mask`. */
static int add_when(scmp_filter_ctx filter, uint32_t action, int call, unsigned which,
		    uint64_t mask, uint64_t value)
{
	const struct scmp_arg_cmp compare = {which, SCMP_CMP_MASKED_EQ, mask, value};

	return seccomp_rule_add_array(filter, action, call, 1, &compare);
}

static int allow_when(scmp_filter_ctx filter, int call, unsigned which, uint32_t value)
{
	return add_when(filter, SCMP_ACT_ALLOW, call, which, UINT32_MAX, value);
}

static bool is_open(int command)
{
	for (size_t i = 0; i < filter_command_count; i++) {
		if (filter_commands[i].command == command)
			return true;
	}
	return false;
}

static int add_bpf(scmp_filter_ctx filter)
{
	int r = 0;

	for (int command = 0; command < BPF_COMMANDS && r == 0; command++)
		r = add_when(filter, is_open(command) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM),
			     SCMP_SYS(bpf), 0, UINT32_MAX, command);
	return r;
}

static int add_memory(scmp_filter_ctx filter)
{
	const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0; i++) {
		r = add_when(filter, SCMP_ACT_ALLOW, calls[i], 2, PROT_EXEC, 0);
		if (r == 0)
			r = add_when(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 2, PROT_EXEC,
				     PROT_EXEC);
	}
	return r;
}

/* No socket that reaches another host. */
static int add_sockets(scmp_filter_ctx filter)
{
	int r = allow_when(filter, SCMP_SYS(socket), 0, AF_UNIX);

	if (r == 0)
		r = allow_when(filter, SCMP_SYS(socket), 0, AF_NETLINK);
	if (r == 0)
		r = allow_when(filter, SCMP_SYS(ioctl), 1, SIOCGIFINDEX);
	if (r == 0) /* stdout: is it a terminal? */
		r = allow_when(filter, SCMP_SYS(ioctl), 1, TCGETS);
	return r;
}

/* Has its flags where a filter cannot look; without it glibc takes clone(). */
static const char clone3[] = "clone3";

/* Threads, no processes. Signals to itself, as abort() sends them. */
static int add_threads(scmp_filter_ctx filter)
{
	int r = add_when(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 0,
			 CLONE_THREAD | CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID,
			 CLONE_THREAD);

	if (r == 0) /* refused by add_clone3() */
		r = add_call(filter, SCMP_ACT_ALLOW, clone3, strlen(clone3));
	if (r == 0)
		r = allow_when(filter, SCMP_SYS(setns), 1, CLONE_NEWNET);
	if (r == 0)
		r = allow_when(filter, SCMP_SYS(tgkill), 0, getpid());
	if (r == 0) /* reading limits, not setting them */
		r = add_when(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, UINT64_MAX, 0);
	return r;
}

/* bpffs, should somebody unmount it: exactly as pins_create() does (user/kernel/pins.c). */
static int add_mount(scmp_filter_ctx filter)
{
	return allow_when(filter, SCMP_SYS(mount), 3, MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

static int add_all(scmp_filter_ctx filter)
{
	/* what is refused is logged; found in few steps among many */
	int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);

	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0) /* 32-bit calls have other numbers */
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = add_calls(filter, SCMP_ACT_ALLOW, open_calls,
			      sizeof(open_calls) / sizeof(open_calls[0]));
	if (r == 0)
		r = add_calls(filter, SCMP_ACT_KILL_PROCESS, hostile_calls,
			      sizeof(hostile_calls) / sizeof(hostile_calls[0]));
	if (r == 0)
		r = add_bpf(filter);
	if (r == 0)
		r = add_memory(filter);
	if (r == 0)
		r = add_sockets(filter);
	if (r == 0)
		r = add_threads(filter);
	if (r == 0)
		r = add_mount(filter);
	return r;
}

/* A filter of its own, and not logged: glibc asks for each thread anew. */
static int add_clone3(scmp_filter_ctx filter)
{
	return add_call(filter, SCMP_ACT_ERRNO(ENOSYS), clone3, strlen(clone3));
}

/* On all threads at once. Of several filters the strictest answer counts. */
static int load(uint32_t otherwise, int (*add)(scmp_filter_ctx filter))
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int r;

	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = add(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int filter_install(void)
{
	int r;

	if (IS_SANITIZED || seccomp_api_get() < LEAST_API)
		return -EOPNOTSUPP;
	r = load(SCMP_ACT_ALLOW, add_clone3);
	return r < 0 ? r : load(SCMP_ACT_ERRNO(ENOSYS), add_all);
}
