/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* confine.c - what the agent gives up before it speaks to a broker. */
#include "user/fleet/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "user/base/sanitized.h"
#include "user/fleet/problem.h"

/* libseccomp's name for a kernel that can kill the process and log (4.14). */
enum { LEAST_API = 3 };

/* The largest order is in memory several times over while it is handed in: as it came, kept, and as
 * a request. What a broker announces beyond that is refused by malloc(). */
static const rlim_t most_memory = (rlim_t)768 << 20;

static const char open_calls[] =
	"brk madvise mremap munmap "
	"access close faccessat faccessat2 fcntl fstat lseek lstat newfstatat pread64 read "
	"readlink "
	"readv stat statx write writev "
	"bind connect getpeername getsockname getsockopt pipe2 recvfrom recvmsg sendmmsg sendmsg "
	"sendto setsockopt shutdown socketpair "
	"poll ppoll pselect6 select "
	"clock_gettime clock_nanosleep gettimeofday nanosleep restart_syscall time "
	"exit exit_group futex membarrier rseq sched_yield set_robust_list "
	"rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack "
	"getcpu getegid geteuid getgid getpid getrandom gettid getuid sysinfo uname";

static const char hostile_calls[] = "execve execveat ptrace process_vm_readv process_vm_writev "
				    "init_module finit_module kexec_load bpf mount umount2 unshare "
				    "setns chroot pivot_root";

static int add_calls(scmp_filter_ctx filter, uint32_t action, const char *names)
{
	int r = 0;

	while (*names && r == 0) {
		size_t length = strcspn(names, " ");
		char name[32];
		int number;

		snprintf(name, sizeof(name), "%.*s", (int)length, names);
		number = seccomp_syscall_resolve_name(name);
		if (number != __NR_SCMP_ERROR)
			r = seccomp_rule_add(filter, action, number, 0);
		names += length + (names[length] == ' ');
	}
	return r;
}

/* Open when argument `which` has `value` under `mask`. */
static int add_when(scmp_filter_ctx filter, int call, unsigned int which, uint64_t mask,
		    uint64_t value)
{
	const struct scmp_arg_cmp compare = {which, SCMP_CMP_MASKED_EQ, mask, value};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare);
}

/* No memory is executable, no file is written, no socket is of another kind. */
static int add_bounded(scmp_filter_ctx filter)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK /* getaddrinfo() */};
	const int writing = O_ACCMODE | O_CREAT | O_TRUNC;
	int r = add_when(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);

	if (r == 0)
		r = add_when(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	if (r == 0)
		r = add_when(filter, SCMP_SYS(openat), 2, writing, O_RDONLY);
	if (r == 0)
		r = add_when(filter, SCMP_SYS(open), 1, writing, O_RDONLY);
	if (r == 0) /* abort() */
		r = add_when(filter, SCMP_SYS(tgkill), 0, UINT32_MAX, getpid());
	if (r == 0) /* reading limits, not setting them */
		r = add_when(filter, SCMP_SYS(prlimit64), 2, UINT64_MAX, 0);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r == 0; i++)
		r = add_when(filter, SCMP_SYS(socket), 0, UINT32_MAX, families[i]);
	return r;
}

static int add_all(scmp_filter_ctx filter)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);

	if (r == 0) /* 32-bit calls have other numbers */
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = add_calls(filter, SCMP_ACT_ALLOW, open_calls);
	if (r == 0)
		r = add_calls(filter, SCMP_ACT_KILL_PROCESS, hostile_calls);
	return r == 0 ? add_bounded(filter) : r;
}

/* What is not listed does not exist: a C library that is newer than the list takes another call. */
static int filter_calls(bool *is_filtered)
{
	scmp_filter_ctx filter;
	int r;

	*is_filtered = false;
	if (IS_SANITIZED || seccomp_api_get() < LEAST_API)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!filter)
		return -ENOMEM;
	r = add_all(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	*is_filtered = r == 0;
	return r;
}

int confine_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &head, none) < 0)
		return -errno;
	return 0;
}

int confine(bool *is_filtered, char **problem)
{
	const struct rlimit memory = {most_memory, most_memory}, core = {0, 0};
	int r = 0;

	/* A sanitizer reserves far more than it uses. The key must not be in a core file. */
	if ((!IS_SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0) ||
	    setrlimit(RLIMIT_CORE, &core) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0)
		r = confine_capabilities();
	if (r < 0)
		return problem_set(problem, r, "cannot give up privileges: %s", strerror(-r));
	r = filter_calls(is_filtered);
	if (r < 0)
		return problem_set(problem, r, "cannot filter system calls: %s", strerror(-r));
	return 0;
}
