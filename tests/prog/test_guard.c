/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_guard.c - user/kernel/ against the real kernel: a guard on a cgroup of its own, under an
 * instance name of its own, with interfaces in a network namespace of its own. Needs root.
 *
 * The tests run in a child; the parent takes away what is left, whatever happened to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "user/daemon/filter.h"
#include "user/kernel/internal.h"

enum { ALL_HOOKS = 10 }; /* of the cgroup */

static char instance[64];
static char cgroup[256];

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static long available_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/* ---- images by hand: what image_compile() makes of a list of partners ------------------------ */

static void image_make(struct image *image, size_t partners, size_t prefixes)
{
	memset(image, 0, sizeof(*image));
	image->head.services = WEIR_SERVICE_NAMED;
	image->head.partners = partners + 1;
	image->head.grants = 1;
	image->head.mode = WEIR_OBSERVE;
	image->services = calloc(image->head.services, sizeof(*image->services));
	image->partners = calloc(image->head.partners, sizeof(*image->partners));
	image->grants = calloc(1, sizeof(*image->grants));
	image->prefixes = calloc(prefixes ? prefixes : 1, sizeof(*image->prefixes));
	image->prefix_count = prefixes;
	for (uint32_t i = 0; i < image->head.services; i++)
		image->services[i].key = WEIR_KEY_SERVICE_OTHER + i;
	for (uint32_t i = 1; i <= partners; i++)
		image->partners[i].key = 1000 + i;
	for (size_t i = 0; i < prefixes; i++) {
		struct image_prefix *prefix = &image->prefixes[i];
		uint32_t address = 0x0b000000 + i * 16; /* 11.0.0.0/28 and so on */

		prefix->address[10] = prefix->address[11] = 0xff;
		for (int byte = 0; byte < 4; byte++)
			prefix->address[12 + byte] = address >> (24 - 8 * byte);
		prefix->bits = 96 + 28;
		prefix->partner = 1 + i % partners;
	}
}

static void image_drop(struct image *image)
{
	free(image->services);
	free(image->partners);
	free(image->grants);
	free(image->prefixes);
}

static struct guard *load_small(void)
{
	struct guard_options options = {.instance = instance, .cgroup = cgroup};
	struct guard *guard = NULL;
	struct image image;
	char *problem = NULL;
	int err;

	image_make(&image, 10, 10);
	err = guard_load(&options, &image, &guard, &problem);
	image_drop(&image);
	if (err)
		print_error("load: %s\n", problem ? problem : strerror(-err));
	assert_int_equal(err, 0);
	return guard;
}

static void unload(void)
{
	char *problem = NULL;
	int err = guard_unload(instance, &problem);

	if (err)
		print_error("unload: %s\n", problem ? problem : strerror(-err));
	assert_int_equal(err, 0);
}

static bool leaves_nothing(void)
{
	char path[160];

	snprintf(path, sizeof(path), "/sys/fs/bpf/weir/%s", instance);
	return !guard_is_pinned(instance) && access(path, F_OK);
}

