// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * test_expect.c - every policies/NAME.expect, asked of the kernel: the answers of a loaded guard
 * must be those of the file, and those of `explain`. Then random questions, kernel against explain.
 */
#include "tests/prog/asking.h"

#include <glob.h>
#include <time.h>

#include "user/base/file.h"
#include "user/policy/expect.h"
#include "user/policy/target.h"

static char *text_of(const char *path)
{
	char *text = NULL;
	size_t length;

	assert_int_equal(file_read(path, 1 << 20, &text, &length), 0);
	return text;
}

static struct image image_of(const char *path, uint64_t now_ns)
{
	struct sources sources = {0};
	struct faults faults = {0};
	struct policy policy = {0};
	struct image image = {0};

	assert_int_equal(sources_load(path, &sources, &faults), 0);
	assert_int_equal(policy_read(&sources, &policy, &faults), 0);
	assert_int_equal(image_compile(&policy, now_ns, &image, &faults), 0);
	policy_free(&policy);
	sources_free(&sources);
	faults_free(&faults);
	return image;
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* At `wall_ns`; the answer holds until a time of that clock, as explain's does. */
static void kernel_answer(struct asking *asking, const struct weir_question *question,
			  uint64_t wall_ns, bool hours_closed, struct weir_answer *answer)
{
	struct ask ask = {.question = *question};
	uint64_t boot = boot_ns();

	ask.question.now_ns = boot;
	assert_int_equal(guard_set_clock(asking->guard, wall_ns - boot, hours_closed), 0);
	asking_run(asking->programs->progs.ask_verdict, &ask);
	*answer = ask.answer;
	if (answer->valid_until_ns != UINT64_MAX)
		answer->valid_until_ns += wall_ns - boot;
}

static void file_holds(const char *path)
{
	char policy_path[256], *text, *problem = NULL;
	struct expects expects = {0};
	struct asking asking;
	uint64_t now_ns = 0;
	size_t wrong = 0;

	snprintf(policy_path, sizeof(policy_path), "%.*s.yaml", (int)(strlen(path) - 7), path);
	text = text_of(path);
	assert_int_equal(expect_now(text, &now_ns, &problem), 0);
	asking_begin(&asking, image_of(policy_path, now_ns));
	assert_int_equal(expects_read(&asking.image, text, &expects, &problem), 0);
	assert_true(expects.count > 0);
	for (size_t i = 0; i < expects.count; i++) {
		const struct expect *expect = &expects.item[i];
		struct order_table cuts = {.entry = expect->cuts, .count = expect->cut_count};
		struct weir_answer answer;

		assert_int_equal(guard_set_cuts(asking.guard, &cuts), 0);
		kernel_answer(&asking, &expect->question, expect->question.now_ns, false, &answer);
		if (expect_holds(&asking.image, expect, &answer, &problem))
			continue;
		print_error("%s:%u: %s: %s\n", path, expect->line, expect->text, problem);
		free(problem);
		wrong++;
	}
	print_message("%s: %zu questions\n", path, expects.count);
	expects_free(&expects);
	free(text);
	asking_end(&asking);
	assert_int_equal(wrong, 0);
}

static void the_kernel_answers_like_the_files(void **state)
{
	glob_t found = {0};

	(void)state;
	assert_int_equal(glob("policies/*.expect", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		file_holds(found.gl_pathv[i]);
	globfree(&found);
}

static const char random_policy[] =
	"weir: 1\n"
	"name: random\n"
	"mode: enforce\n"
	"zone: Europe/Berlin\n"
	"lifeline:\n"
	"  - {service: admin, serves: tcp/22, to: [10.0.0.0/30, \"2001:db8::/126\"]}\n"
	"  - {service: resolver, calls: [udp/53], to: [10.0.1.0/30]}\n"
	"services:\n"
	"  admin: {cgroup: a}\n"
	"  resolver: {cgroup: b, class: [red]}\n"
	"  files: {cgroup: c, class: [blue]}\n"
	"  portal: {cgroup: d, mode: observe}\n"
	"partners:\n"
	"  wide: {addresses: [10.0.0.0/16, \"2001:db8::/32\"], class: [red]}\n"
	"  narrow: {addresses: [10.0.1.0/24, \"2001:db8:0:1::/64\"], class: [blue, green]}\n"
	"  host: {addresses: [10.0.1.2], until: 2027-06-01}\n"
	"grants:\n"
	"  - {name: a, service: any, partner: any, serves: tcp/1-40, budget: none}\n"
	"  - {name: b, service: files, partner: class:red, serves: tcp/20-30, budget: [1MiB/1h],\n"
	"     hours: Mon-Fri 08:00-18:00, class: [green]}\n"
	"  - {name: c, service: any, partner: narrow, calls: [udp/50-60, icmp], budget: none}\n"
	"  - {name: d, service: class:blue, partner: narrow, calls_back: tcp/1-1000, budget: "
	"none}\n"
	"  - {name: e, service: any, partner: host, serves: tcp/22, budget: none, mode: observe}\n"
	"  - {name: f, service: files, partner: host, serves: tcp/22, budget: none}\n"
	"strangers: {serves: [64KiB/10m], calls: deny}\n";

static void random_question(struct weir_question *q)
{
	static const uint8_t protocols[] = {6, 17, 1, 58, 47};
	static const uint16_t ports[] = {1, 20, 22, 30, 40, 41, 50, 53, 60, 999, 0};

	memset(q, 0, sizeof(*q));
	q->peer[10] = q->peer[11] = 0xff;
	q->peer[12] = 10;
	q->peer[13] = rand() % 2;
	q->peer[14] = rand() % 3;
	q->peer[15] = rand() % 5;
	if (rand() % 3 == 0) {
		memset(q->peer, 0, sizeof(q->peer));
		memcpy(q->peer, "\x20\x01\x0d\xb8", 4);
		q->peer[3] += rand() % 2;
		q->peer[7] = rand() % 2;
		q->peer[15] = rand() % 5;
	}
	q->service = rand() % (WEIR_SERVICE_NAMED + 4);
	q->protocol = protocols[rand() % 5];
	q->direction = rand() % 2 ? WEIR_SERVES : WEIR_CALLS;
	q->is_held = q->direction == WEIR_CALLS && rand() % 2;
	q->port = ports[rand() % 11];
	q->cut_slot = WEIR_ANY;
}

static size_t random_cuts(const struct image *image, struct weir_cut_entry *entries)
{
	static const char *const targets[] = {
		"all",
		"strangers",
		"partner:wide",
		"partner:narrow@service:files",
		"service:portal",
		"class:red",
		"class:green",
		"class:blue",
		"grant:b",
		"addr:10.0.1.0/31",
		"addr:2001:db8:0:1::/64",
		"all@service:files",
	};
	size_t count = rand() % 6;

	for (size_t i = 0; i < count; i++) {
		char *problem = NULL;

		assert_int_equal(target_resolve(image, targets[rand() % 12], &entries[i], &problem),
				 0);
		entries[i].order = 100 + i;
		entries[i].is_exception = i && rand() % 2;
	}
	return count;
}

/* Of strangers' addresses, of some that a partner has already, and of nothing. */
static void random_addition(const struct image *image, struct weir_override *override)
{
	static const char *const prefixes[] = {"addr:10.1.0.0/24", "addr:10.1.0.0/31",
					       "addr:10.1.1.3",	   "addr:2001:db9::/32",
					       "addr:10.0.1.0/24", "addr:10.1.0.0/16"};
	char *problem = NULL;

	override->kind = WEIR_ORDER_PARTNER_ADD;
	assert_int_equal(target_resolve(image, prefixes[rand() % 6], &override->at, &problem), 0);
	override->at.index = 1 + rand() % (image->head.partners - 1);
	if (rand() % 8 == 0) /* a policy took away its name */
		override->at =
			(struct weir_cut_entry){.target = WEIR_TARGET_NOTHING, .service = WEIR_ANY};
}

/* Some are over, some end soon. */
static size_t random_overrides(const struct image *image, uint64_t wall_ns,
			       struct weir_override *overrides)
{
	static const char *const targets[] = {"all",
					      "service:portal",
					      "service:files",
					      "partner:narrow",
					      "class:red",
					      "class:green",
					      "partner:wide@service:files"};
	size_t count = rand() % 6;

	for (size_t i = 0; i < count; i++) {
		struct weir_override *override = &overrides[i];
		char *problem = NULL;

		*override = (struct weir_override){0};
		assert_int_equal(
			target_resolve(image, targets[rand() % 7], &override->at, &problem), 0);
		override->kind = rand() % 8 == 0   ? WEIR_ORDER_PROBATION
				 : rand() % 3 == 0 ? WEIR_ORDER_PAUSE
						   : WEIR_ORDER_EXTEND;
		if (rand() % 3 == 0)
			random_addition(image, override);
		override->until_ns = wall_ns - 1000000 + rand() % 2000000;
		override->more_bytes = rand() % 1000000;
		if (override->kind == WEIR_ORDER_PROBATION) {
			override->until_ns = UINT64_MAX;
			override->parts = 1 + rand() % (WEIR_WHOLE - 1);
		}
		override->grant = rand() % image->head.grants;
	}
	return count;
}

static uint64_t overrule_of(const struct weir_answer *a)
{
	return a->reason == WEIR_REASON_CUT ? 0 : a->overrule;
}

static bool are_the_same(const struct weir_answer *a, const struct weir_answer *b)
{
	return a->verdict == b->verdict && a->reason == b->reason && a->grant == b->grant &&
	       a->shadow == b->shadow && a->partner == b->partner &&
	       weir_order_of(a) == weir_order_of(b) && a->observe == b->observe &&
	       a->account == b->account && a->direction == b->direction &&
	       overrule_of(a) == overrule_of(b) && a->valid_until_ns == b->valid_until_ns;
}

static void answer_print(const char *whose, const struct weir_answer *a)
{
	print_error("%s: verdict %u reason %u grant %u shadow %u order %llu observe %u direction "
		    "%u account %llx overrule %llx until %llu\n",
		    whose, a->verdict, a->reason, a->grant, a->shadow,
		    (unsigned long long)weir_order_of(a), a->observe, a->direction,
		    (unsigned long long)a->account, (unsigned long long)overrule_of(a),
		    (unsigned long long)a->valid_until_ns);
}

static void kernel_and_explain_agree(void **state)
{
	struct weir_cut_entry entries[8];
	struct weir_override overrides[8];
	size_t extended = 0, paused = 0, on_probation = 0, added = 0;
	struct asking asking;
	size_t wrong = 0;

	(void)state;
	srand(1);
	asking_begin(&asking, compile_good(random_policy));
	for (int round = 0; round < 150; round++) {
		struct order_table orders = {.entry = entries, .override = overrides};
		uint64_t wall_ns = TEST_NOW_NS + (rand() % 200) * 3600000000000ull * 12;
		bool hours_closed = rand() % 8 == 0;

		orders.count = random_cuts(&asking.image, entries);
		orders.override_count = random_overrides(&asking.image, wall_ns, overrides);
		assert_int_equal(guard_set_cuts(asking.guard, &orders), 0);
		for (int i = 0; i < 100; i++) {
			struct weir_answer kernel, user;
			struct weir_question q;

			random_question(&q);
			kernel_answer(&asking, &q, wall_ns, hours_closed, &kernel);
			explain_decide(&asking.image, &orders, &q, wall_ns, hours_closed, &user);
			on_probation += (overrule_of(&kernel) & WEIR_PROBATION) != 0;
			extended += overrule_of(&kernel) && overrule_of(&kernel) < WEIR_PROBATION;
			paused += kernel.observe && kernel.service != WEIR_SERVICE_NAMED + 3;
			added += kernel.partner != image_partner_of(&asking.image, q.peer);
			if (are_the_same(&kernel, &user))
				continue;
			if (++wrong < 5) {
				print_error("round %d\n", round);
				answer_print("kernel", &kernel);
				answer_print("explain", &user);
			}
		}
	}
	assert_true(extended > 100 && paused > 100 && on_probation > 100 && added > 100);
	asking_end(&asking);
	assert_int_equal(wrong, 0);
}

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_answers_like_the_files),
		cmocka_unit_test(kernel_and_explain_agree),
	};

	return cmocka_run_group_tests_name("expect", tests, NULL, NULL);
}

int main(void)
{
	return asking_main(all_tests);
}
