// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * test_meter.c - promise 2 on the guard's own meters: never more than the budget in any window, and
 * no refusal while there is room, for random sends, sizes, windows and CPUs, in time that the test
 * makes.
 *
 * The model is the promise itself, by brute force over all that passed: a parcel that passed must
 * fit into every limit less what left in the last W; one that was refused must not have fitted into
 * some limit less what left in the last W + W/16.
 */
#include "tests/prog/asking.h"

#include <pthread.h>
#include <sched.h>

enum { SENT = 20000, THREADS = 4, LIMITS = 8, FLOWS = 7 };

/* Budgets in units of `K`. */
#define POLICY(K)                                                                                  \
	"weir: 1\n"                                                                                \
	"name: meters\n"                                                                           \
	"mode: enforce\n"                                                                          \
	"services:\n"                                                                              \
	"  files: {cgroup: a, budget: [900" K "/7s]}\n"                                            \
	"  mail: {cgroup: b, strangers: {serves: [90" K "/3s, 300" K "/20s], total: [200" K        \
	"/5s]}}\n"                                                                                 \
	"partners:\n"                                                                              \
	"  north: {addresses: [198.51.100.1], budget: [400" K "/2s, 3000" K "/30s]}\n"             \
	"  south: {addresses: [\"2001:db8::/64\"]}\n"                                              \
	"grants:\n"                                                                                \
	"  - {name: one, service: files, partner: north, serves: tcp/22, budget: [300" K           \
	"/1s, 1000" K "/6s, 4000" K "/60s]}\n"                                                     \
	"  - {name: two, service: files, partner: south, serves: tcp/22, budget: [250" K           \
	"/1500s]}\n"                                                                               \
	"  - {name: three, service: mail, partner: north, calls: tcp/25, budget: [150" K "/1s]}\n" \
	"  - {name: four, service: mail, partner: south, serves: tcp/22, budget: [100" K           \
	"/10s], on_breach: alert}\n"                                                               \
	"strangers: {serves: [64KiB/10s], calls: deny}\n"

static const char policy_text[] = POLICY("KB");

/* The same with so much room that bytes are lent, to parcels that are as much bigger. */
static const char lent_text[] = POLICY("MB");
enum { LENT = 300 };

/* ---- the model
 * ---------------------------------------------------------------------------------*/

struct passed {
	uint64_t at_ns;
	uint32_t bytes;
};

/* One budget and all that it has seen. */
struct history {
	struct weir_limits limits;
	struct passed *item;
	size_t count;
};

/* A flow: who asks what, and which budgets its parcels meet. */
struct flow {
	const char *service, *endpoint, *peer;
	uint8_t direction;
	int history[3]; /* -1: none */
	struct ask ask; /* with the kernel's answer */
};

static struct history histories[LIMITS];
static bool lends;
static size_t leased; /* parcels that a lease paid for */

static uint64_t seen(const struct history *history, uint64_t since_ns)
{
	uint64_t bytes = 0;

	for (size_t i = history->count; i-- && history->item[i].at_ns >= since_ns;)
		bytes += history->item[i].bytes;
	return bytes;
}

static uint64_t before(uint64_t now, uint64_t span)
{
	return now > span ? now - span : 0;
}

/* Whether `bytes` more at `now` fit into every window, looking back W plus W/`grace`. */
static bool fits(const struct flow *flow, uint64_t now, uint32_t bytes, bool with_grace)
{
	for (int i = 0; i < 3; i++) {
		const struct history *history;

		if (flow->history[i] < 0)
			continue;
		history = &histories[flow->history[i]];
		for (int j = 0; j < WEIR_WINDOWS && history->limits.window[j].window_ns; j++) {
			uint64_t span = history->limits.window[j].window_ns;

			if (with_grace)
				span += span / 16;
			if (seen(history, before(now, span)) + bytes >
			    history->limits.window[j].bytes)
				return false;
		}
	}
	return true;
}