static size_t attached(struct guard *guard, size_t *all)
{
	struct guard_hook *found = NULL;
	size_t count = 0, n = 0;

	assert_int_equal(guard_hooks(guard, &found, &count), 0);
	for (size_t i = 0; i < count; i++)
		n += found[i].is_attached;
	free(found);
	*all = count;
	return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void test_load_and_unload(void **state)
{
	struct guard_options options = {.instance = instance, .cgroup = cgroup};
	struct guard *guard = load_small(), *other = NULL;
	struct weir_control control = guard_control(guard);
	struct weir_policy_head head;
	uint64_t losses[WEIR_LOSSES];
	struct image image;
	char *problem = NULL;
	struct stat st;
	size_t all;

	(void)state;
	assert_true(guard_is_pinned(instance));
	assert_int_equal(stat(cgroup, &st), 0);
	assert_int_equal(control.root_cgroup, st.st_ino);
	assert_int_equal(control.abi, WEIR_ABI_ID);
	assert_int_equal(weir_generation(control.active), 1);
	assert_true(control.secret[0] && control.secret[1]);
	assert_int_equal(attached(guard, &all), ALL_HOOKS);
	assert_int_equal(all, ALL_HOOKS);
	assert_string_equal(guard_cgroup_path(guard), cgroup);
	assert_int_equal(guard_policy_head(guard, &head), 0);
	assert_int_equal(head.partners, 11);
	assert_int_equal(guard_losses(guard, losses), 0);

	image_make(&image, 1, 1);
	assert_int_equal(guard_load(&options, &image, &other, &problem), -EEXIST);
	assert_non_null(problem);
	free(problem);
	image_drop(&image);
	assert_null(other);
	assert_int_equal(attached(guard, &all), ALL_HOOKS);

	guard_close(guard);
	assert_true(guard_is_pinned(instance));
	unload();
	assert_true(leaves_nothing());
	problem = NULL;
	assert_int_equal(guard_unload(instance, &problem), -ENOENT);
	free(problem);
	problem = NULL;
	assert_int_equal(guard_open(instance, &other, &problem), -ENOENT);
	free(problem);
}

static void refuse(const struct guard_options *options, int expected)
{
	struct guard *guard = NULL;
	struct image image;
	char *problem = NULL;

	image_make(&image, 1, 1);
	assert_int_equal(guard_load(options, &image, &guard, &problem), expected);
	image_drop(&image);
	assert_null(guard);
	assert_non_null(problem);
	assert_null(strchr(problem, '\n'));
	print_message("  refused: %s\n", problem);
	free(problem);
	assert_true(leaves_nothing());
}

static void test_bad_arguments_leave_nothing(void **state)
{
	char missing[300], *nowhere[] = {"weir-none"}, *twice[] = {"lo", "lo"};

	(void)state;
	snprintf(missing, sizeof(missing), "%s/none", cgroup);
	refuse(&(struct guard_options){.instance = "../x", .cgroup = cgroup}, -EINVAL);
	refuse(&(struct guard_options){.instance = instance, .cgroup = missing}, -ENOENT);
	refuse(&(struct guard_options){.instance = instance, .cgroup = "/proc"}, -EINVAL);
	refuse(&(struct guard_options){.instance = instance,
				       .cgroup = cgroup,
				       .uplinks = nowhere,
				       .uplink_count = 1},
	       -ENODEV);
	refuse(&(struct guard_options){.instance = instance,
				       .cgroup = cgroup,
				       .uplinks = twice,
				       .uplink_count = 2},
	       -EINVAL);
}

static void test_remains_of_a_killed_load(void **state)
{
	char path[160];
	struct guard *guard;

	(void)state;
	/* what a load leaves that was killed before its last pin: no marker */
	guard = load_small();
	guard_close(guard);
	snprintf(path, sizeof(path), "/sys/fs/bpf/weir/%s/control", instance);
	assert_int_equal(unlink(path), 0);
	assert_false(guard_is_pinned(instance));
	guard = load_small();
	guard_close(guard);
	unload();
	assert_true(leaves_nothing());
}

static void detach(const char *hook)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/weir/%s/link_%s", instance, hook);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_link_detach(fd), 0);
	close(fd);
}

static void test_adopt(void **state)
{
	struct guard_options options = {.instance = instance, .cgroup = cgroup};
	struct guard *guard = load_small();
	char *problem = NULL;
	uint32_t generation;
	double began;
	size_t all;

	(void)state;
	guard_close(guard);
	assert_int_equal(guard_open(instance, &guard, &problem), 0);
	generation = weir_generation(guard_control(guard).active);
	began = now_ms();
	if (guard_adopt(guard, &options, &problem))
		fail_msg("adopt: %s", problem);
	print_message("  adopt: %.1f ms\n", now_ms() - began);
	assert_int_equal(weir_generation(guard_control(guard).active), generation + 1);
	assert_int_equal(attached(guard, &all), ALL_HOOKS);

	detach("egress");
	detach("connect6");
	assert_int_equal(attached(guard, &all), ALL_HOOKS - 2);
	if (guard_adopt(guard, &options, &problem))
		fail_msg("adopt: %s", problem);
	assert_int_equal(attached(guard, &all), ALL_HOOKS);

	options.cgroup = "/proc/self/fd";
	assert_int_equal(guard_adopt(guard, &options, &problem), -EINVAL);
	free(problem);
	problem = NULL;
	options.cgroup = NULL; /* the whole host: another guard */
	assert_int_equal(guard_adopt(guard, &options, &problem), -EBUSY);
	free(problem);
	guard_close(guard);
	unload();
}

