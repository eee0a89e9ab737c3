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

/* The flow of the one grant, with the answer of the policy in force. */
static struct ask judged(struct asking *asking)
{
	struct ask ask = {.is_established = 1, .protocol = 6, .cgroup = 1};

	ask.question =
		make_question(&asking->image, "files", WEIR_SERVES, "tcp/22", "198.51.100.1");
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
		flow = judged(&asking);
		sent = borrow(&asking, &flow, now);
		apply(&asking, image_of(budgets[i + 1]));
		flow = judged(&asking);
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
	flow = judged(&asking);
	account = flow.answer.account;
	sent = borrow(&asking, &flow, now);
	apply(&asking, image_with(budget, ", mode: observe"));
	flow = judged(&asking);
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

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_lent_hides_no_breach_of_what_observes),
		cmocka_unit_test(a_new_policy_takes_nothing_that_was_lent),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}

int main(void)
{
	return asking_main(all_tests);
}
