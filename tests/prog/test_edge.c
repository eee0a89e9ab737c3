// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * test_edge.c - what the edge drops, against a model that knows only the policy: frames of many
 * shapes, each twice (judged, and as it is remembered), from so many sources that they take each
 * other's places, while cuts come and go.
 */
#include "tests/prog/asking.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <pthread.h>
#include <sched.h>

#include "user/policy/target.h"

enum { ROUNDS = 6, FRAMES = 100000 };

static const char policy_text[] =
	"weir: 1\n"
	"name: edge\n"
	"mode: enforce\n"
	"lifeline:\n"
	"  - {service: admin, serves: tcp/22, to: [10.129.0.0/16, '2001:db8:c:1::/64'], why: a "
	"test}\n"
	"services:\n"
	"  admin: {cgroup: admin}\n"
	"  files: {cgroup: files}\n"
	"partners:\n"
	"  north: {addresses: [10.0.0.0/9, '2001:db8:b::/48']}\n"
	"  cut: {addresses: [10.128.0.0/9, '2001:db8:c::/48']}\n"
	"  inside: {addresses: [10.200.0.0/16, '2001:db8:c:2::/64']}\n"
	"grants:\n"
	"  - {name: one, service: files, partner: [north, cut, inside], serves: tcp/443, budget: "
	"none}\n";

/* How a frame says it. */
enum shape {
	PLAIN,
	TAGGED,
	OPTIONS,
	FIRST_FRAGMENT,
	LATER_FRAGMENT,
	EXTENDED = OPTIONS,
	SHAPES = 5
};

struct frame {
	bool is6;
	enum shape shape;
	uint32_t
		host; /* of 10.0.0.0/8; of IPv6 the low 16 bits of the /48's subnet, and the rest */
	uint8_t net6; /* 0xb or 0xc: which /48 */
	uint8_t protocol;
	uint16_t port, source_port;
};

/* ---- frames ---------------------------------------------------------------------------------- */

static size_t ports_write(const struct frame *f, uint8_t *to)
{
	const uint16_t port[2] = {htons(f->source_port), htons(f->port)};

	memcpy(to, port, sizeof(port));
	return 20;
}

static size_t ip4_write(const struct frame *f, uint8_t *to)
{
	size_t header = f->shape == OPTIONS ? 24 : 20;
	struct iphdr ip = {.version = 4,
			   .ihl = header / 4,
			   .ttl = 64,
			   .protocol = f->protocol,
			   .saddr = htonl(10u << 24 | f->host),
			   .daddr = htonl(0xc0000201)};

	if (f->shape == FIRST_FRAGMENT)
		ip.frag_off = htons(IP_MF);
	if (f->shape == LATER_FRAGMENT)
		ip.frag_off = htons(100);
	memset(to + 20, 1, 4); /* no operation (RFC 791 section 3.1) */
	memcpy(to, &ip, sizeof(ip));
	return header + ports_write(f, to + header);
}

static size_t ip6_write(const struct frame *f, uint8_t *to)
{
	uint8_t source[16] = {0x20, 0x01, 0x0d, 0xb8, 0, f->net6, f->host >> 8, f->host};
	bool has_fragment = f->shape == FIRST_FRAGMENT || f->shape == LATER_FRAGMENT;
	struct ip6_hdr ip = {.ip6_nxt = f->shape == EXTENDED ? 0 : has_fragment ? 44 : f->protocol};
	size_t size = sizeof(ip);

	memcpy(source + 12, &f->host, 4);
	memcpy(&ip.ip6_src, source, sizeof(source));
	ip.ip6_vfc = 0x60;
	memcpy(to, &ip, sizeof(ip));
	memset(to + size, 0, 8);
	to[size] = f->protocol;
	if (f->shape == LATER_FRAGMENT)
		to[size + 3] = 0x80;
	if (f->shape == FIRST_FRAGMENT)
		to[size + 3] = 1;
	if (f->shape == EXTENDED || has_fragment)
		size += 8;
	return size + ports_write(f, to + size);
}