static void note(const struct flow *flow, uint64_t now, uint32_t bytes)
{
	for (int i = 0; i < 3; i++) {
		struct history *history;

		if (flow->history[i] < 0)
			continue;
		history = &histories[flow->history[i]];
		assert_true(history->count < SENT * THREADS);
		history->item[history->count++] = (struct passed){now, bytes};
	}
}

enum { ONE, TWO, THREE, FILES, NORTH, PEER1, PEER2, TOTAL };

static struct flow flows[FLOWS] = {
	{"files", "tcp/22", "198.51.100.1", WEIR_SERVES, {ONE, FILES, NORTH}, {}},
	{"files", "tcp/22", "2001:db8::5", WEIR_SERVES, {TWO, FILES, -1}, {}},
	{"mail", "tcp/25", "198.51.100.1", WEIR_CALLS, {THREE, NORTH, -1}, {}},
	{"mail", "tcp/25", "203.0.113.9", WEIR_SERVES, {PEER1, TOTAL, -1}, {}},
	{"mail", "tcp/25", "2001:db8:9:100::1", WEIR_SERVES, {PEER2, TOTAL, -1}, {}},
	/* another address in the same /56: the same stranger */
	{"mail", "tcp/25", "2001:db8:9:1ff::77", WEIR_SERVES, {PEER2, TOTAL, -1}, {}},
	/* alert: counts, never refuses */
	{"mail", "tcp/22", "2001:db8::5", WEIR_SERVES, {-1, -1, -1}, {}},
};

static struct weir_limits grant_limits(const struct image *image, const char *name)
{
	return image->grants[image_grant(image, name)].budget;
}

static void model_begin(struct asking *asking)
{
	const struct image *image = &asking->image;
	const struct weir_service *mail = &image->services[image_service(image, "mail")];

	for (int i = 0; i < LIMITS; i++) {
		free(histories[i].item);
		histories[i] =
			(struct history){.item = calloc(SENT * THREADS, sizeof(struct passed))};
		assert_non_null(histories[i].item);
	}
	histories[ONE].limits = grant_limits(image, "one");
	histories[TWO].limits = grant_limits(image, "two");
	histories[THREE].limits = grant_limits(image, "three");
	histories[FILES].limits = image->services[image_service(image, "files")].ceiling;
	histories[NORTH].limits = image->partners[image_partner(image, "north")].ceiling;
	histories[PEER1].limits = histories[PEER2].limits = mail->strangers.serves;
	histories[TOTAL].limits = mail->strangers.total;
	for (int i = 0; i < FLOWS; i++) {
		struct flow *flow = &flows[i];

		flow->ask = (struct ask){.is_established = 1, .protocol = 6};
		flow->ask.question = make_question(image, flow->service, flow->direction,
						   flow->endpoint, flow->peer);
		asking_run(asking->programs->progs.ask_verdict, &flow->ask);
		memcpy(flow->ask.peer, flow->ask.question.peer, 16);
		assert_int_equal(flow->ask.answer.verdict, WEIR_PASS);
	}
}

static bool send_parcel(struct asking *asking, const struct flow *flow, uint64_t now,
			uint32_t bytes)
{
	struct ask ask = flow->ask;

	ask.now_ns = now;
	ask.bytes = bytes;
	if (lends) {
		ask.cgroup = 1;
		ask.tick = now / guard_control(asking->guard).tick_ns;
	}
	asking_run(asking->programs->progs.ask_charge, &ask);
	if (ask.passes == ASK_LEASED)
		__atomic_fetch_add(&leased, 1, __ATOMIC_RELAXED);
	return ask.passes;
}

/* ---- one CPU: every single answer is checked
 * -----------------------------------------------------*/

