// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * test_lease.c - what is lent to flows (bpf/lease.bpf.h) while the ground moves under it: another
 * policy, other windows, another generation. test_meter.c has the promise itself.
 */
#include "tests/prog/asking.h"

#include <sched.h>

enum { MB = 1000000, BUDGET_MB = 64 };

static const uint64_t begin_ns = 1000000000000ull;

/* `more`: further keys of the grant. */
static struct image image_with(const char *budget, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "weir: 1\nname: lent\nmode: enforce\n"
		 "services: {files: {cgroup: a}}\n"
		 "partners: {north: {addresses: [198.51.100.1]}}\n"
		 "grants:\n"
		 "  - {name: one, service: files, partner: north, serves: tcp/22, budget: %s%s}\n",
		 budget, more);
	return compile_good(text);
}

static struct image image_of(const char *budget)
{
	return image_with(budget, "");
}

static void apply(struct asking *asking, struct image image)
{
	struct order_table none = {0};
	char *problem = NULL;

	assert_int_equal(guard_apply(asking->guard, &image, &none, &problem), 0);
	image_free(&asking->image);
	asking->image = image;
}

/* A flow to a partner, with the answer of the policy in force. */
static struct ask judged(struct asking *asking, const char *peer)
{
	struct ask ask = {.is_established = 1, .protocol = 6, .cgroup = 1};

	ask.question = make_question(&asking->image, "files", WEIR_SERVES, "tcp/22", peer);
	asking_run(asking->programs->progs.ask_verdict, &ask);
	memcpy(ask.peer, ask.question.peer, 16);
	return ask;
}

static uint8_t send_parcel(struct asking *asking, const struct ask *flow, uint64_t now,
			   uint32_t bytes)
{
	struct ask ask = *flow;

	ask.now_ns = now;
	ask.bytes = bytes;
	ask.tick = now / guard_control(asking->guard).tick_ns;
	asking_run(asking->programs->progs.ask_charge, &ask);
	return ask.passes;
}

static void move_to(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

/* As guard_meter(), which would take back what is lent. */
static struct weir_meter peek(struct asking *asking, uint64_t account)
{
	struct weir_meter meter;

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(asking->programs->maps.meters), &account, &meter),
		0);
	return meter;
}

/* Sends on each CPU until a lease pays there; what was sent. */
static uint64_t borrow(struct asking *asking, const struct ask *flow, uint64_t now)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t sent = 0;

	for (int cpu = 0; cpu < cpus; cpu++) {
		uint8_t passes = 0;

		move_to(cpu);
		for (int i = 0; i < 16 && passes != ASK_LEASED; i++) {
			passes = send_parcel(asking, flow, now, 1000);
			assert_true(passes);
			sent += 1000;
		}
	}
	assert_int_equal(peek(asking, flow->answer.account).leases, cpus);
	return sent;
}

/* Sends so many bytes each time until it is refused; what passed. */
static uint64_t drain(struct asking *asking, const struct ask *flow, uint64_t now, uint32_t bytes)
{
	uint64_t sent = 0;

	while (send_parcel(asking, flow, now, bytes))
		sent += bytes;
	return sent;
}

/* ---- after a reboot --------------------------------------------------------------------------*/

/* A meter that was restored may have a slice that began before this boot, which wraps. */
static void a_slice_from_before_the_boot_lends_too(void **state)
{
	const uint32_t whole = BUDGET_MB * MB;
	const uint64_t now = 5000000000ull;
	struct weir_meter meter;
	struct asking asking;
	struct ask flow;
	uint64_t sent;

	(void)state;
	asking_begin(&asking, image_of("[64MB/16000s]"));
	flow = judged(&asking, "198.51.100.1");
	assert_true(send_parcel(&asking, &flow, now, 1000));
	meter = peek(&asking, flow.answer.account);
	meter.window[0].slice_start_ns = now - 500000000000ull; /* of 1,000 s */
	assert_int_equal(guard_put_meter(asking.guard, flow.answer.account, &meter), 0);
	sent = 1000 + borrow(&asking, &flow, now);
	sent += drain(&asking, &flow, now, 100000);
	sent += drain(&asking, &flow, now, 1000);
	assert_int_equal(sent, whole);
	asking_end(&asking);
}

/* ---- another policy while something is lent ---------------------------------------------------*/

/* Whatever the windows become: what was lent and not spent is room again. */
static void a_new_policy_takes_nothing_that_was_lent(void **state)
{
	static const char *const budgets[] = {
		"[64MB/100s]", "[64MB/200s]", "[64MB/150s, 64MB/400s]", "[64MB/150s, 64MB/300s]",
		"[64MB/90s]",
	};
	const uint32_t whole = BUDGET_MB * MB;
	struct asking asking;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(budgets) / sizeof(*budgets); i++) {
		uint64_t now = begin_ns, sent;
		struct ask flow;

		asking_begin(&asking, image_of(budgets[i]));
		flow = judged(&asking, "198.51.100.1");
		sent = borrow(&asking, &flow, now);
		apply(&asking, image_of(budgets[i + 1]));
		flow = judged(&asking, "198.51.100.1");
		now += 1000000000;
		assert_true(send_parcel(&asking, &flow, now, 1000));
		sent += 1000;
		sent += drain(&asking, &flow, now, 100000);
		sent += drain(&asking, &flow, now, 1000);
		print_message("%s -> %s: %lu of %u passed\n", budgets[i], budgets[i + 1], sent,
			      whole);
		assert_int_equal(sent, whole);
		asking_end(&asking);
	}
}

