// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * test_costs.c - no program of the kernel side grew dearer unnoticed: instructions as compiled,
 * what the running kernel's verifier spent, and the time of a packet over that of an empty program,
 * each against tests/prog/costs, which says what the numbers are and how to renew them.
 *
 *	test_costs --lines	prints what it saw as lines of that file
 *
 * To be run where the repository is, as root.
 */
#include "tests/prog/asking.h"

#include <libgen.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/utsname.h>
#include <time.h>

#include "tests/prog/costs.h"
#include "tests/vm/cost.h"
#include "user/policy/target.h"

/* ---- what the verifier spends ---------------------------------------------------------------- */

static void note_cost(const struct cost *cost, void *data)
{
	(void)data;
	line_add(&seen, cost->program, "own", cost->own, 0);
	line_add(&seen, cost->program, kernel, cost->instructions, cost->states);
}

/* Iterators that end sockets need what an older kernel lacks; weir then takes sock_diag. */
static void see_verifier(void)
{
	static const char *const objects[] = {"weir", "sever", "session", "forgive", "carry"};
	char self[512] = "", path[600];

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	for (int i = 0; i < 3; i++)
		dirname(self);
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		char why[COST_WHY_BYTES];
		int r;

		snprintf(path, sizeof(path), "%s/%s.bpf.o", self, objects[i]);
		r = cost_each(path, note_cost, NULL, why);
		if (r && strcmp(objects[i], "sever") != 0)
			fail_msg("%s does not load: %s: %s", path, strerror(-r), why);
	}
}

static void no_program_is_dearer_to_the_verifier(void **state)
{
	int wrong = 0;

	(void)state;
	seen.count = 0;
	see_verifier();
	assert_true(seen.count > 0);
	for (size_t i = 0; i < seen.count; i++)
		wrong += compare(&seen.item[i]);
	wrong += unmet(kernel);
	assert_int_equal(wrong, 0);
}

/* ---- what a packet takes --------------------------------------------------------------------- */

/* The row of DESIGN section 10: two windows and a ceiling of the service. */
static const char policy_text[] =
	"weir: 1\n"
	"name: costs\n"
	"mode: enforce\n"
	"services:\n"
	"  files: {cgroup: files, budget: [2TiB/1h]}\n"
	"partners:\n"
	"  north: {addresses: [198.51.100.1]}\n"
	"  cut: {addresses: [198.51.100.2]}\n"
	"grants:\n"
	"  - {name: one, service: files, partner: north, calls: udp/9000, budget: [900GiB/1h, "
	"4TiB/24h]}\n"
	"strangers: {serves: [64KiB/10m], calls: deny}\n";

enum { NORTH = 0xc6336401, CUT = 0xc6336402, HERE = 0xc0000201 };

/* What is timed. A lease pays for the usual packet, and for no fragment (egress.bpf.c). */
struct timed {
	const char *name, *hook; /* hook: NULL: an empty program, the floor of those behind it */
	uint32_t source, peer;
	uint16_t bytes;	 /* of the IP packet */
	uint32_t repeat; /* 1: each packet is the first one of its socket */
	uint32_t verdict;
	bool with_cut, is_fragment;
	int fd;
	double least_ns;
};

#define EDGE "link_edge_wc0"

static struct timed timed[] = {
	{"empty", NULL, HERE, NORTH, 512, 20000, 1, false, false, -1, 0},
	{"egress_leased", "link_egress", HERE, NORTH, 512, 20000, 1, false, false, -1, 0},
	{"egress_large", "link_egress", HERE, NORTH, 1400, 20000, 1, false, false, -1, 0},
	{"egress_metered", "link_egress", HERE, NORTH, 512, 10000, 1, false, true, -1, 0},
	{"egress_first", "link_egress", HERE, NORTH, 512, 1, 1, false, false, -1, 0},
	{"ingress", "link_ingress", NORTH, HERE, 512, 10000, 1, false, false, -1, 0},
	{"empty_xdp", NULL, NORTH, HERE, 512, 20000, XDP_PASS, false, false, -1, 0},
	{"edge_uncut", EDGE, NORTH, HERE, 512, 20000, XDP_PASS, false, false, -1, 0},
	{"edge_passes", EDGE, NORTH, HERE, 512, 10000, XDP_PASS, true, false, -1, 0},
	{"edge_drops", EDGE, CUT, HERE, 512, 10000, XDP_DROP, true, false, -1, 0},
};
enum {
	TIMED = sizeof(timed) / sizeof(*timed),
	FLOOR_XDP = 6,
	FIRSTS = 20,
	ROUNDS = 60,
	MOST_ROUNDS = 1200
};