/* The counters hold what passed, of each account that one flow alone is charged to. */
static void counters_hold(struct asking *asking, const uint64_t sent[FLOWS])
{
	struct weir_meter meter;

	for (int f = 0; f < 3; f++) {
		const struct flow *flow = &flows[f];

		assert_int_equal(guard_meter(asking->guard, flow->ask.answer.account, &meter), 0);
		assert_int_equal(meter.sent_bytes[flow->direction == WEIR_CALLS], sent[f]);
		assert_int_equal(meter.leases, 0);
	}
}

static void every_answer_is_the_promise(const char *text, uint32_t scale)
{
	uint64_t now = 1000000000000ull, sent[FLOWS] = {0};
	size_t passed = 0, refused = 0;
	struct asking asking;
	const struct flow *flow;
	int f = 0;

	srand(7);
	asking_begin(&asking, compile_good(text));
	model_begin(&asking);
	leased = 0;
	for (int i = 0; i < SENT; i++) {
		uint32_t bytes = rand() % 8 ? 40 + rand() % 1500 : 1 + rand() % 65000;
		bool passes;

		bytes *= scale;
		/* mostly bursts, now and then a pause, sometimes longer than every window */
		now += (uint64_t)(rand() % 20 ? rand() % 3000000 : rand() % 900000000) /
		       (scale > 1 ? 10 : 1);
		if (rand() % 500 == 0)
			now += (uint64_t)(rand() % 100) * 1000000000ull;
		/* what is lent is lent to who sends more than once */
		if (scale == 1 || rand() % 16 == 0)
			f = rand() % FLOWS;
		flow = &flows[f];
		passes = send_parcel(&asking, flow, now, bytes);
		sent[f] += passes ? bytes : 0;
		if (flow == &flows[FLOWS - 1]) {
			assert_true(passes);
		} else if (passes) {
			assert_true(fits(flow, now, bytes, false));
			note(flow, now, bytes);
			passed++;
		} else {
			assert_false(fits(flow, now, bytes, true));
			refused++;
		}
	}
	print_message("%zu passed, %zu of them leased, %zu refused\n", passed, leased, refused);
	assert_true(passed > SENT / 10 && refused > SENT / 10);
	counters_hold(&asking, sent);
	asking_end(&asking);
}

static void every_answer_is_the_promise_one_by_one(void **state)
{
	(void)state;
	every_answer_is_the_promise(policy_text, 1);
}

static void every_answer_is_the_promise_on_leases(void **state)
{
	(void)state;
	lends = true;
	every_answer_is_the_promise(lent_text, LENT);
	lends = false;
	assert_true(leased > SENT / 10);
}

/* ---- several CPUs: phases of equal time, checked at the end of each
 * --------------------------------*/

struct attempt {
	int flow;
	uint32_t bytes;
	bool passes;
};

struct sender {
	struct asking *asking;
	pthread_t thread;
	unsigned seed;
	int cpu;
	uint64_t now;
	uint32_t scale;
	struct attempt attempt[64];
};

static void *sender_run(void *data)
{
	struct sender *sender = data;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sender->cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	for (size_t i = 0; i < 64; i++) {
		struct attempt *a = &sender->attempt[i];

		/* what is lent is lent to who sends more than once */
		a->flow = i && sender->scale > 1 && rand_r(&sender->seed) % 8
				  ? sender->attempt[i - 1].flow
				  : (int)(rand_r(&sender->seed) % (FLOWS - 1));
		a->bytes = (40 + rand_r(&sender->seed) % 9000) * sender->scale;
		a->passes = send_parcel(sender->asking, &flows[a->flow], sender->now, a->bytes);
	}
	return NULL;
}

static void phase_check(const struct sender *senders, uint64_t now)
{
	for (int t = 0; t < THREADS; t++)
		for (size_t i = 0; i < 64; i++)
			if (senders[t].attempt[i].passes)
				note(&flows[senders[t].attempt[i].flow], now,
				     senders[t].attempt[i].bytes);
	/* What passed, all of it together, is within every limit; what was refused did not fit. */
	for (int f = 0; f < FLOWS - 1; f++)
		assert_true(fits(&flows[f], now, 0, false));
	for (int t = 0; t < THREADS; t++)
		for (size_t i = 0; i < 64; i++)
			if (!senders[t].attempt[i].passes)
				assert_false(fits(&flows[senders[t].attempt[i].flow], now,
						  senders[t].attempt[i].bytes, true));
}