static size_t frame_write(const struct frame *f, uint8_t *to)
{
	const uint16_t type = htons(f->is6 ? 0x86dd : 0x0800), tag[2] = {htons(0x8100), htons(7)};
	size_t size = 12;

	if (f->shape == TAGGED) {
		memcpy(to + size, tag, sizeof(tag));
		size += sizeof(tag);
	}
	memcpy(to + size, &type, sizeof(type));
	size += sizeof(type);
	return size + (f->is6 ? ip6_write(f, to + size) : ip4_write(f, to + size));
}

static struct frame frame_any(unsigned int *seed)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP};
	static const uint16_t ports[] = {22, 443, 68, 546};
	struct frame f = {.is6 = rand_r(seed) % 3 == 0,
			  .shape = rand_r(seed) % 2 ? PLAIN : rand_r(seed) % SHAPES,
			  .host = rand_r(seed) & 0xffffff,
			  .net6 = rand_r(seed) % 2 ? 0xb : 0xc,
			  .protocol = protocols[rand_r(seed) % 3],
			  .port = ports[rand_r(seed) % 4],
			  .source_port = rand_r(seed) % 3   ? 40000
					 : rand_r(seed) % 2 ? 67
							    : 547};

	if (rand_r(seed) % 4 == 0) /* as many in what is named as elsewhere */
		f.host = (f.host & 0xffff) | (rand_r(seed) % 2 ? 129 : 200) << 16;
	if (f.is6)
		f.host = (f.host & 0xff0003) | 1u << 24; /* subnets 0 to 3 */
	return f;
}

/* ---- the model ------------------------------------------------------------------------------- */

static uint32_t second(const struct frame *f)
{
	return f->is6 ? f->host & 0xffff : f->host >> 16;
}

/* What is cut in a round. */
enum cut { NOTHING, CUT, NORTH, CUTS };

static bool is_covered(const struct frame *f, enum cut cut)
{
	bool is_north = f->is6 ? f->net6 == 0xb : second(f) < 128;

	if (cut == NORTH)
		return is_north;
	return cut == CUT && !is_north && second(f) != (f->is6 ? 2 : 200);
}

static bool is_lifeline(const struct frame *f)
{
	bool is_named = f->is6 ? f->net6 == 0xc && second(f) == 1 : second(f) == 129;

	return is_named &&
	       (f->shape == LATER_FRAGMENT ||
		(f->protocol == IPPROTO_TCP && (f->port == 22 || f->source_port == 22)));
}

static bool is_dhcp(const struct frame *f)
{
	return f->protocol == IPPROTO_UDP && f->shape != LATER_FRAGMENT &&
	       ((f->source_port == 67 && f->port == 68) ||
		(f->source_port == 547 && f->port == 546));
}

static uint32_t expected(const struct frame *f, enum cut cut)
{
	return is_covered(f, cut) && !is_lifeline(f) && !is_dhcp(f) ? XDP_DROP : XDP_PASS;
}

/* ---- all ------------------------------------------------------------------------------------- */

/* What was dropped of each partner. */
struct drops {
	uint64_t packets[CUTS], bytes[CUTS];
};

static void run(int program, const struct frame *f, enum cut cut, struct drops *drops)
{
	uint8_t packet[256] = {0}, out[256];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_out = out,
		    .data_size_out = sizeof(out));

	options.data_size_in = frame_write(f, packet);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
		if (options.retval != expected(f, cut))
			fail_msg("IPv%d, shape %d, %06x of net %x, protocol %d, %d to %d: %u",
				 f->is6 ? 6 : 4, f->shape, f->host, f->net6, f->protocol,
				 f->source_port, f->port, options.retval);
		drops->packets[cut] += options.retval == XDP_DROP;
		drops->bytes[cut] += options.retval == XDP_DROP ? options.data_size_in : 0;
	}
}

struct counting {
	uint64_t cut_key, north_key;
	struct drops drops;
};

static int add_meter(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct counting *counting = data;
	enum cut cut = meter->partner_key == counting->cut_key ? CUT : NORTH;

	(void)key;
	if (meter->grant_key != WEIR_KEY_EDGE)
		return 0;
	assert_true(cut == CUT || meter->partner_key == counting->north_key);
	counting->drops.packets[cut] += meter->refused_packets;
	counting->drops.bytes[cut] += meter->refused_bytes;
	return 0;
}

