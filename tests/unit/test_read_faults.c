/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_read_faults.c - the policy reader: where it says what is wrong. */
#include "tests/unit/policy_text.h"

#define P HEAD "partners:\n  p: "		      /* line 5, column 6 */
#define S HEAD "services:\n  s: "		      /* likewise */
#define B HEAD "services:\n  s: {cgroup: a, budget: " /* line 5, column 26 */
#define R GRANT "serves: tcp/1, reserve: "	      /* line 7, column 77 */
#define G GRANT					      /* line 7, column 53 */

static const struct expected errors[] = {
	/* keys */
	{"unknown key", HEAD "mood: x\n", 4, 1, "unknown key \"mood\" in the policy", NULL},
	{"unknown key, a near one", HEAD "partnres: {}\n", 4, 1, "did you mean \"partners\"?",
	 NULL},
	{"unknown key of a service", S "{cgroup: a, clas: x}\n", 5, 18, "did you mean \"class\"?",
	 NULL},
	{"unknown key of a grant", G "serve: tcp/1}\n", 7, 53, "did you mean \"serves\"?", NULL},
	{"duplicate key", HEAD "mode: observe\n", 4, 1, "duplicate key \"mode\"", NULL},
	{"duplicate key of a partner", P "{addresses: 192.0.2.1, addresses: 192.0.2.2}\n", 5, 29,
	 "duplicate key \"addresses\"", NULL},
	{"duplicate key of info", P "{addresses: 192.0.2.1, info: {a: b, a: c}}\n", 5, 42,
	 "duplicate key \"a\" in info", NULL},
	{"a key that is a list", HEAD "? [a]\n: b\n", 4, 3, "wrong type", NULL},
	{"missing weir", "name: t\nmode: enforce\n", 1, 1, "\"weir\" is missing", NULL},
	{"missing name", "weir: 1\nmode: enforce\n", 1, 1, "\"name\" is missing", NULL},
	{"missing mode", "weir: 1\nname: t\n", 1, 1, "\"mode\" is missing", NULL},
	{"missing service of a lifeline", HEAD "lifeline:\n  - to: 192.0.2.1\n    serves: tcp/22\n",
	 5, 5, "\"service\" is missing in a lifeline", NULL},
	{"missing cgroup", S "{class: x}\n", 5, 6, "\"cgroup\" is missing", NULL},
	{"missing addresses", P "{class: x}\n", 5, 6, "\"addresses\" is missing", NULL},
	{"missing direction", G "hours: 20:00-21:00}\n", 7, 5, "is missing in a grant", NULL},
	{"missing budget",
	 HEAD "services: {s: {cgroup: a}}\npartners: {p: {addresses: 192.0.2.1}}\n"
	      "grants:\n  - {name: g, service: s, partner: p, serves: tcp/1}\n",
	 7, 5, "\"budget\" is missing in a grant", NULL},
	{"another version", "weir: 2\nname: t\nmode: enforce\n", 1, 7, "version \"2\"", NULL},
	/* types */
	{"a list as the policy", "- weir\n", 1, 1, "wrong type", NULL},
	{"a word as services", HEAD "services: x\n", 4, 11, "wrong type", NULL},
	{"a list as partners", HEAD "partners: [x]\n", 4, 11, "wrong type", NULL},
	{"a mapping as grants", HEAD "grants: {x: y}\n", 4, 9, "wrong type", NULL},
	{"a word as a grant", HEAD "grants: [x]\n", 4, 10, "wrong type", NULL},
	{"a mapping as a name", "weir: 1\nname: {a: b}\nmode: enforce\n", 2, 7, "wrong type", NULL},
	{"a list as a mode", "weir: 1\nname: t\nmode: [enforce]\n", 3, 7, "wrong type", NULL},
	{"a mapping as addresses", P "{addresses: {a: b}}\n", 5, 18, "wrong type", NULL},
	{"a list in addresses", P "{addresses: [[192.0.2.1]]}\n", 5, 19, "wrong type", NULL},
	{"nothing as a partner", P "\n", 5, 5, "wrong type", NULL},
	{"nothing as a value", "weir: 1\nname:\nmode: enforce\n", 2, 6, "a value is missing", NULL},
	{"an empty list", P "{addresses: []}\n", 5, 18, "an empty list", NULL},
	{"an unknown mode", "weir: 1\nname: t\nmode: enforced\n", 3, 7, "did you mean \"enforce\"?",
	 NULL},
	{"an unknown breach", G "serves: tcp/1, on_breach: drop}\n", 7, 79, "hold, alert or sever",
	 NULL},
	/* names */
	{"a name with a colon", HEAD "partners:\n  \"a:b\": {addresses: 192.0.2.1}\n", 5, 3,
	 "is no name", NULL},
	{"a name that begins with a dash", HEAD "partners:\n  -a: {addresses: 192.0.2.1}\n", 5, 3,
	 "a letter or a digit comes first", NULL},
	{"a long name",
	 HEAD "partners:\n  abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvw: "
	      "{addresses: 192.0.2.1}\n",
	 5, 3, "at most 48 bytes", NULL},
	{"a partner called any", HEAD "partners:\n  any: {addresses: 192.0.2.1}\n", 5, 3,
	 "stands for each", NULL},
	{"a service that is built in", HEAD "services:\n  other: {cgroup: a}\n", 5, 3,
	 "is built in", NULL},
	/* addresses */
	{"no address", P "{addresses: 192.0.2}\n", 5, 18, "is no address or prefix", NULL},
	{"host bits", P "{addresses: [192.0.2.0/24, 198.51.100.1/28]}\n", 5, 33,
	 "the prefix is 198.51.100.0/28", NULL},
	{"host bits of IPv6", P "{addresses: [\"2001:db8::1/64\"]}\n", 5, 19,
	 "the prefix is 2001:db8::/64", NULL},
	{"a prefix too long", P "{addresses: 192.0.2.0/33}\n", 5, 18, "0 to 32", NULL},
	{"a prefix too long of IPv6", P "{addresses: \"::/129\"}\n", 5, 18, "0 to 128", NULL},
	{"a prefix with a sign", P "{addresses: 192.0.2.0/+8}\n", 5, 18, "0 to 32", NULL},
	/* budgets */
	{"an empty budget", B "[]}\n", 5, 26, "an empty budget", NULL},
	{"no unit", B "[5/1h]}\n", 5, 27, "the size is a whole number and a unit", NULL},
	{"a bad unit", B "[5Gb/1h]}\n", 5, 27, "the size is a whole number and a unit", NULL},
	{"a fraction", B "[1.5GB/1h]}\n", 5, 27, "the size is a whole number", NULL},
	{"a bad unit of time", B "[5GB/1w]}\n", 5, 27, "the span is a whole number and a unit",
	 NULL},
	{"no span", B "[5GB]}\n", 5, 27, "SIZE/SPAN", NULL},
	{"a size that overflows", B "[99999999999TiB/1h]}\n", 5, 27, "too large", NULL},
	{"a number that overflows", B "[99999999999999999999999B/1h]}\n", 5, 27, "too large", NULL},
	{"a span that overflows", B "[1B/999999999d]}\n", 5, 27, "too large", NULL},
	{"a budget of 0", B "[0B/1h]}\n", 5, 27, "a budget of 0", NULL},
	{"a span of 0", B "[1B/0s]}\n", 5, 27, "a budget of 0", NULL},
	{"four windows", B "[1B/1s, 2B/2s, 3B/3s, 4B/4s]}\n", 5, 48, "more than 3 windows", NULL},
	{"two windows of one span", B "[1GiB/1h, 2GiB/60m]}\n", 5, 36, "two windows of one span",
	 NULL},
	{"deny as a budget", B "deny}\n", 5, 26, "\"deny\" is no budget", NULL},
	/* what one person alone may extend */
	{"a reserve of 0", R "0B/1d}\n", 7, 77, "a reserve of 0", NULL},
	{"a reserve of no span", R "1GiB}\n", 7, 77, "SIZE/SPAN", NULL},
	{"a reserve in 0 s", R "1GiB/0s}\n", 7, 77, "a reserve of 0", NULL},
	{"a reserve of two windows", R "[1GiB/1d, 2GiB/2d]}\n", 7, 77, "wrong type", NULL},
	{"a reserve with many blanks", R "1GiB  /  1d}\n", 7, 77, "whole number and a unit", NULL},
	{"a reserve without a budget", G "serves: tcp/1, reserve: 1GiB/1d}\n", 7, 77,
	 "there is nothing to extend", NULL},
	{"four eyes that are no yes or no", HEAD "four_eyes: yes\n", 4, 12,
	 "\"yes\" is no value here: false or true", NULL},
	{"four eyes in an included file", HEAD "include: m\n", 1001, 12,
	 "belongs into the policy itself", "four_eyes: true\n"},
	/* ports */
	{"port 0", G "serves: tcp/0}\n", 7, 61, "a port is 1 to 65535", NULL},
	{"port 70000", G "serves: [tcp/22, tcp/70000]}\n", 7, 70, "a port is 1 to 65535", NULL},
	{"a port beyond all numbers", G "serves: tcp/99999999999999999999}\n", 7, 61,
	 "a port is 1 to 65535", NULL},
	{"a range from 0", G "serves: tcp/0-22}\n", 7, 61, "a port is 1 to 65535", NULL},
	{"a range backwards", G "serves: tcp/22-21}\n", 7, 61, "backwards", NULL},
	{"a port that is a word", G "serves: tcp/ssh}\n", 7, 61, "is no port or range", NULL},
	{"an open range", G "serves: tcp/22-}\n", 7, 61, "is no port or range", NULL},
	{"an unknown protocol", G "serves: quic/443}\n", 7, 61, "unknown protocol \"quic\"", NULL},
	{"an unknown protocol, a near one", G "serves: tpc/443}\n", 7, 61, "did you mean \"tcp\"?",
	 NULL},
	{"a protocol without its port", G "serves: tcp}\n", 7, 61, "its port is missing", NULL},
	{"protocol 256", G "serves: proto/256}\n", 7, 61, "1 to 255", NULL},
	{"an endpoint twice", G "serves: [tcp/1, tcp/1]}\n", 7, 69, "listed twice", NULL},
	/* times */
	{"hour 25", G "serves: tcp/1, hours: 20:00-25:00}\n", 7, 75, "no such hour", NULL},
	{"minute 60", G "serves: tcp/1, hours: 20:60-21:00}\n", 7, 75, "no such hour", NULL},
	{"unknown days", G "serves: tcp/1, hours: Foo-Bar 20:00-21:00}\n", 7, 75, "no such days",
	 NULL},
	{"the same start and end", G "serves: tcp/1, hours: Mon 20:00-20:00}\n", 7, 75,
	 "starts and ends at the same minute", NULL},
	{"hours without minutes", G "serves: tcp/1, hours: Mon 20-22}\n", 7, 75, "HH:MM-HH:MM",
	 NULL},
	{"an impossible day", P "{addresses: 192.0.2.1, until: 2027-02-30}\n", 5, 36,
	 "\"2027-02-30\" is no day", NULL},
	{"a day in words", P "{addresses: 192.0.2.1, until: tomorrow}\n", 5, 36, "YYYY-MM-DD",
	 NULL},
	{"until before from", P "{addresses: 192.0.2.1, from: 2027-01-02, until: 2027-01-01}\n", 5,
	 54, "until is before from", NULL},
	{"an unknown zone", HEAD "zone: Europe/Berlln\n", 4, 7, "unknown zone", NULL},
	{"a zone that is a path", HEAD "zone: ../../../etc/passwd\n", 4, 7, "unknown zone", NULL},
	/* paths */
	{"an absolute path", S "{cgroup: /a}\n", 5, 15, "begins without \"/\"", NULL},
	{"a path with ..", S "{cgroup: a/../b}\n", 5, 15, "lead nowhere", NULL},
	{"an empty component", S "{cgroup: a//b}\n", 5, 15, "an empty component", NULL},
	{"a slash at the end", S "{cgroup: a/}\n", 5, 15, "an empty component", NULL},
	{"a star in the middle", S "{cgroup: a/b*c}\n", 5, 15, "at the end of a component", NULL},
	{"two stars", S "{cgroup: a/b**}\n", 5, 15, "at the end of a component", NULL},
	{"a component of 96 bytes",
	 S
	 "{cgroup: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaa}\n",
	 5, 15, "at most 95 bytes", NULL},
	{"a path 17 deep", S "{cgroup: 1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17}\n", 5, 15,
	 "deeper than 16", NULL},
	/* YAML */
	{"an empty file", "# nothing\n", 1, 1, "an empty file", NULL},
	{"an open bracket", HEAD "include: [b\n", 5, 1, "not YAML", NULL},
	{"a tab as indent", HEAD "services:\n\ta: b\n", 5, 1, "not YAML", NULL},
	{"two documents", HEAD "---\nweir: 1\n", 4, 1, "a second document", NULL},
	{"an alias to itself", "weir: 1\nmode: enforce\nname: *a\n", 3, 7, "alias *a", NULL},
	{"an anchor", "weir: 1\nname: &a t\nmode: enforce\n", 2, 7, "anchor &a", NULL},
	{"a tag", "weir: 1\nname: !!str t\nmode: enforce\n", 2, 7, "tags have no place", NULL},
	{"an escaped NUL", "weir: 1\nmode: enforce\nname: \"a\\0b\"\n", 3, 7, "a control character",
	 NULL},
	{"an escape that steers terminals", "weir: 1\nmode: enforce\nname: \"a\\e[2J\"\n", 3, 7,
	 "a control character", NULL},
	{"invalid UTF-8", "weir: 1\nmode: enforce\nname: ab\xff\n", 3, 9, "not UTF-8", NULL},
	{"UTF-8 that is cut off", "weir: 1\nmode: enforce\nname: ab\xc3\n", 3, 9, "not UTF-8",
	 NULL},
	{"UTF-8 that is cut off by the end", "weir: 1\nmode: enforce\nname: ab\xe2\x82", 3, 9,
	 "not UTF-8", NULL},
	{"a surrogate", "weir: 1\nmode: enforce\nname: \xed\xa0\x80\n", 3, 7, "not UTF-8", NULL},
	{"a bell", "weir: 1\nmode: enforce\nname: a\a\n", 3, 8, "a control character (0x07)", NULL},
	{"columns count bytes", P "{info: {a: \"\xc3\xa4\xc3\xb6\"}, addresses: x}\n", 5, 37,
	 "is no address", NULL},
	{"lines count after CRLF", "weir: 1\r\nname: t\r\nmode: x\r\n", 3, 7, "is no mode", NULL},
	{"columns count after a byte order mark", "\xef\xbb\xbfmood: 1\n" HEAD, 1, 1, "unknown key",
	 NULL},
	/* included files */
	{"services in an included file", HEAD "include: more.yaml\n", 1001, 11,
	 "belongs into the policy itself", "services: {s: {cgroup: a}}\n"},
	{"include in an included file", HEAD "include: more.yaml\n", 1001, 10,
	 "belongs into the policy itself", "include: policy.yaml\n"},
	{"unknown key in an included file", HEAD "include: more.yaml\n", 1001, 1,
	 "did you mean \"grants\"?", "grant: []\n"},
};