/* In place of libbpf's: the link update of this number fails; negative: none. */
static int failing_update = -1;

int bpf_link_update(int link_fd, int program_fd, const struct bpf_link_update_opts *options)
{
	union bpf_attr attributes = {0};

	assert_null(options);
	if (failing_update-- == 0) {
		errno = ENOMEM;
		return -1;
	}
	attributes.link_update.link_fd = link_fd;
	attributes.link_update.new_prog_fd = program_fd;
	return syscall(__NR_bpf, BPF_LINK_UPDATE, &attributes, sizeof(attributes));
}

/* The ids of what runs behind the pinned links, in their order. */
static void read_programs(uint32_t id[ALL_HOOKS])
{
	char pattern[200];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/fs/bpf/weir/%s/link_*", instance);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, ALL_HOOKS);
	for (size_t i = 0; i < ALL_HOOKS; i++) {
		struct bpf_link_info info = {0};
		uint32_t length = sizeof(info);
		int fd = bpf_obj_get(found.gl_pathv[i]);

		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
		id[i] = info.prog_id;
		close(fd);
	}
	globfree(&found);
}

/* Whether an early update fails or the last one: all links have the programs that they had. */
static void test_adopt_half_done(void **state)
{
	struct guard_options options = {.instance = instance, .cgroup = cgroup};
	uint32_t before[ALL_HOOKS], after[ALL_HOOKS];
	struct guard *guard = load_small();
	char *problem = NULL;

	(void)state;
	read_programs(before);
	for (int i = 1; i < ALL_HOOKS; i += ALL_HOOKS - 2) {
		failing_update = i;
		assert_int_equal(guard_adopt(guard, &options, &problem), -ENOMEM);
		assert_non_null(strstr(problem, "cannot replace "));
		free(problem);
		problem = NULL;
		read_programs(after);
		assert_memory_equal(before, after, sizeof(before));
	}
	failing_update = -1;
	assert_int_equal(guard_adopt(guard, &options, &problem), 0);
	read_programs(after);
	for (int i = 0; i < ALL_HOOKS; i++)
		assert_int_not_equal(before[i], after[i]);
	guard_close(guard);
	unload();
}

/* ---- changes --------------------------------------------------------------------------------- */

static void test_apply_twice(void **state)
{
	struct guard *guard = load_small();
	struct order_table cuts = {};
	struct weir_policy_head head;
	char *problem = NULL;

	(void)state;
	for (unsigned int i = 1; i <= 6; i++) {
		uint64_t before = guard_control(guard).active, after;
		struct image image;
		double began = now_ms();

		image_make(&image, 10 * i, 100);
		image.head.digest[0] = i;
		assert_int_equal(guard_apply(guard, &image, &cuts, &problem), 0);
		after = guard_control(guard).active;
		image_drop(&image);
		print_message("  apply: %.1f ms\n", now_ms() - began);
		assert_int_not_equal(weir_policy_slot(before), weir_policy_slot(after));
		assert_int_not_equal(weir_cut_slot(before), weir_cut_slot(after));
		assert_int_equal(weir_generation(after), weir_generation(before) + 1);
		assert_int_equal(guard_policy_head(guard, &head), 0);
		assert_int_equal(head.digest[0], i);
		assert_int_equal(head.partners, 10 * i + 1);
	}
	guard_close(guard);
	unload();
}

/* The trie of the policy in force; its id tells it from others. */
static int trie_in_force(struct guard *guard, uint32_t *id)
{
	uint32_t slot = weir_policy_slot(guard_control(guard).active);
	int fd;

	assert_int_equal(bpf_map_lookup_elem(guard->map_fd[MAP_PREFIXES4], &slot, id), 0);
	fd = bpf_map_get_fd_by_id(*id);
	assert_true(fd >= 0);
	return fd;
}