static void it_holds_on_several_cpus(const char *text, uint32_t scale)
{
	struct sender senders[THREADS] = {0};
	uint64_t now = 1000000000000ull;
	struct asking asking;

	asking_begin(&asking, compile_good(text));
	leased = 0;
	model_begin(&asking);
	for (int phase = 0; phase < 150; phase++) {
		now += (uint64_t)(rand() % 1500) * 1000000ull;
		for (int t = 0; t < THREADS; t++) {
			senders[t].asking = &asking;
			senders[t].seed = phase * THREADS + t;
			senders[t].cpu = t % sysconf(_SC_NPROCESSORS_ONLN);
			senders[t].now = now;
			senders[t].scale = scale;
			assert_int_equal(
				pthread_create(&senders[t].thread, NULL, sender_run, &senders[t]),
				0);
		}
		for (int t = 0; t < THREADS; t++)
			pthread_join(senders[t].thread, NULL);
		phase_check(senders, now);
	}
	asking_end(&asking);
}

/* A lease may be spent for some ticks, and some more if jiffies stand still: nothing is lent that a
 * window's slice would not outlive. The shortest window of `one` has slices of 1/16 s. */
static void nothing_is_lent_at_the_end_of_a_slice(void **state)
{
	const uint64_t begin = 1000000000000ull, slice = 1000000000ull / 16;
	struct asking asking;
	uint64_t most, tick;

	(void)state;
	lends = true;
	asking_begin(&asking, compile_good(lent_text));
	model_begin(&asking);
	tick = guard_control(asking.guard).tick_ns;
	most = 9 * tick; /* LEASE_TICKS + LEASE_LATE */
	assert_true(tick && most < slice);
	leased = 0;
	assert_true(send_parcel(&asking, &flows[0], begin, 1000)); /* its slice begins here */
	for (uint64_t now = begin + slice - most + 1; now < begin + slice; now += tick / 4)
		assert_true(send_parcel(&asking, &flows[0], now, 1000));
	assert_int_equal(leased, 0);
	for (uint64_t now = begin + slice; now < begin + 2 * slice - most; now += tick / 4)
		assert_true(send_parcel(&asking, &flows[0], now, 1000));
	assert_true(leased > 0);
	asking_end(&asking);
	lends = false;
}

static void it_holds_on_several_cpus_one_by_one(void **state)
{
	(void)state;
	it_holds_on_several_cpus(policy_text, 1);
}

static void it_holds_on_several_cpus_on_leases(void **state)
{
	(void)state;
	lends = true;
	it_holds_on_several_cpus(lent_text, LENT);
	lends = false;
	print_message("%zu leased\n", leased);
	assert_true(leased > 1000);
}

/* ---- what a breach does, and what a new policy does
 * ------------------------------------------------*/

static const char breach_text[] =
	"weir: 1\n"
	"name: breach\n"
	"mode: enforce\n"
	"services: {files: {cgroup: a}}\n"
	"partners: {north: {addresses: [198.51.100.1]}}\n"
	"grants:\n"
	"  - {name: one, service: files, partner: north, serves: tcp/22, budget: [100KB/10s],\n"
	"     on_breach: sever}\n";