static bool is_xdp(const struct timed *t)
{
	return t->hook ? !strcmp(t->hook, EDGE) : t->verdict == XDP_PASS;
}

/* It returns the verdict that is asked for. */
static int empty_program(const struct timed *t)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = t->verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	enum bpf_prog_type type = is_xdp(t) ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_CGROUP_SKB;
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = is_xdp(t) ? BPF_XDP : BPF_CGROUP_INET_EGRESS);
	int fd = bpf_prog_load(type, "empty", "GPL", code, 2, &options);

	assert_true(fd >= 0);
	return fd;
}

static size_t packet_write(const struct timed *t, uint8_t *packet)
{
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .tot_len = htons(t->bytes),
			   .frag_off = t->is_fragment ? htons(IP_MF) : 0,
			   .ttl = 64,
			   .protocol = IPPROTO_UDP,
			   .saddr = htonl(t->source),
			   .daddr = htonl(t->peer)};
	struct udphdr udp = {
		.source = htons(9000), .dest = htons(9000), .len = htons(t->bytes - sizeof(ip))};

	memset(packet, 0, 14 + t->bytes);
	packet[12] = 8; /* ETH_P_IP */
	memcpy(packet + 14, &ip, sizeof(ip));
	memcpy(packet + 14 + sizeof(ip), &udp, sizeof(udp));
	return 14 + t->bytes;
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

/* Nanoseconds a packet. What many take is read from our clock, since the kernel tells whole ones;
 * what a single one takes would be lost in the call. */
static double take(const struct timed *t)
{
	uint8_t packet[2048], out[2048];
	struct __sk_buff skb = {.ifindex = if_nametoindex("wc0")};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = t->repeat);
	double since;

	run.data_size_in = packet_write(t, packet);
	if (!is_xdp(t)) {
		run.ctx_in = &skb; /* not of loopback */
		run.ctx_size_in = sizeof(skb);
	}
	since = now_ns();
	if (bpf_prog_test_run_opts(t->fd, &run))
		fail_msg("%s: %s", t->name, strerror(errno));
	if (run.retval != t->verdict)
		fail_msg("%s: verdict %u, not %u", t->name, run.retval, t->verdict);
	return t->repeat > 1 ? (now_ns() - since) / t->repeat : run.duration;
}

static void cut_set(struct guard *guard, const struct image *image)
{
	struct order_table orders = {.count = 1};
	struct weir_cut_entry entry = {0};
	char *problem = NULL;

	orders.entry = &entry;
	assert_int_equal(target_resolve(image, "partner:cut", &entry, &problem), 0);
	entry.order = 1;
	assert_int_equal(guard_set_cuts(guard, &orders), 0);
}

static void time_round(bool with_cut)
{
	for (int i = 0; i < TIMED; i++) {
		struct timed *t = &timed[i];

		for (int n = t->repeat > 1 ? 1 : FIRSTS; t->with_cut == with_cut && n--;) {
			double ns = take(t);

			if (!t->least_ns || ns < t->least_ns)
				t->least_ns = ns;
		}
	}
}

/* Whether one takes longer than it may, as far as is known yet. */
static bool is_long(bool with_cut)
{
	double floor_ns = 0;

	for (int i = 0; i < TIMED; i++) {
		const struct timed *t = &timed[i];
		struct line line = {0}, greatest, *known;

		if (!t->hook) {
			floor_ns = t->least_ns;
			continue;
		}
		snprintf(line.program, sizeof(line.program), "%s", t->name);
		snprintf(line.of, sizeof(line.of), "%s", machine);
		known = known_for(&line, &greatest);
		if (t->with_cut == with_cut && known &&
		    t->least_ns > floor_ns * known->number[0] * room_for(machine))
			return true;
	}
	return false;
}

/* More turns where something takes long: a quiet moment comes on a busy machine too, and what grew
 * dearer has none. */
static void time_rounds(bool with_cut)
{
	for (int round = 0; round < ROUNDS || (round < MOST_ROUNDS && is_long(with_cut)); round++)
		time_round(with_cut);
}

static bool has_counted;

/* With kernel.bpf_stats_enabled each run takes some 40 ns more, the floor's too: no ratio says
 * anything. */
static bool is_counted(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &size) && info.run_cnt;
}