/* A full trie would be freed in one go; so it is emptied before anybody lets go of it. */
static void test_an_old_trie_is_emptied(void **state)
{
	struct guard *guard = load_small();
	struct order_table cuts = {};
	struct image image;
	char *problem = NULL;
	uint32_t old, new;
	uint8_t key[64];
	int fd[2];

	(void)state;
	image_make(&image, 10, 5000);
	assert_int_equal(guard_apply(guard, &image, &cuts, &problem), 0);
	fd[0] = trie_in_force(guard, &old);
	assert_int_equal(guard_apply(guard, &image, &cuts, &problem), 0);
	fd[1] = trie_in_force(guard, &new);
	image_drop(&image);
	assert_int_not_equal(old, new);
	task_join(&guard->drain);
	assert_int_equal(bpf_map_get_next_key(fd[0], NULL, key), -ENOENT);
	assert_int_equal(bpf_map_get_next_key(fd[1], NULL, key), 0); /* judges */
	assert_int_equal(guard_take_off(guard, &problem), 0);
	guard_close(guard);
	assert_int_equal(bpf_map_get_next_key(fd[1], NULL, key), -ENOENT);
	close(fd[0]);
	close(fd[1]);
}

/* Whoever applied the policy before ended while its forerunner's trie was still full: it is in the
 * slot that the next policy gets. */
static void test_the_trie_of_one_that_ended_is_emptied(void **state)
{
	struct guard *guard = load_small();
	struct weir_prefix4 left = {.prefixlen = 32, .address = {192, 0, 2, 1}};
	struct order_table cuts = {};
	struct image image;
	char *problem = NULL;
	uint32_t id, partner = 1;
	uint8_t key[64];
	int fd = trie_in_force(guard, &id);

	(void)state;
	image_make(&image, 10, 10);
	assert_int_equal(guard_apply(guard, &image, &cuts, &problem), 0);
	guard_close(guard);
	assert_int_equal(bpf_map_update_elem(fd, &left, &partner, BPF_ANY), 0);
	assert_int_equal(guard_open(instance, &guard, &problem), 0);
	assert_int_equal(guard_apply(guard, &image, &cuts, &problem), 0);
	task_join(&guard->drain);
	assert_int_equal(bpf_map_get_next_key(fd, NULL, key), -ENOENT);
	image_drop(&image);
	close(fd);
	guard_close(guard);
	unload();
}

static void test_cuts(void **state)
{
	struct guard *guard = load_small();
	struct weir_cut_entry entry[2] = {
		{.order = 1, .target = WEIR_TARGET_PARTNER, .service = WEIR_ANY, .index = 3},
		{.order = 2, .target = WEIR_TARGET_PARTNER, .service = WEIR_ANY, .index = 4},
	};
	struct order_table cuts = {.entry = entry, .count = 2};
	struct order_table many = {.entry = calloc(WEIR_CUT_ENTRIES + 1, sizeof(*entry)),
				   .count = WEIR_CUT_ENTRIES + 1};
	uint64_t before = guard_control(guard).active;
	double began, longest = 0;
	uint32_t slot;

	(void)state;
	assert_int_equal(guard_stage_cuts(guard, &cuts, &slot), 0);
	assert_int_equal(guard_control(guard).active, before);
	assert_int_not_equal(slot, weir_cut_slot(before));
	for (int i = 0; i < 20; i++) {
		usleep(20000);
		began = now_ms();
		assert_int_equal(guard_set_cuts(guard, &cuts), 0);
		if (now_ms() - began > longest)
			longest = now_ms() - began;
	}
	print_message("  set_cuts: at most %.2f ms\n", longest);
	assert_int_equal(weir_generation(guard_control(guard).active),
			 weir_generation(before) + 20);
	before = guard_control(guard).active;
	assert_int_equal(guard_set_cuts(guard, &many), -ENOSPC);
	assert_int_equal(guard_control(guard).active, before);
	many.count--;
	assert_int_equal(guard_set_cuts(guard, &many), 0);
	free(many.entry);
	guard_close(guard);
	unload();
}

static void test_orders(void **state)
{
	struct guard *guard = load_small();
	struct weir_order *orders = calloc(WEIR_MAX_ORDERS + 1, sizeof(*orders)), *read = NULL;
	size_t count = 1;

	(void)state;
	assert_int_equal(guard_orders(guard, &read, &count), 0);
	assert_int_equal(count, 0);
	free(read);
	for (uint32_t i = 0; i <= WEIR_MAX_ORDERS; i++) {
		orders[i].id = WEIR_MAX_ORDERS + 1 - i;
		snprintf(orders[i].target, sizeof(orders->target), "partner:p%u", i);
	}
	assert_int_equal(guard_set_orders(guard, orders, WEIR_MAX_ORDERS + 1), -ENOSPC);
	assert_int_equal(guard_set_orders(guard, orders, WEIR_MAX_ORDERS), 0);
	assert_int_equal(guard_orders(guard, &read, &count), 0);
	assert_int_equal(count, WEIR_MAX_ORDERS);
	assert_int_equal(read[0].id, 2);
	assert_string_equal(read[count - 1].target, "partner:p0");
	free(read);
	assert_int_equal(guard_set_orders(guard, orders, 2), 0);
	guard_close(guard);
	assert_int_equal(guard_open(instance, &guard, NULL), 0);
	assert_int_equal(guard_orders(guard, &read, &count), 0);
	assert_int_equal(count, 2);
	free(read);
	free(orders);
	guard_close(guard);
	unload();
}

