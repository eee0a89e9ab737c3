/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_privileges.c - what is closed to the daemon while it runs, tried in children that gave up
 * their privileges as it does. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "user/daemon/filter.h"
#include "user/daemon/privileges.h"

/* ---- a child that gave up what the daemon gives up ------------------------------------------- */

static int call_number; /* of the calls that take no argument that matters */

/* What `attempt` returned in the child; -1000 - N when signal N ended it. */
static int outcome(int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char *problem = NULL;
		bool is_filtered = false;

		if (privileges_limit(&problem) || privileges_drop(&is_filtered, &problem)) {
			fprintf(stderr, "%s\n", problem ? problem : "?");
			_exit(254);
		}
		_exit(is_filtered ? -attempt() & 0xff : 253);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return -1000 - WTERMSIG(status);
	assert_int_not_equal(WEXITSTATUS(status), 254);
	assert_int_not_equal(WEXITSTATUS(status), 253);
	return -WEXITSTATUS(status);
}

static int errno_of(long result)
{
	return result < 0 ? -errno : 0;
}

/* ---- bpf(2) ---------------------------------------------------------------------------------- */

static const struct bpf_insn pass[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
	{.code = BPF_JMP | BPF_EXIT},
};

static int load_program(void)
{
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
			       .insns = (uintptr_t)pass,
			       .insn_cnt = 2,
			       .license = (uintptr_t) "GPL"};

	return errno_of(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

static int map_by_id(void)
{
	return bpf_map_get_fd_by_id(1) < 0 ? -errno : 0;
}

static int try_number(void)
{
	union bpf_attr attr;

	/* of no use to any command: whatever is open fails in another way than by the filter */
	memset(&attr, 0xff, sizeof(attr));
	return errno_of(syscall(SYS_bpf, call_number, &attr, sizeof(attr)));
}

/* A trie, as an apply makes it, written and read. */
static int use_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "trie", 8, 4, 10, &options);
	uint32_t key[2] = {8, 10}, value = 7;

	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(fd, key, &value, BPF_ANY))
		return -errno;
	value = 0;
	if (bpf_map_lookup_elem(fd, key, &value))
		return -errno;
	return value == 7 ? 0 : -EIO;
}

static bool stays_open(int command)
{
	for (size_t i = 0; i < filter_command_count; i++)
		if (filter_commands[i].command == command)
			return true;
	return false;
}

static void test_bpf_commands(void **state)
{
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "pass", "GPL", pass, 2, NULL);

	(void)state;
	assert_true(fd >= 0); /* here it can be loaded */
	close(fd);
	assert_int_equal(outcome(load_program), -EPERM);
	assert_int_equal(outcome(map_by_id), -EPERM);
	assert_int_equal(outcome(use_map), 0);
	assert_false(stays_open(BPF_PROG_LOAD));
	assert_false(stays_open(BPF_BTF_LOAD));
	for (call_number = 0; call_number < 40; call_number++)
		assert_int_equal(outcome(try_number) == -EPERM, !stays_open(call_number));
}

/* ---- other calls ----------------------------------------------------------------------------- */

static int run_program(void)
{
	char *words[] = {"true", NULL};

	return errno_of(execv("/bin/true", words));
}

static int trace_parent(void)
{
	return errno_of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int make_number(void)
{
	return errno_of(syscall(call_number, 0, 0, 0, 0, 0));
}

#ifdef __x86_64__
/* 5 is open() there and fstat() here. */
static int call_of_32_bits(void)
{
	long result = 5;

	__asm__ volatile("int $0x80" : "+a"(result) : "b"(0), "c"(0), "d"(0) : "memory");
	return 0;
}
#endif

static void test_hostile_calls_end_the_process(void **state)
{
	static const int numbers[] = {SYS_init_module, SYS_delete_module,    SYS_process_vm_readv,
				      SYS_kexec_load,  SYS_umount2,	     SYS_unshare,
				      SYS_execveat,    SYS_open_by_handle_at};

	(void)state;
	assert_int_equal(outcome(run_program), -1000 - SIGSYS);
	assert_int_equal(outcome(trace_parent), -1000 - SIGSYS);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		call_number = numbers[i];
		assert_int_equal(outcome(make_number), -1000 - SIGSYS);
	}
#ifdef __x86_64__
	assert_true(outcome(call_of_32_bits) <= -1000); /* a kernel without them: SIGSEGV */
#endif
}

static int executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -errno
		       : 0;
}