static uint64_t key_of(const struct image *image, const char *partner)
{
	return image->partners[image_partner(image, partner)].key;
}

/* To the packet, and also when it is read again. */
static void is_counted(struct guard *guard, const struct image *image, const struct drops *drops)
{
	for (int i = 0; i < 2; i++) {
		struct counting counting = {
			key_of(image, "cut"), key_of(image, "north"), {{0}, {0}}};

		assert_int_equal(guard_accounts(guard, add_meter, &counting), 0);
		assert_memory_equal(&counting.drops, drops, sizeof(*drops));
	}
}

static void cut_set(struct guard *guard, const struct image *image, const char *target, bool is_cut)
{
	struct weir_cut_entry entry = {0};
	struct order_table orders = {.entry = &entry, .count = is_cut};
	char *problem = NULL;

	assert_int_equal(target_resolve(image, target, &entry, &problem), 0);
	entry.order = 1;
	assert_int_equal(guard_set_cuts(guard, &orders), 0);
}

/* On an interface in a network namespace of its own. */
static struct guard *edge_up(struct image *image, int *program)
{
	char *uplinks[] = {"we0"}, *problem = NULL;
	struct guard_options options = {.instance = asking_instance,
					.cgroup = asking_cgroup,
					.uplinks = uplinks,
					.uplink_count = 1};
	struct guard *guard = NULL;

	guard_unload(asking_instance, &problem); /* a test that failed before this one left it */
	free(problem);
	problem = NULL;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link add we0 type veth peer name we1"), 0);
	if (guard_load(&options, image, &guard, &problem))
		fail_msg("load: %s", problem ? problem : "?");
	*program = asking_program("link_edge_we0");
	return guard;
}

static void edge_down(struct guard *guard, struct image *image, int program)
{
	char *problem = NULL;

	close(program);
	guard_close(guard);
	assert_int_equal(guard_unload(asking_instance, &problem), 0);
	image_free(image);
}

static void drops_what_is_cut_and_nothing_else(void **state)
{
	struct image image = compile_good(policy_text);
	struct drops drops = {0};
	struct guard *guard;
	int program;

	(void)state;
	guard = edge_up(&image, &program);
	for (int round = 0; round < ROUNDS; round++) {
		enum cut cut = round % CUTS;

		cut_set(guard, &image, cut == NORTH ? "partner:north" : "partner:cut",
			cut != NOTHING);
		/* the same ones under another cut, and others */
		unsigned int seed = round / 3 ? round : 1;

		for (int i = 0; i < FRAMES; i++) {
			const struct frame f = frame_any(&seed);

			run(program, &f, cut, &drops);
		}
		is_counted(guard, &image, &drops);
	}
	assert_true(drops.packets[CUT] > FRAMES / 4 && drops.packets[NORTH] > FRAMES / 4);
	edge_down(guard, &image, program);
}

/* ---- from each CPU at once --------------------------------------------------------------------
 */

enum { CPUS_AT_ONCE = 4 };

struct sender {
	pthread_t thread;
	int program;
	unsigned int seed;
	struct drops drops;
	size_t wrong;
};

static void *send_all(void *data)
{
	struct sender *sender = data;
	uint8_t packet[256] = {0}, out[256];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_out = out);

	for (int i = 0; i < FRAMES; i++) {
		const struct frame f = frame_any(&sender->seed);

		options.data_size_in = frame_write(&f, packet);
		options.data_size_out = sizeof(out);
		if (bpf_prog_test_run_opts(sender->program, &options))
			abort();
		sender->wrong += options.retval != expected(&f, CUT);
		sender->drops.packets[CUT] += options.retval == XDP_DROP;
		sender->drops.bytes[CUT] += options.retval == XDP_DROP ? options.data_size_in : 0;
	}
	return NULL;
}