/* Those that another process has written meanwhile do not stay behind the last. */
static void test_orders_of_two(void **state)
{
	struct guard *guard = load_small(), *other;
	struct weir_order orders[5] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}, {.id = 5}};
	struct weir_order *read = NULL;
	size_t count;

	(void)state;
	assert_int_equal(guard_set_orders(guard, orders, 3), 0);
	assert_int_equal(guard_open(instance, &other, NULL), 0);
	assert_int_equal(guard_set_orders(other, orders, 5), 0);
	assert_int_equal(guard_set_orders(guard, orders, 1), 0);
	assert_int_equal(guard_orders(other, &read, &count), 0);
	assert_int_equal(count, 1);
	free(read);
	assert_int_equal(guard_set_orders(other, orders, 0), 0);
	assert_int_equal(guard_orders(guard, &read, &count), 0);
	assert_int_equal(count, 0);
	free(read);
	guard_close(other);
	guard_close(guard);
	unload();
}

static void test_clock_and_observe(void **state)
{
	struct guard *guard = load_small();
	struct weir_control control;

	(void)state;
	assert_int_equal(guard_set_clock(guard, 12345, true), 0);
	assert_int_equal(guard_set_observe(guard, true), 0);
	control = guard_control(guard);
	assert_int_equal(control.wall_offset_ns, 12345);
	assert_int_equal(control.hours_closed, 1);
	assert_int_equal(control.observe, 1);
	assert_int_equal(weir_generation(control.active), 3);
	assert_int_equal(guard_clear_latch(guard, 4242), -ENOENT);
	assert_int_equal(guard_clear_strangers(guard, 7), -ENOENT);
	guard_close(guard);
	unload();
}

static int change_often(int times)
{
	struct guard *guard = NULL;
	struct weir_cut_entry entry = {.order = 1, .target = WEIR_TARGET_NOTHING};
	struct order_table cuts = {.entry = &entry, .count = 1};

	if (guard_open(instance, &guard, NULL))
		return 1;
	for (int i = 0; i < times; i++)
		if (guard_set_cuts(guard, &cuts) || guard_raise(guard))
			return 1;
	guard_close(guard);
	return 0;
}