static void only_an_established_connection_severs(void **state)
{
	struct flow flow = {"files", "tcp/22", "198.51.100.1", WEIR_SERVES, {-1, -1, -1}, {}};
	uint64_t now = 1000000000000ull;
	struct weir_meter meter;
	struct asking asking;

	(void)state;
	asking_begin(&asking, compile_good(breach_text));
	flow.ask.question = make_question(&asking.image, flow.service, flow.direction,
					  flow.endpoint, flow.peer);
	asking_run(asking.programs->progs.ask_verdict, &flow.ask);
	memcpy(flow.ask.peer, flow.ask.question.peer, 16);

	assert_false(send_parcel(&asking, &flow, now, 100001));
	assert_int_equal(guard_meter(asking.guard, flow.ask.answer.account, &meter), 0);
	assert_int_equal(meter.severed_ns, 0);
	assert_true(send_parcel(&asking, &flow, now, 1000));

	flow.ask.is_established = 1;
	assert_false(send_parcel(&asking, &flow, now + 1, 99001));
	assert_int_equal(guard_meter(asking.guard, flow.ask.answer.account, &meter), 0);
	assert_int_equal(meter.severed_ns, now + 1);
	assert_false(send_parcel(&asking, &flow, now + 60000000000ull, 1));

	assert_int_equal(guard_clear_latch(asking.guard, flow.ask.answer.account), 0);
	assert_true(send_parcel(&asking, &flow, now + 60000000000ull, 1));
	asking_end(&asking);
}

/* User space finds a stranger's slot by the same hash. */
static void user_space_finds_the_slot_of_a_stranger(void **state)
{
	static const int strangers[] = {3, 4};
	struct weir_meter meter;
	struct asking asking;

	(void)state;
	asking_begin(&asking, compile_good(policy_text));
	model_begin(&asking);
	for (int i = 0; i < 2; i++) {
		const struct flow *flow = &flows[strangers[i]];
		uint64_t service = asking.image.services[flow->ask.question.service].key;

		assert_true(send_parcel(&asking, flow, 1000000000000ull, 1234 + i));
		assert_int_equal(
			guard_peer_meter(asking.guard, service, true, flow->ask.peer, &meter), 0);
		assert_int_equal(meter.window[0].used_bytes, 1234 + i);
	}
	asking_end(&asking);
}

struct met {
	int count;
	uint64_t used_bytes;
};

static int note_met(uint32_t slot, const struct weir_meter *meter, void *data)
{
	struct met *met = data;

	(void)slot;
	met->count++;
	met->used_bytes += meter->window[0].used_bytes;
	return 0;
}

/* What a save reads: two strangers at different times, and one whose packet was refused. A second
 * is allowed for, in which a packet that noted itself is charged. */
static void slots_that_were_met_since_are_told(void **state)
{
	const uint64_t first = 1000000000000ull, later = first + 5000000000ull;
	const uint64_t allowed = 1000000000;
	struct met met = {0};
	struct asking asking;

	(void)state;
	asking_begin(&asking, compile_good(policy_text));
	model_begin(&asking);
	assert_int_equal(guard_strangers_since(asking.guard, 1, note_met, &met), 0);
	assert_int_equal(met.count, 0);
	assert_true(send_parcel(&asking, &flows[3], first, 1234));
	assert_true(send_parcel(&asking, &flows[4], later, 1235));

	assert_int_equal(guard_strangers_since(asking.guard, first + allowed, note_met, &met), 0);
	assert_int_equal(met.count, 2);
	assert_int_equal(met.used_bytes, 1234 + 1235);
	met = (struct met){0};
	assert_int_equal(guard_strangers_since(asking.guard, first + allowed + 1, note_met, &met),
			 0);
	assert_int_equal(met.count, 1);
	assert_int_equal(met.used_bytes, 1235);

	assert_false(send_parcel(&asking, &flows[3], later + 1, 1 << 30));
	met = (struct met){0};
	assert_int_equal(guard_strangers_since(asking.guard, later + allowed + 1, note_met, &met),
			 0);
	assert_int_equal(met.count, 1);
	asking_end(&asking);
}