static void test_a_nul_byte(void **state)
{
	static const char text[] = "weir: 1\nname: a\0b\nmode: enforce\n";
	static const struct expected expected = {"a NUL byte", text, 2, 8, "a NUL byte", NULL};

	(void)state;
	expect_fault(&expected, sizeof(text) - 1, SEVERITY_ERROR);
}

static void test_an_anchor_that_holds_itself(void **state)
{
	static const char text[] = "weir: 1\nname: t\nmode: &a [*a]\n";
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 3, 7, "anchor &a"));
	assert_non_null(find_fault(&faults, 0, 3, 11, "alias *a"));
	faults_free(&faults);
}

/* Each of nine anchors would hold the one before ten times: a billion values. */
static void test_a_bomb_of_aliases_does_not_expand(void **state)
{
	char text[2048] = HEAD "a0: &a0 x\n";
	struct faults faults = {0};
	struct texts texts;
	int i;

	(void)state;
	for (i = 1; i < 10; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
			 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	faults_free(&faults);
}

static void test_deep_nesting_is_refused_at_its_bracket(void **state)
{
	enum { DEPTH = 200000 };
	char *text = malloc(DEPTH + 64);
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_non_null(text);
	strcpy(text, HEAD "a: ");
	memset(text + strlen(HEAD "a: "), '[', DEPTH);
	assert_int_equal(judge(texts_of(&texts, text, strlen(HEAD) + 3 + DEPTH, NULL), &faults),
			 -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 4, 4 + 15, "nested deeper than 16 levels"));
	faults_free(&faults);
	free(text);
}