/* No change is lost when two processes make them at once. */
static void test_two_processes(void **state)
{
	struct guard *guard = load_small();
	pid_t child[2];
	int status;

	(void)state;
	for (int i = 0; i < 2; i++) {
		child[i] = fork();
		if (!child[i])
			_exit(change_often(20));
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(weir_generation(guard_control(guard).active), 1 + 2 * 2 * 20);
	unload();
	assert_int_equal(guard_raise(guard), -ENOENT); /* taken off meanwhile */
	guard_close(guard);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* How many times longer all may take, in an emulated machine (tests/vm/inside.py). */
static double slowness(void)
{
	const char *told = getenv("WEIR_SLOWNESS");

	return told ? atof(told) : 1;
}

static void apply_size(struct guard *guard, size_t partners, size_t prefixes, double limit_ms,
		       long limit_mib)
{
	struct order_table cuts = {};
	char *problem = NULL;
	struct image image;
	long before, used;
	double began, took;

	image_make(&image, partners, prefixes);
	before = available_kib();
	began = now_ms();
	if (guard_apply(guard, &image, &cuts, &problem))
		fail_msg("apply: %s", problem);
	took = now_ms() - began;
	used = (before - available_kib()) / 1024;
	image_drop(&image);
	print_message("  %zu partners, %zu prefixes: %.0f ms, %ld MiB\n", partners, prefixes, took,
		      used);
	assert_true(took < limit_ms * slowness());
	assert_true(used < limit_mib);
}

static void test_sizes(void **state)
{
	struct guard *guard = load_small();
	char *problem = NULL;
	double began, took;

	(void)state;
	apply_size(guard, 100000, 100000, 1000, 512);
	apply_size(guard, 10, 10, 6000, 512);
	began = now_ms();
	assert_int_equal(guard_raise(guard), 0);
	print_message("  lock and raise while the old tries are emptied: %.1f ms\n",
		      now_ms() - began);
	apply_size(guard, 100000, 1000000, 6000, 512);
	began = now_ms();
	assert_int_equal(guard_take_off(guard, &problem), 0);
	took = now_ms() - began;
	assert_true(leaves_nothing());
	assert_int_equal(guard_take_off(guard, &problem), -ENOENT);
	free(problem);
	began = now_ms();
	guard_close(guard); /* empties the tries */
	print_message("  taken off in %.0f ms, freed in %.0f ms\n", took, now_ms() - began);
	assert_true(took < 1000 * slowness()); /* whoever ordered it waits 5 s for the answer */
}

/* ---- what is loaded before nothing can be ---------------------------------------------------- */

/* As on a kernel that refuses the iterators: the daemon goes on, and each cut tells the reason, not
 * that its own filter is in the way. */
static int sever_without_iterators(struct guard *guard)
{
	struct weir_sever_request request = {.mode = WEIR_SEVER_CUT, .cut_slot = WEIR_ANY};
	char *first = NULL, *then = NULL;

	sever_free(TAKE_PTR(guard->sever));
	if (filter_install())
		return 1;
	if (!guard_prepare(guard, &first) || !first)
		return 2;
	if (!guard_sever(guard, &request, true, NULL, NULL, NULL, &then) || !then)
		return 3;
	return strcmp(first, then) ? 4 : 0;
}

static void test_prepare(void **state)
{
	struct guard *guard = load_small();
	char *problem = NULL;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(guard_prepare(guard, &problem), 0);
	assert_null(problem);
	assert_non_null(guard->sever);
	assert_non_null(guard->forgiver);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(sever_without_iterators(guard));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	guard_close(guard);
	unload();
}

/* ---- the lock -------------------------------------------------------------------------------- */

/* A process that has the lock and a name that would steer a terminal. */
static pid_t hold_lock(void)
{
	int ready[2];
	char path[160], letter;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		snprintf(path, sizeof(path), "/sys/fs/bpf/weir/%s", instance);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "hold\033er");
		if (flock(open(path, O_RDONLY | O_DIRECTORY), LOCK_EX) ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &letter, 1), 1);
	close(ready[0]);
	return pid;
}

static void test_who_holds_the_lock(void **state)
{
	struct guard *guard = load_small();
	char expected[64], *problem = NULL;
	pid_t pid = hold_lock();

	(void)state;
	/* what guard_lock_told() says after 15 s */
	assert_int_equal(lock_problem(guard, -ETIMEDOUT, &problem), -ETIMEDOUT);
	snprintf(expected, sizeof(expected), "process %d (hold?er) has held", pid);
	if (!problem || strncmp(problem, expected, strlen(expected)))
		fail_msg("%s", problem ? problem : "no problem");
	free(problem);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	problem = NULL;
	lock_problem(guard, -ETIMEDOUT, &problem);
	assert_non_null(problem);
	assert_int_equal(strncmp(problem, "another process", 15), 0); /* it has gone meanwhile */
	free(problem);
	guard_close(guard);
	unload();
}

/* ---- uplinks --------------------------------------------------------------------------------- */

static int foreign_program(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", insns, 2, NULL);
}

