/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_expect.c - every policies/NAME.expect, answered by explain_decide(); and the reader of such
 * files. Runs from the root of the repository, as `make test` does.
 */
#include "tests/unit/compiled.h"

#include <errno.h>
#include <glob.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/policy/expect.h"

static void compile_file(const char *path, uint64_t now_ns, struct image *image)
{
	struct sources sources = {0};
	struct faults faults = {0};
	struct policy policy = {0};
	int r = sources_load(path, &sources, &faults);

	if (!r)
		r = policy_read(&sources, &policy, &faults);
	if (!r)
		r = policy_check(&policy, &faults);
	if (!r)
		r = image_compile(&policy, now_ns, image, &faults);
	if (r)
		faults_print(&faults, &sources, stderr);
	assert_int_equal(r, 0);
	policy_free(&policy);
	sources_free(&sources);
	faults_free(&faults);
}

/* Number of answers that are wrong. */
static size_t answer_all(const struct image *image, const struct expects *expects)
{
	size_t wrong = 0;

	for (size_t i = 0; i < expects->count; i++) {
		const struct expect *expect = &expects->item[i];
		struct order_table cuts = {.entry = expect->cuts, .count = expect->cut_count};
		_cleanup_free_ char *problem = NULL;
		struct weir_answer answer;

		explain_decide(image, &cuts, &expect->question, expect->question.now_ns, false,
			       &answer);
		if (!expect_holds(image, expect, &answer, &problem)) {
			print_error("%s\n", problem);
			wrong++;
		}
	}
	return wrong;
}

static void test_file(const char *expect_path)
{
	_cleanup_free_ char *text = NULL, *problem = NULL;
	struct expects expects = {0};
	struct image image;
	char policy_path[256];
	uint64_t now_ns;
	size_t length;

	snprintf(policy_path, sizeof(policy_path), "%.*s.yaml",
		 (int)(strlen(expect_path) - strlen(".expect")), expect_path);
	assert_int_equal(file_read(expect_path, 1 << 20, &text, &length), 0);
	assert_int_equal(expect_now(text, &now_ns, &problem), 0);
	compile_file(policy_path, now_ns, &image);
	if (expects_read(&image, text, &expects, &problem))
		fail_msg("%s:%s", expect_path, problem);
	print_message("%s: %zu questions\n", expect_path, expects.count);
	assert_in_range(expects.count, 20, 10000);
	assert_int_equal(answer_all(&image, &expects), 0);
	expects_free(&expects);
	image_free(&image);
}

static void test_files(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob("policies/*.expect", 0, NULL, &found), 0);
	assert_in_range(found.gl_pathc, 4, 1000);
	for (size_t i = 0; i < found.gl_pathc; i++)
		test_file(found.gl_pathv[i]);
	globfree(&found);
}

/* ---- the reader
 * --------------------------------------------------------------------------------*/

static const char policy[] =
	"weir: 1\nname: t\nmode: enforce\nservices: {s: {cgroup: a}}\n"
	"partners: {p: {addresses: [192.0.2.0/24]}}\n"
	"grants: [{name: g, service: s, partner: p, serves: tcp/22, budget: none}]\n";

#define NOW "# a comment\n\nnow 2027-03-01T12:00Z # and another\n"