/* The least of many short turns: whatever else runs on this machine can only add to it. */
static void see_time(void)
{
	char *uplinks[] = {"wc0"}, *problem = NULL;
	struct guard_options options = {.instance = asking_instance,
					.cgroup = asking_cgroup,
					.uplinks = uplinks,
					.uplink_count = 1};
	struct image image = compile_good(policy_text);
	struct guard *guard = NULL;
	double floor_ns = 0;
	int link;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link add wc0 type veth peer name wc1"), 0);
	if (guard_load(&options, &image, &guard, &problem))
		fail_msg("load: %s", problem ? problem : "?");
	for (int i = 0; i < TIMED; i++)
		timed[i].fd =
			timed[i].hook ? asking_program(timed[i].hook) : empty_program(&timed[i]);
	/* As it runs on an interface: else each turn would change the dispatcher. */
	link = bpf_link_create(timed[FLOOR_XDP].fd, if_nametoindex("wc1"), BPF_XDP, NULL);
	assert_true(link >= 0);
	time_rounds(false);
	cut_set(guard, &image);
	time_rounds(true);
	has_counted = is_counted(timed[0].fd);
	for (int i = 0; i < TIMED; i++) {
		const struct timed *t = &timed[i];

		print_message("  %-16s %8.1f ns\n", t->name, t->least_ns);
		if (!t->hook)
			floor_ns = t->least_ns;
		else
			line_add(&seen, t->name, machine, t->least_ns / floor_ns, 0);
		close(t->fd);
	}
	close(link);
	guard_close(guard);
	image_free(&image);
}

static void no_packet_takes_longer(void **state)
{
	int wrong = 0;

	(void)state;
	seen.count = 0;
	see_time();
	if (has_counted) {
		print_message("  the kernel counts runs (kernel.bpf_stats_enabled)\n");
		skip();
	}
	for (size_t i = 0; i < seen.count; i++)
		wrong += compare(&seen.item[i]);
	wrong += unmet(machine);
	assert_int_equal(wrong, 0);
}

/* ---- all ------------------------------------------------------------------------------------- */

/* The sockets of a test run are of the cgroup of who asks for it. */
static void enter(const char *service)
{
	char path[300];
	FILE *procs;

	snprintf(path, sizeof(path), "%s/%s", asking_cgroup, service);
	assert_true(!mkdir(path, 0755) || errno == EEXIST);
	strcat(path, "/cgroup.procs");
	procs = fopen(path, "we");
	assert_non_null(procs);
	assert_true(fprintf(procs, "0") > 0);
	assert_int_equal(fclose(procs), 0);
}

/* Its first CPU; a virtual machine may call many models by one name. */
static void machine_read(void)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	int family = 0, model = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file) && *line != '\n') {
		sscanf(line, "cpu family : %d", &family);
		sscanf(line, "model : %d", &model);
	}
	if (file)
		fclose(file);
	snprintf(machine, sizeof(machine), "@%d-%d", family, model);
}

static int prepare(void **state)
{
	struct utsname name;
	int major, minor;

	(void)state;
	uname(&name);
	assert_int_equal(sscanf(name.release, "%d.%d", &major, &minor), 2);
	snprintf(kernel, sizeof(kernel), "%d.%d", major, minor);
	machine_read();
	enter("files");
	expected_read();
	return 0;
}

/* An emulated machine has its own idea of what an instruction takes. */
static int all_tests(void)
{
	const char *slowness = getenv("WEIR_SLOWNESS");
	const struct CMUnitTest verifier[] = {
		cmocka_unit_test(no_program_is_dearer_to_the_verifier),
	};
	const struct CMUnitTest both[] = {
		cmocka_unit_test(no_program_is_dearer_to_the_verifier),
		cmocka_unit_test(no_packet_takes_longer),
	};

	if (slowness && atoi(slowness) > 1)
		return cmocka_run_group_tests_name("costs", verifier, prepare, NULL);
	return cmocka_run_group_tests_name("costs", both, prepare, NULL);
}

static void lines_print(void **state)
{
	(void)state;
	see_verifier();
	see_time();
	if (has_counted)
		fail_msg("the kernel counts runs (kernel.bpf_stats_enabled): no ratio would be "
			 "true");
	printf("compiler %s\n", WEIR_CLANG);
	for (size_t i = 0; i < seen.count; i++) {
		const struct line *line = &seen.item[i];

		printf("%s %s %.*f", line->program, line->of, is_machine(line->of) ? 2 : 0,
		       line->number[0]);
		if (unit_of(line->of, 1))
			printf(" %.0f", line->number[1]);
		printf("\n");
	}
}

static int only_lines(void)
{
	const struct CMUnitTest lines[] = {cmocka_unit_test(lines_print)};

	return cmocka_run_group_tests_name("lines", lines, prepare, NULL);
}

int main(int count, char **words)
{
	bool wants_lines = count == 2 && !strcmp(words[1], "--lines");
	char path[300];
	int r;

	if (count > 1 && !wants_lines)
		return 2;
	r = asking_main(wants_lines ? only_lines : all_tests);
	snprintf(path, sizeof(path), "%s/files", asking_cgroup);
	rmdir(path);
	rmdir(asking_cgroup);
	return r;
}