/* A grant that only observes from now on: what it would refuse is counted from the first byte. */
static void what_was_lent_hides_no_breach_of_what_observes(void **state)
{
	const char *budget = "[64MB/100s]";
	struct asking asking;
	struct weir_meter meter;
	uint64_t now = begin_ns, account, sent;
	struct ask flow;

	(void)state;
	asking_begin(&asking, image_of(budget));
	flow = judged(&asking, "198.51.100.1");
	account = flow.answer.account;
	sent = borrow(&asking, &flow, now);
	apply(&asking, image_with(budget, ", mode: observe"));
	flow = judged(&asking, "198.51.100.1");
	assert_int_not_equal(flow.answer.shadow, WEIR_NO_GRANT);
	now += 1000000000;
	for (; sent + 100000 <= BUDGET_MB * MB; sent += 100000)
		send_parcel(&asking, &flow, now, 100000);
	assert_int_equal(peek(&asking, account).would_refuse_packets, 0);
	for (int i = 0; i < 3; i++)
		send_parcel(&asking, &flow, now, 100000);
	meter = peek(&asking, account);
	assert_int_equal(meter.would_refuse_packets, 3);
	assert_int_equal(meter.leases, 0);
	asking_end(&asking);
}

/* ---- a packet that was kept from going on after it had read the clock
 * --------------------------*/

static const char two_text[] =
	"weir: 1\nname: late\nmode: enforce\n"
	"services: {files: {cgroup: a, budget: [6400MB/16s]}}\n"
	"partners:\n"
	"  north: {addresses: [198.51.100.1]}\n"
	"  south: {addresses: [198.51.100.2]}\n"
	"grants:\n"
	"  - {name: one, service: files, partner: north, serves: tcp/22, budget: [64MB/160s]}\n"
	"  - {name: two, service: files, partner: south, serves: tcp/22, budget: none}\n";

/* Its lump would lie in a slice that was over, and be taken back from a later one. */
static void a_late_packet_is_lent_nothing(void **state)
{
	const uint64_t second = 1000000000, t = begin_ns;
	struct asking asking;
	struct ask one, two;
	uint64_t sent = 0;

	(void)state;
	move_to(0);
	asking_begin(&asking, compile_good(two_text));
	one = judged(&asking, "198.51.100.1");
	two = judged(&asking, "198.51.100.2");
	assert_true(send_parcel(&asking, &one, t, 1000));		/* its slices last 10 s */
	assert_true(send_parcel(&asking, &two, t + 12 * second, 1000)); /* the service's: 1 s */
	for (int i = 0; i < 3; i++)
		assert_true(send_parcel(&asking, &one, t + second / 10, 1000));
	for (int i = 0; i < 50; i++, sent += 100000)
		assert_true(send_parcel(&asking, &one, t + 15 * second, 100000));
	sent += drain(&asking, &one, t + 15 * second, 1000);
	assert_int_equal(sent, BUDGET_MB * MB - 4000);
	assert_int_equal(drain(&asking, &one, t + 171 * second, 1000), 4000);
	asking_end(&asking);
}

/* ---- what is told -----------------------------------------------------------------------------*/

enum { MANY = 250 };

static struct image image_of_many(void)
{
	static char text[MANY * 60 + 1000];
	int n = snprintf(text, sizeof(text),
			 "weir: 1\nname: many\nmode: enforce\n"
			 "services: {files: {cgroup: a, budget: [100MB/1600s]}}\npartners:\n");

	for (int i = 1; i <= MANY; i++)
		n += snprintf(text + n, sizeof(text) - n, "  p%d: {addresses: [198.51.100.%d]}\n",
			      i, i);
	snprintf(text + n, sizeof(text) - n,
		 "grants:\n  - {name: all, service: files, partner: any, serves: tcp/22, "
		 "budget: none}\n");
	return compile_good(text);
}

/* 80 % of a budget are told when they have left, and not when they are lent to many who send
 * little; and once in a window, so that what is told too early is missing later. */
static void what_is_lent_is_no_warning(void **state)
{
	struct asking asking;
	uint64_t sent = 0, ceiling;
	struct ask flow;
	char peer[32];

	(void)state;
	move_to(0);
	asking_begin(&asking, image_of_many());
	ceiling =
		weir_meter_key(WEIR_KEY_CEILING,
			       asking.image.services[image_service(&asking.image, "files")].key, 0);
	for (int i = 1; i <= MANY; i++) {
		snprintf(peer, sizeof(peer), "198.51.100.%d", i);
		flow = judged(&asking, peer);
		for (int j = 0; j < 4; j++, sent += 1000)
			assert_true(send_parcel(&asking, &flow, begin_ns, 1000));
	}
	print_message("%lu of 100000000 sent, %llu bytes charged, %llu leases\n", sent,
		      peek(&asking, ceiling).window[0].used_bytes, peek(&asking, ceiling).leases);
	assert_int_equal(peek(&asking, ceiling).window[0].warned_until_ns, 0);
	for (; sent <= 80 * MB; sent += 100000) {
		assert_int_equal(peek(&asking, ceiling).window[0].warned_until_ns, 0);
		assert_true(send_parcel(&asking, &flow, begin_ns + 1000000000, 100000));
	}
	assert_int_not_equal(peek(&asking, ceiling).window[0].warned_until_ns, 0);
	asking_end(&asking);
}

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slice_from_before_the_boot_lends_too),
		cmocka_unit_test(what_is_lent_is_no_warning),
		cmocka_unit_test(a_late_packet_is_lent_nothing),
		cmocka_unit_test(what_was_lent_hides_no_breach_of_what_observes),
		cmocka_unit_test(a_new_policy_takes_nothing_that_was_lent),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}

int main(void)
{
	return asking_main(all_tests);
}