static void test_fields(void **state)
{
	struct image image = compile_good(policy);
	struct expects expects = {0};
	struct expect *e;
	char *problem;

	(void)state;
	assert_int_equal(
		expects_read(&image,
			     NOW "s calls-back tcp/9 192.0.2.7 at 2027-03-01T13:00+01:00 cut "
				 "all,partner:p but grant:g,addr:192.0.2.7 cut strangers -> refuse "
				 "cut g shadow g observed # x\n\n s serves icmp 2001::1 -> pass "
				 "stranger",
			     &expects, &problem),
		0);
	assert_int_equal(expects.count, 2);
	e = &expects.item[0];
	assert_int_equal(e->line, 4);
	assert_int_equal(e->question.direction, WEIR_CALLS);
	assert_int_equal(e->question.is_held, 1);
	assert_true(e->question.now_ns == TEST_NOW_NS);
	assert_int_equal(e->cut_count, 7);
	assert_int_equal(e->cuts[0].target, WEIR_TARGET_ALL);
	assert_int_equal(e->cuts[1].is_exception, 1);
	assert_int_equal(e->cuts[1].target, WEIR_TARGET_GRANT);
	assert_int_equal(e->cuts[2].target, WEIR_TARGET_ADDRESS);
	assert_int_equal(e->cuts[3].target, WEIR_TARGET_PARTNER);
	assert_int_equal(e->cuts[6].target, WEIR_TARGET_STRANGERS);
	assert_int_equal(e->cuts[6].order, 7);
	assert_int_equal(e->verdict, WEIR_REFUSE);
	assert_int_equal(e->reason, WEIR_REASON_CUT);
	assert_int_equal(e->grant, 1);
	assert_int_equal(e->shadow, 1);
	assert_true(e->is_observed);
	assert_int_equal(expects.item[1].grant, WEIR_ANY);
	assert_int_equal(expects.item[1].question.protocol, 58);
	expects_free(&expects);
	image_free(&image);
}

static const struct {
	const char *line;
	const char *part; /* of the problem */
} bad[] = {
	{"x serves tcp/22 192.0.2.1 -> pass grant", "no service \"x\""},
	{"s server tcp/22 192.0.2.1 -> pass grant", "server"},
	{"s serves tcp/0 192.0.2.1 -> pass grant", "tcp/0"},
	{"s serves tcp/22 192.0.2 -> pass grant", "192.0.2"},
	{"s serves tcp/22", "no address"},
	{"s serves tcp/22 192.0.2.1 pass grant", "\"->\" is missing"},
	{"s serves tcp/22 192.0.2.1 -> maybe grant", "maybe"},
	{"s serves tcp/22 192.0.2.1 -> pass because", "because"},
	{"s serves tcp/22 192.0.2.1 -> pass grant h", "no grant \"h\""},
	{"s serves tcp/22 192.0.2.1 -> pass grant g g", "one word too many"},
	{"s serves tcp/22 192.0.2.1 at noon -> pass grant", "noon"},
	{"s serves tcp/22 192.0.2.1 at 2027-03-01T12:00 -> pass grant", "no moment"},
	{"s serves tcp/22 192.0.2.1 cut partner:q -> pass grant", "no partner \"q\""},
	{"s serves tcp/22 192.0.2.1 cut", "target is missing"},
	{"s serves tcp/22 192.0.2.1 but all -> pass grant", "\"->\" is missing"},
};

static void test_bad_lines(void **state)
{
	struct image image = compile_good(policy);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct expects expects = {0};
		char text[256], *problem;

		snprintf(text, sizeof(text), NOW "%s\n", bad[i].line);
		assert_int_equal(expects_read(&image, text, &expects, &problem), -EINVAL);
		assert_null(expects.item);
		if (strncmp(problem, "4: ", 3) || !strstr(problem, bad[i].part))
			print_error("%s: %s\n", bad[i].line, problem);
		assert_int_equal(strncmp(problem, "4: ", 3), 0);
		assert_non_null(strstr(problem, bad[i].part));
		free(problem);
	}
	image_free(&image);
}

static void test_now(void **state)
{
	static const char *const without[] = {
		"",    "# nothing\n",	 "s serves tcp/22 ::1 -> pass grant",
		"now", "now 2027-03-01", "now 2027-03-01T12:00"};
	uint64_t now_ns = 0;
	char *problem;

	(void)state;
	assert_int_equal(expect_now(NOW, &now_ns, &problem), 0);
	assert_true(now_ns == TEST_NOW_NS);
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		assert_int_equal(expect_now(without[i], &now_ns, &problem), -EINVAL);
		assert_non_null(problem);
		free(problem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
