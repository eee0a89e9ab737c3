/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * probe.c - what this kernel can do, found by trying: never by its version, since distributions
 * backport. Nothing is attached, and all that is loaded goes away again.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include "user/base/array.h"
#include "sever.skel.h"
#include "weir.skel.h"

struct probe_list {
	struct probe *item;
	size_t count;
};

static void probe_list_free(struct probe_list *list)
{
	free(list->item);
}

/* `detail` NULL: the error's text. */
static int add(struct probe_list *list, const char *what, const char *why, bool is_required,
	       int err, const char *detail)
{
	struct probe *item = ARRAY_ADD(list->item, list->count);

	if (!item)
		return -ENOMEM;
	list->count++;
	item->what = what;
	item->why = why;
	item->is_required = is_required;
	item->is_there = !err;
	if (err)
		snprintf(item->detail, sizeof(item->detail), "%s", detail ?: strerror(-err));
	return 0;
}

/* ---- the surroundings ------------------------------------------------------------------------ */

static int try_cgroup2(void)
{
	_cleanup_free_ char *path = NULL;

	return cgroup_mount_point(&path);
}

static int try_bpffs(void)
{
	struct statfs fs;

	if (statfs(PIN_ROOT, &fs))
		return -errno;
	/* a plain directory is enough: weir mounts it */
	return (uint32_t)fs.f_type == BPF_FS_MAGIC || (uint32_t)fs.f_type == SYSFS_MAGIC ? 0
											 : -ENODEV;
}

static int add_surroundings(struct probe_list *list)
{
	int btf = access("/sys/kernel/btf/vmlinux", R_OK) ? -errno : 0;
	int err = add(list, "BTF", "the programs fit themselves to the running kernel", true, btf,
		      NULL);

	if (!err)
		err = add(list, "cgroup v2", "services are recognised by their cgroup", true,
			  try_cgroup2(), NULL);
	if (!err)
		err = add(list, "bpffs", "what is in the kernel outlives the daemon", true,
			  try_bpffs(), NULL);
	return err;
}

/* ---- program types, maps, helpers ------------------------------------------------------------ */

static int try_program(enum bpf_prog_type type, enum bpf_attach_type attach,
		       const struct bpf_insn *insns, size_t count, char *log, size_t log_size)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach, .log_buf = log,
		    .log_size = log_size, .log_level = log ? 1 : 0);
	_cleanup_close_ int fd = bpf_prog_load(type, "probe", "GPL", insns, count, &options);

	return fd < 0 ? -errno : 0;
}

static int try_type(enum bpf_prog_type type, enum bpf_attach_type attach)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return try_program(type, attach, insns, 2, NULL, 0);
}

/* The program does not load either way: its arguments are missing. What matters is whether the
 * verifier knows the helper for this type of program. */
static int try_helper(enum bpf_prog_type type, enum bpf_attach_type attach, int helper)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = helper},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	char log[4096] = "";
	int err = try_program(type, attach, insns, 3, log, sizeof(log));

	if (err == -EPERM && !log[0])
		return err;
	if (strstr(log, "invalid func") || strstr(log, "unknown func") ||
	    strstr(log, "cannot use helper"))
		return -EOPNOTSUPP;
	return 0;
}

static int try_map(enum bpf_map_type type, uint32_t key, uint32_t value, uint32_t entries,
		   uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
	_cleanup_close_ int fd = bpf_map_create(type, "probe", key, value, entries, &options);

	return fd < 0 ? -errno : 0;
}

static int try_grace(void)
{
	_cleanup_close_ int outer = -1, inner = -1;

	return grace_open(&outer, &inner);
}

static int add_program_types(struct probe_list *list)
{
	static const struct {
		const char *what, *why;
		enum bpf_prog_type type;
		enum bpf_attach_type attach;
		bool is_required;
	} table[] = {
		{"cgroup_skb", "judges and charges each packet", BPF_PROG_TYPE_CGROUP_SKB,
		 BPF_CGROUP_INET_EGRESS, true},
		{"cgroup connect", "refuses before the first packet",
		 BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, true},
		{"cgroup sendmsg", "the same for unconnected UDP", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		 BPF_CGROUP_UDP4_SENDMSG, true},
		{"cgroup sock_create", "notes a socket's service, refuses MPTCP",
		 BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, true},
		{"cgroup sock_release", "frees what is kept of a flow", BPF_PROG_TYPE_CGROUP_SOCK,
		 BPF_CGROUP_INET_SOCK_RELEASE, true},
		{"cgroup setsockopt", "notes who may send in somebody else's name",
		 BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, true},
		{"sock_ops", "who opened a connection, acknowledged bytes", BPF_PROG_TYPE_SOCK_OPS,
		 BPF_CGROUP_SOCK_OPS, true},
		{"XDP", "what a cut partner sends dies before the stack (--uplink)",
		 BPF_PROG_TYPE_XDP, BPF_XDP, false},
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(table) / sizeof(*table); i++)
		err = add(list, table[i].what, table[i].why, table[i].is_required,
			  try_type(table[i].type, table[i].attach), NULL);
	return err;
}