static void test_deep_nesting_by_dashes(void **state)
{
	enum { DEPTH = 100000 };
	char *text = malloc(2 * DEPTH + 64);
	struct faults faults = {0};
	struct texts texts;
	size_t at;
	int i;

	(void)state;
	assert_non_null(text);
	strcpy(text, HEAD "a:\n");
	at = strlen(text);
	for (i = 0; i < DEPTH; i++) {
		text[at++] = '-';
		text[at++] = ' ';
	}
	assert_int_equal(judge(texts_of(&texts, text, at, NULL), &faults), -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 5, 1 + 2 * 15, "nested deeper than 16 levels"));
	faults_free(&faults);
	free(text);
}

static void test_all_faults_are_told_at_once(void **state)
{
	static const char text[] =
		"weir: 1\nnmae: t\nmode: enforce\n"
		"services:\n  s: {cgroup: /a}\n"
		"partners:\n  p: {addresses: [192.0.2.1/24, x]}\n"
		"grants:\n"
		"  - {name: g, service: z, partner: p, serves: tcp/0, budget: []}\n"
		"strangers: {serves: [1MB/0h]}\n";
	static const struct {
		uint32_t line, column;
	} expected[] = {{1, 1},	 {2, 1},  {5, 15}, {7, 19}, {7, 33},
			{9, 24}, {9, 47}, {9, 62}, {10, 22}};
	struct faults faults = {0};
	struct texts texts;
	size_t i;

	(void)state;
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	for (i = 0; i < COUNT(expected); i++)
		if (!find_fault(&faults, 0, expected[i].line, expected[i].column, "")) {
			faults_print(&faults, &texts.sources, stderr);
			fail_msg("nothing at %u:%u", expected[i].line, expected[i].column);
		}
	assert_int_equal(faults.errors, COUNT(expected));
	faults_free(&faults);
}

