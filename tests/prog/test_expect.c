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

/* Lets the kernel's clock say `wall_ns` at boot time `boot`. */
static void clock_set(struct asking *asking, uint64_t wall_ns, uint64_t boot)
{
	assert_int_equal(guard_set_clock(asking->guard, wall_ns - boot, false), 0);
}

static void kernel_answer(struct asking *asking, const struct weir_question *question,
			  uint64_t wall_ns, struct weir_answer *answer)
{
	struct ask ask = {.question = *question};

	ask.question.now_ns = boot_ns();
	clock_set(asking, wall_ns, ask.question.now_ns);
	asking_run(asking->programs->progs.ask_verdict, &ask);
	*answer = ask.answer;
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
		struct cut_table cuts = {.entry = expect->cuts, .count = expect->cut_count};
		struct weir_answer answer;

		assert_int_equal(guard_set_cuts(asking.guard, &cuts), 0);
		kernel_answer(&asking, &expect->question, expect->question.now_ns, &answer);
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
	q->peer[14] = rand() % 3;
	q->peer[15] = rand() % 5;
	if (rand() % 3 == 0) {
		memset(q->peer, 0, sizeof(q->peer));
		memcpy(q->peer, "\x20\x01\x0d\xb8", 4);
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

static void kernel_and_explain_agree(void **state)
{
	struct weir_cut_entry entries[8];
	struct asking asking;
	size_t wrong = 0;

	(void)state;
	srand(1);
	asking_begin(&asking, compile_good(random_policy));
	for (int round = 0; round < 150; round++) {
		struct cut_table cuts = {.entry = entries};
		uint64_t wall_ns = TEST_NOW_NS + (rand() % 200) * 3600000000000ull * 12;

		cuts.count = random_cuts(&asking.image, entries);
		assert_int_equal(guard_set_cuts(asking.guard, &cuts), 0);
		for (int i = 0; i < 100; i++) {
			struct weir_answer kernel, user;
			struct weir_question q;

			random_question(&q);
			kernel_answer(&asking, &q, wall_ns, &kernel);
			explain_decide(&asking.image, &cuts, &q, wall_ns, false, &user);
			if (kernel.verdict == user.verdict && kernel.reason == user.reason &&
			    kernel.grant == user.grant && kernel.shadow == user.shadow &&
			    kernel.partner == user.partner && kernel.order == user.order &&
			    kernel.observe == user.observe && kernel.account == user.account &&
			    kernel.direction == user.direction)
				continue;
			if (++wrong < 5)
				print_error(
					"round %d: verdict %u/%u reason %u/%u grant %u/%u shadow "
					"%u/%u order %llu/%llu observe %u/%u dir %u/%u acc "
					"%llx/%llx "
					"(kernel/explain)\n",
					round, kernel.verdict, user.verdict, kernel.reason,
					user.reason, kernel.grant, user.grant, kernel.shadow,
					user.shadow, (unsigned long long)kernel.order,
					(unsigned long long)user.order, kernel.observe,
					user.observe, kernel.direction, user.direction,
					(unsigned long long)kernel.account,
					(unsigned long long)user.account);
		}
	}
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