static void apply_text(struct asking *asking, const char *budget)
{
	struct order_table none = {0};
	char text[1024], *problem = NULL;
	struct image image;

	snprintf(text, sizeof(text),
		 "weir: 1\nname: windows\nmode: enforce\nservices: {files: {cgroup: a}}\n"
		 "partners: {north: {addresses: [198.51.100.1]}}\n"
		 "grants:\n"
		 "  - {name: one, service: files, partner: north, serves: tcp/22, budget: %s}\n",
		 budget);
	image = compile_good(text);
	assert_int_equal(guard_apply(asking->guard, &image, &none, &problem), 0);
	image_free(&asking->image);
	asking->image = image;
}

/* Whatever the windows become, what left inside them counts; what left before them does not. */
static void a_new_policy_resets_no_meter(void **state)
{
	static const char *const budgets[] = {
		"[100KB/10s]",
		"[100KB/100s]",
		"[50KB/5s, 100KB/100s]",
		"[100KB/50s]",
		"[30KB/3s, 60KB/30s]",
		"[100KB/20s]",
		"[40KB/4s, 60KB/40s, 90KB/400s]",
		"[100KB/10s, 200KB/60s]",
	};
	struct flow flow = {"files", "tcp/22", "198.51.100.1", WEIR_SERVES, {ONE, -1, -1}, {}};
	uint64_t now = 1000000000000ull;
	uint64_t known_since = now;
	struct asking asking;

	(void)state;
	srand(3);
	asking_begin(&asking, compile_good(breach_text));
	for (int i = 0; i < LIMITS; i++) {
		free(histories[i].item);
		histories[i] =
			(struct history){.item = calloc(SENT * THREADS, sizeof(struct passed))};
	}
	for (int round = 0; round < 60; round++) {
		uint64_t longest = 0;

		apply_text(&asking, budgets[rand() % 8]);
		histories[ONE].limits = grant_limits(&asking.image, "one");
		flow.ask = (struct ask){.protocol = 6, .is_established = 1};
		flow.ask.question = make_question(&asking.image, flow.service, flow.direction,
						  flow.endpoint, flow.peer);
		asking_run(asking.programs->progs.ask_verdict, &flow.ask);
		memcpy(flow.ask.peer, flow.ask.question.peer, 16);
		/* A longer window cannot know what the windows before it had let go. */
		for (int j = 0; j < WEIR_WINDOWS; j++)
			if (histories[ONE].limits.window[j].window_ns > longest)
				longest = histories[ONE].limits.window[j].window_ns;
		for (int i = 0; i < 60; i++) {
			uint32_t bytes = 1 + rand() % 9000;
			struct history *h = &histories[ONE];

			now += (uint64_t)(rand() % 300) * 1000000ull;
			if (!send_parcel(&asking, &flow, now, bytes))
				continue;
			note(&flow, now, bytes);
			for (int j = 0; j < WEIR_WINDOWS; j++) {
				uint64_t since = before(now, h->limits.window[j].window_ns);

				if (!h->limits.window[j].window_ns)
					continue;
				if (since < known_since)
					since = known_since;
				assert_true(seen(h, since) <= h->limits.window[j].bytes);
			}
		}
		known_since =
			before(now, longest) > known_since ? before(now, longest) : known_since;
	}
	asking_end(&asking);
}

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_is_the_promise_one_by_one),
		cmocka_unit_test(every_answer_is_the_promise_on_leases),
		cmocka_unit_test(nothing_is_lent_at_the_end_of_a_slice),
		cmocka_unit_test(it_holds_on_several_cpus_one_by_one),
		cmocka_unit_test(it_holds_on_several_cpus_on_leases),
		cmocka_unit_test(only_an_established_connection_severs),
		cmocka_unit_test(user_space_finds_the_slot_of_a_stranger),
		cmocka_unit_test(slots_that_were_met_since_are_told),
		cmocka_unit_test(a_new_policy_resets_no_meter),
	};

	return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}

int main(void)
{
	return asking_main(all_tests);
}