static void test_uplinks(void **state)
{
	char *uplinks[] = {"wt0.7", "wt1"};
	struct guard_options options = {
		.instance = instance, .cgroup = cgroup, .uplinks = uplinks, .uplink_count = 2};
	struct guard *guard = NULL;
	char *problem = NULL;
	struct image image;
	size_t all;
	int foreign, link;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0); /* this process's own from here on */
	assert_int_equal(system("ip link add wt0.7 type veth peer name wt1"), 0);
	foreign = foreign_program();
	assert_true(foreign >= 0);
	link = bpf_link_create(foreign, if_nametoindex("wt1"), BPF_XDP, NULL);
	assert_true(link >= 0);
	refuse(&options, -EBUSY);
	close(link);

	image_make(&image, 1, 1);
	if (guard_load(&options, &image, &guard, &problem))
		fail_msg("load: %s", problem);
	image_drop(&image);
	assert_int_equal(attached(guard, &all), ALL_HOOKS + 2);
	options.uplink_count = 1; /* wt1 is given up */
	if (guard_adopt(guard, &options, &problem))
		fail_msg("adopt: %s", problem);
	assert_int_equal(attached(guard, &all), ALL_HOOKS + 1);
	assert_int_equal(all, ALL_HOOKS + 1);
	assert_int_equal(system("ip link del wt0.7"), 0);
	assert_int_equal(attached(guard, &all), ALL_HOOKS);
	assert_int_equal(all, ALL_HOOKS + 1);
	close(foreign);
	guard_close(guard);
	unload();
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int count_meter(uint64_t key, const struct weir_meter *meter, void *data)
{
	(void)key;
	(void)meter;
	++*(size_t *)data;
	return 0;
}

static void test_reading(void **state)
{
	struct guard *guard = load_small();
	struct guard_cgroup *cgroups = NULL;
	struct weir_meter meter;
	size_t count = 0, meters = 0;

	(void)state;
	assert_int_equal(guard_meters(guard, count_meter, &meters), 0);
	assert_int_equal(meters, 0);
	assert_int_equal(guard_meter(guard, 4242, &meter), -ENOENT);
	assert_int_equal(guard_cgroups(guard, &cgroups, &count), 0);
	assert_int_equal(count, 0);
	free(cgroups);
	assert_true(guard_events_fd(guard) >= 0);
	assert_int_equal(guard_events_consume(guard, 1, NULL, NULL), 0);
	guard_close(guard);
	unload();
}

static void test_sever_finds_nothing(void **state)
{
	struct guard *guard = load_small();
	struct weir_sever_request request = {
		.mode = WEIR_SEVER_ACCOUNT, .account = 4242, .cut_slot = WEIR_ANY};
	struct sever_result result = {};
	char *problem = NULL;

	(void)state;
	for (int i = 0; i < 2; i++) {
		if (guard_sever(guard, &request, i, NULL, NULL, &result, &problem))
			fail_msg("sever: %s", problem);
		assert_int_equal(result.selected, 0);
		assert_true(result.reach.namespaces >= 1);
		print_message("  sever: %.1f ms, %zu namespaces, by %s\n", result.took_ns / 1e6,
			      result.reach.namespaces,
			      result.by_iterator ? "iterator" : "sock_diag");
	}
	guard_close(guard);
	unload();
}

/*
 *   this process (10.213.0.1, ws0) ---- veth ---- (10.213.0.2, ws1) the child, in the cgroup
 *
 * The child connects here, tells, and waits for its sockets to end.
 */
enum { CONNECTIONS = 50 };

static int child_connects(int tell, int told)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(7777),
				 .sin_addr.s_addr = htonl(0x0ad50001)};
	int fd[CONNECTIONS], broken = 0;
	char path[300], byte = 0;
	FILE *procs;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	procs = fopen(path, "w");
	if (!procs || fprintf(procs, "0") < 0 || fclose(procs) || unshare(CLONE_NEWNET))
		return 100;
	/* the parent moves the veth's other end in here */
	if (write(tell, &byte, 1) != 1 || read(told, &byte, 1) != 1)
		return 101;
	if (system("ip addr add 10.213.0.2/24 dev ws1 && ip link set ws1 up"))
		return 102;
	for (int i = 0; i < CONNECTIONS; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd[i], (struct sockaddr *)&to, sizeof(to)))
			return 103;
	}
	if (write(tell, &byte, 1) != 1 || read(told, &byte, 1) != 1)
		return 104;
	for (int i = 0; i < CONNECTIONS; i++)
		broken += recv(fd[i], &byte, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN;
	return broken;
}

static int listen_here(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7777)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, CONNECTIONS), 0);
	return fd;
}