static int memory_made_executable(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? -EIO : errno_of(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int internet_socket(void)
{
	return errno_of(socket(AF_INET, SOCK_STREAM, 0));
}

static int packet_socket(void)
{
	return errno_of(socket(AF_PACKET, SOCK_RAW, 0));
}

static int another_process(void)
{
	return errno_of(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static int another_process_anew(void)
{
	uint64_t args[11] = {[4] = SIGCHLD}; /* struct clone_args: exit_signal */

	return errno_of(syscall(SYS_clone3, args, sizeof(args)));
}

static int mounts_namespace(void)
{
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -EIO : errno_of(setns(fd, CLONE_NEWNS));
}

static int bind_mount(void)
{
	return errno_of(mount("/nowhere", "/nowhere", NULL, MS_BIND, NULL));
}

static int signal_to_parent(void)
{
	return errno_of(kill(getppid(), 0));
}

static int higher_limit(void)
{
	const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	return errno_of(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL));
}

static int terminal_input(void)
{
	char letter = 'x';

	return errno_of(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &letter));
}

static void test_refused_calls(void **state)
{
	static const int numbers[] = {SYS_io_uring_setup, SYS_userfaultfd, SYS_keyctl,
				      SYS_setuid,	  SYS_capset,	   SYS_chown,
				      SYS_settimeofday,	  SYS_pidfd_getfd};

	(void)state;
	assert_int_equal(outcome(executable_memory), -EPERM);
	assert_int_equal(outcome(memory_made_executable), -EPERM);
	assert_int_equal(outcome(internet_socket), -ENOSYS);
	assert_int_equal(outcome(packet_socket), -ENOSYS);
	assert_int_equal(outcome(another_process), -ENOSYS);
	assert_int_equal(outcome(another_process_anew), -ENOSYS);
	assert_int_equal(outcome(mounts_namespace), -ENOSYS);
	assert_int_equal(outcome(bind_mount), -ENOSYS);
	assert_int_equal(outcome(signal_to_parent), -ENOSYS);
	assert_int_equal(outcome(higher_limit), -ENOSYS);
	assert_int_equal(outcome(terminal_input), -ENOSYS);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		call_number = numbers[i];
		assert_int_equal(outcome(make_number), -ENOSYS);
	}
}

/* ---- what goes on ---------------------------------------------------------------------------- */

static void *enter_network(void *data)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), *result = data;

	*result = errno_of(setns(fd, CLONE_NEWNET));
	return NULL;
}

/* As guard_sever() does. */
static int thread_in_network(void)
{
	int result = -EIO;
	pthread_t thread;

	if (pthread_create(&thread, NULL, enter_network, &result))
		return -EAGAIN;
	pthread_join(thread, NULL);
	return result;
}

static int diagnosis_socket(void)
{
	return errno_of(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 4 /* NETLINK_SOCK_DIAG */));
}

static int abort_itself(void)
{
	abort();
}

static void test_what_goes_on(void **state)
{
	(void)state;
	assert_int_equal(outcome(thread_in_network), 0);
	assert_int_equal(outcome(diagnosis_socket), 0);
	assert_int_equal(outcome(abort_itself), -1000 - SIGABRT);
}

/* ---- threads that are there already ---------------------------------------------------------- */

static int go_pipe[2], thread_result;

static void *wait_and_load(void *data)
{
	char letter;

	(void)data;
	thread_result = read(go_pipe[0], &letter, 1) == 1 ? load_program() : -EIO;
	return NULL;
}

static int other_thread_loads(void)
{
	char *problem = NULL;
	bool is_filtered;
	pthread_t thread;

	if (pipe(go_pipe) || pthread_create(&thread, NULL, wait_and_load, NULL) ||
	    privileges_drop(&is_filtered, &problem) || !is_filtered ||
	    write(go_pipe[1], "x", 1) != 1)
		return -EIO;
	pthread_join(thread, NULL);
	return thread_result;
}

static void test_the_filter_is_on_all_threads(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(-other_thread_loads());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EPERM);
}

/* ---- capabilities ---------------------------------------------------------------------------- */

/* A line of /proc/self/status with a mask. */
static uint64_t mask_of(const char *key)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	uint64_t mask = UINT64_MAX;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			mask = strtoull(line + strlen(key), NULL, 16);
	if (file)
		fclose(file);
	return mask;
}

static uint64_t expected(bool only_what_stays)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < privilege_count; i++)
		if (privileges[i].stays || !only_what_stays)
			mask |= UINT64_C(1) << privileges[i].capability;
	return mask;
}

static int masks_after_dropping(void)
{
	uint64_t stays = expected(true);

	if (mask_of("CapEff:") != stays || mask_of("CapPrm:") != stays)
		return -1;
	if (mask_of("CapBnd:") != stays)
		return -2;
	if (mask_of("CapInh:") || mask_of("CapAmb:"))
		return -3;
	return mask_of("NoNewPrivs:") == 1 && mask_of("Seccomp:") == 2 ? 0 : -4;
}

static void test_capabilities(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(outcome(masks_after_dropping), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *problem = NULL;

		if (privileges_limit(&problem))
			_exit(1);
		_exit(mask_of("CapEff:") == expected(false) ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- when it cannot be done ------------------------------------------------------------------ */

static int without_capset(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	char *problem = NULL;
	bool is_filtered;

	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(capset), 0) ||
	    seccomp_load(filter))
		return 1;
	if (privileges_limit(&problem) != -EPERM || !problem)
		return 2;
	free(problem);
	problem = NULL;
	return privileges_drop(&is_filtered, &problem) == -EPERM && problem ? 0 : 3;
}

static void test_a_drop_that_fails_is_told(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(without_capset());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bpf_commands),
		cmocka_unit_test(test_hostile_calls_end_the_process),
		cmocka_unit_test(test_refused_calls),
		cmocka_unit_test(test_what_goes_on),
		cmocka_unit_test(test_the_filter_is_on_all_threads),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_a_drop_that_fails_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