static void test_what_stands_before_bad_yaml_is_judged_too(void **state)
{
	static const char text[] = HEAD "mood: x\nservices: {a: {cgroup: b\n";
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_int_equal(judge(texts_of(&texts, text, strlen(text), NULL), &faults), -EBADMSG);
	assert_non_null(find_fault(&faults, 0, 4, 1, "unknown key"));
	assert_non_null(find_fault(&faults, 0, 6, 1, "not YAML"));
	assert_int_equal(faults.errors, 2);
	faults_free(&faults);
}

static void test_a_fault_leaves_the_policy_alone(void **state)
{
	struct policy policy = {.name = (char *)"mine"};
	struct faults faults = {0};
	struct texts texts;

	(void)state;
	assert_int_equal(policy_read(texts_of(&texts, "x", 1, NULL), &policy, &faults), -EBADMSG);
	assert_string_equal(policy.name, "mine");
	faults_free(&faults);
}

static void test_faults_are_printed_in_order(void **state)
{
	static const char text[] = "nmae: t\nmode: enforce\nweir: 2\nname: x\n";
	struct faults faults = {0};
	struct texts texts;
	char *printed = NULL;
	size_t size;
	FILE *out = open_memstream(&printed, &size);

	(void)state;
	assert_non_null(out);
	judge(texts_of(&texts, text, strlen(text), NULL), &faults);
	faults_print(&faults, &texts.sources, out);
	fclose(out);
	assert_memory_equal(printed,
			    "policy.yaml:1:1: unknown key \"nmae\" in the policy: did you "
			    "mean \"name\"?\npolicy.yaml:3:7: version",
			    80);
	free(printed);
	faults_free(&faults);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_nul_byte),
		cmocka_unit_test(test_an_anchor_that_holds_itself),
		cmocka_unit_test(test_a_bomb_of_aliases_does_not_expand),
		cmocka_unit_test(test_deep_nesting_is_refused_at_its_bracket),
		cmocka_unit_test(test_deep_nesting_by_dashes),
		cmocka_unit_test(test_all_faults_are_told_at_once),
		cmocka_unit_test(test_what_stands_before_bad_yaml_is_judged_too),
		cmocka_unit_test(test_a_fault_leaves_the_policy_alone),
		cmocka_unit_test(test_faults_are_printed_in_order),
	};
	static struct CMUnitTest rows[COUNT(errors)];
	int failed = cmocka_run_group_tests_name("read: whole", tests, NULL, NULL);
	size_t count = add_rows(rows, 0, errors, COUNT(errors), test_one_error);

	return failed + _cmocka_run_group_tests("read: faults", rows, count, NULL, NULL);
}