static void sever_all(struct guard *guard)
{
	struct weir_cut_entry all = {
		.order = 7, .target = WEIR_TARGET_ALL, .service = WEIR_ANY, .index = WEIR_ANY};
	struct order_table cuts = {.entry = &all, .count = 1};
	struct weir_sever_request request = {.mode = WEIR_SEVER_CUT};
	struct sever_result result = {};
	char *problem = NULL;

	/* a dry run against a staged slot touches nothing */
	assert_int_equal(guard_stage_cuts(guard, &cuts, &request.cut_slot), 0);
	assert_int_equal(guard_sever(guard, &request, true, NULL, NULL, &result, &problem), 0);
	assert_int_equal(result.selected, CONNECTIONS);
	assert_int_equal(result.ended, 0);
	request.cut_slot = WEIR_ANY;
	assert_int_equal(guard_sever(guard, &request, true, NULL, NULL, &result, &problem), 0);
	assert_int_equal(result.selected, 0);

	assert_int_equal(guard_set_cuts(guard, &cuts), 0);
	if (guard_sever(guard, &request, false, NULL, NULL, &result, &problem))
		fail_msg("sever: %s", problem);
	print_message("  ended %zu in %.1f ms, %zu namespaces, by %s\n", result.ended,
		      result.took_ns / 1e6, result.reach.namespaces,
		      result.by_iterator ? "iterator" : "sock_diag");
	assert_int_equal(result.ended, CONNECTIONS);
	assert_true(result.reach.namespaces >= 2);
}

static void test_sever(void **state)
{
	int tell[2], told[2], listener, status;
	char command[128], byte = 0;
	struct guard *guard;
	pid_t child;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(pipe(tell) | pipe(told), 0);
	guard = load_small();
	child = fork();
	if (!child)
		_exit(child_connects(tell[1], told[0]));
	close(tell[1]); /* a child that fails must not leave us waiting */
	assert_int_equal(read(tell[0], &byte, 1), 1);
	snprintf(command, sizeof(command),
		 "ip link add ws0 type veth peer name ws1 netns %d && "
		 "ip addr add 10.213.0.1/24 dev ws0 && ip link set ws0 up",
		 child);
	assert_int_equal(system(command), 0);
	listener = listen_here();
	assert_int_equal(write(told[1], &byte, 1), 1);
	if (read(tell[0], &byte, 1) == 1)
		sever_all(guard);
	assert_int_equal(write(told[1], &byte, 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), CONNECTIONS);
	close(listener);
	guard_close(guard);
	unload();
}

static void test_probe(void **state)
{
	struct probe *probes = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(guard_probe(&probes, &count), 0);
	for (size_t i = 0; i < count; i++)
		print_message("  %-3s %-30s %s\n", probes[i].is_there ? "yes" : "no",
			      probes[i].what, probes[i].detail);
	for (size_t i = 0; i < count; i++)
		assert_true(probes[i].is_there || !probes[i].is_required);
	free(probes);
}

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_load_and_unload),
		cmocka_unit_test(test_bad_arguments_leave_nothing),
		cmocka_unit_test(test_remains_of_a_killed_load),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_adopt_half_done),
		cmocka_unit_test(test_apply_twice),
		cmocka_unit_test(test_an_old_trie_is_emptied),
		cmocka_unit_test(test_the_trie_of_one_that_ended_is_emptied),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_orders_of_two),
		cmocka_unit_test(test_clock_and_observe),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_two_processes),
		cmocka_unit_test(test_sever_finds_nothing),
		cmocka_unit_test(test_sizes),
		/* last: these move to another network namespace */
		cmocka_unit_test(test_prepare),
		cmocka_unit_test(test_who_holds_the_lock),
		cmocka_unit_test(test_uplinks),
		cmocka_unit_test(test_sever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

static pid_t runner;

static void on_signal(int number)
{
	(void)number;
	kill(runner, SIGKILL); /* the parent then cleans up */
}

int main(void)
{
	char *root = NULL, *problem = NULL;
	int status = 0;

	if (geteuid() || cgroup_mount_point(&root)) {
		fprintf(stderr, "test_guard needs root and a cgroup v2 hierarchy\n");
		return 1;
	}
	snprintf(instance, sizeof(instance), "test-guard-%d", getpid());
	snprintf(cgroup, sizeof(cgroup), "%s/weir-test-guard-%d", root, getpid());
	free(root);
	if (mkdir(cgroup, 0755)) {
		perror(cgroup);
		return 1;
	}
	runner = fork();
	if (!runner)
		exit(all_tests());
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	waitpid(runner, &status, 0);
	guard_unload(instance, &problem);
	free(problem);
	for (int i = 0; i < 50 && rmdir(cgroup) && errno == EBUSY; i++)
		usleep(20000); /* a child of the tests is just dying */
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