static int add_maps(struct probe_list *list)
{
	int err = add(list, "LPM trie", "addresses of partners", true,
		      try_map(BPF_MAP_TYPE_LPM_TRIE, 8, 4, 1, BPF_F_NO_PREALLOC), NULL);

	if (!err)
		err = add(list, "array of maps", "a policy changes in one switch", true,
			  try_grace(), NULL);
	if (!err)
		err = add(list, "inner arrays of any size", "a policy of any size", true,
			  try_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_INNER_MAP), NULL);
	if (!err)
		err = add(list, "mmap of an array", "one write commits a change", true,
			  try_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_MMAPABLE), NULL);
	if (!err)
		err = add(list, "ring buffer", "events", true,
			  try_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 1 << 16, 0), NULL);
	return err;
}

static int add_helpers(struct probe_list *list)
{
	static const struct {
		const char *what, *why;
		int helper;
	} table[] = {
		{"socket storage in cgroup_skb", "the answer is kept with the socket",
		 BPF_FUNC_sk_storage_get},
		{"bpf_loop", "walks cuts and rules", BPF_FUNC_loop},
		{"boot clock", "meters run through suspend, and no clock step moves them",
		 BPF_FUNC_ktime_get_boot_ns},
		{"bpf_probe_read_kernel", "reads cgroup names; lockdown forbids it",
		 BPF_FUNC_probe_read_kernel},
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(table) / sizeof(*table); i++)
		err = add(list, table[i].what, table[i].why, true,
			  try_helper(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS,
				     table[i].helper),
			  NULL);
	return err;
}

/* ---- the real programs ----------------------------------------------------------------------- */

static int try_guard(char **problem)
{
	_cleanup_object_ struct bpf_object *object = NULL;

	return object_load(NULL, true, &object, problem);
}

static int try_iterators(bool has_destroy, char **problem)
{
	struct sever_bpf *skeleton;
	struct bpf_program *program;
	int err;

	libbpf_capture();
	skeleton = sever_bpf__open();
	if (!skeleton)
		return -errno;
	bpf_object__for_each_program(
		program, skeleton->obj) if (!strncmp(bpf_program__name(program), "weir_sever_", 11))
		bpf_program__set_autoload(program, has_destroy);
	err = bpf_object__load(skeleton->obj);
	if (err)
		problem_libbpf(problem, err, "cannot load");
	sever_bpf__destroy(skeleton);
	return err;
}

/* A socket that is not there: a kernel that can end sockets looks for it. */
static int try_sock_diag(void)
{
	struct weir_selected nobody = {.cookie = 1, .family = AF_INET, .protocol = IPPROTO_TCP};

	return sock_diag_end(&nobody, 1);
}

static int add_programs(struct probe_list *list)
{
	_cleanup_free_ char *guard = NULL, *select = NULL, *destroy = NULL;
	int select_err = try_iterators(false, &select), destroy_err = try_iterators(true, &destroy);
	int diag_err = try_sock_diag();
	bool can_end = !destroy_err || (!select_err && !diag_err);
	int guard_err = try_guard(&guard);
	int err = add(list, "the guard's programs", "all of them pass this kernel's verifier", true,
		      guard_err, guard);

	if (!err)
		err = add(list, "socket iterators", "find the sockets of a cut", false, select_err,
			  select);
	if (!err)
		err = add(list, "bpf_sock_destroy", "ends sockets fast", false, destroy_err,
			  destroy);
	if (!err)
		err = add(list, "sock_diag destroy",
			  "ends sockets where bpf_sock_destroy is missing", false, diag_err, NULL);
	if (!err)
		err = add(list, "ending sockets", "an application sees a cut at once", false,
			  can_end ? 0 : -EOPNOTSUPP, "neither way is there: cut flows stall");
	return err;
}

int guard_probe(struct probe **ret, size_t *count)
{
	_cleanup_(probe_list_free) struct probe_list list = {};
	int err = add_surroundings(&list);

	libbpf_capture();
	if (!err)
		err = add_program_types(&list);
	if (!err)
		err = add_maps(&list);
	if (!err)
		err = add_helpers(&list);
	if (!err)
		err = add_programs(&list);
	if (err)
		return err;
	*count = list.count;
	*ret = TAKE_PTR(list.item);
	return 0;
}