/* Of the same sources, so that all write to the same places. */
static void judges_alike_on_all_cpus_at_once(void **state)
{
	struct image image = compile_good(policy_text);
	struct sender sender[CPUS_AT_ONCE] = {0};
	struct drops drops = {0};
	struct guard *guard;
	int program;

	(void)state;
	guard = edge_up(&image, &program);
	cut_set(guard, &image, "partner:cut", true);
	for (int i = 0; i < CPUS_AT_ONCE; i++) {
		sender[i] = (struct sender){.program = program, .seed = 1};
		assert_int_equal(pthread_create(&sender[i].thread, NULL, send_all, &sender[i]), 0);
	}
	for (int i = 0; i < CPUS_AT_ONCE; i++) {
		pthread_join(sender[i].thread, NULL);
		assert_int_equal(sender[i].wrong, 0);
		drops.packets[CUT] += sender[i].drops.packets[CUT];
		drops.bytes[CUT] += sender[i].drops.bytes[CUT];
	}
	is_counted(guard, &image, &drops);
	edge_down(guard, &image, program);
}

/* ---- many partners --------------------------------------------------------------------------- */

/* More than a CPU has places to count for: they take them from each other. */
enum { MANY = 700, TURNS = 60 };

static struct image many_image(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct image image;

	assert_non_null(out);
	fputs("weir: 1\nname: many\nmode: enforce\nservices:\n  files: {cgroup: "
	      "files}\npartners:\n",
	      out);
	for (int i = 0; i < MANY; i++)
		fprintf(out, "  m%d: {addresses: [10.0.%d.%d], class: [many]}\n", i, i >> 8,
			i & 255);
	fputs("grants:\n  - {name: one, service: files, partner: class:many, serves: tcp/443, "
	      "budget: "
	      "none}\n",
	      out);
	fclose(out);
	image = compile_good(text);
	free(text);
	return image;
}

struct reader {
	struct guard *guard;
	bool has_ended;
};

static int look_at(uint64_t key, const struct weir_meter *meter, void *data)
{
	(void)key;
	(void)meter;
	(void)data;
	return 0;
}

/* From another CPU, as it may be. */
static void *read_on(void *data)
{
	struct reader *reader = data;

	while (!__atomic_load_n(&reader->has_ended, __ATOMIC_ACQUIRE))
		if (guard_accounts(reader->guard, look_at, NULL))
			abort();
	return NULL;
}

struct tally {
	const struct image *image;
	uint64_t dropped[MANY];
};

static int take_meter(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct tally *tally = data;
	char name[16];

	(void)key;
	for (int i = 0; i < MANY && meter->grant_key == WEIR_KEY_EDGE; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		if (meter->partner_key == key_of(tally->image, name))
			tally->dropped[i] -= meter->refused_packets;
	}
	return 0;
}

static void counts_for_each_while_it_is_read(void **state)
{
	struct frame f = {.protocol = IPPROTO_TCP, .port = 443, .source_port = 40000};
	struct image image = many_image();
	struct tally tally = {.image = &image};
	struct reader reader = {0};
	uint8_t packet[256] = {0};
	pthread_t thread;
	int program;

	(void)state;
	reader.guard = edge_up(&image, &program);
	cut_set(reader.guard, &image, "class:many", true);
	assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
	for (int turn = 0; turn < TURNS; turn++) {
		for (int i = 0; i < MANY; i++) {
			LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet,
				    .repeat = 1 + (i + turn) % 50);

			f.host = i;
			options.data_size_in = frame_write(&f, packet);
			assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
			assert_int_equal(options.retval, XDP_DROP);
			tally.dropped[i] += options.repeat;
		}
	}
	__atomic_store_n(&reader.has_ended, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(guard_accounts(reader.guard, take_meter, &tally), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(tally.dropped[i], 0);
	edge_down(reader.guard, &image, program);
}

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_what_is_cut_and_nothing_else),
		cmocka_unit_test(judges_alike_on_all_cpus_at_once),
		cmocka_unit_test(counts_for_each_while_it_is_read),
	};

	return cmocka_run_group_tests_name("edge", tests, NULL, NULL);
}

int main(void)
{
	return asking_main(all_tests);
}
