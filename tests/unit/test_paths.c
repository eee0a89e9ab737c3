/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_paths.c - the automaton of cgroup paths: a few by hand, and thousands at random against a
 * matcher that compares pattern by pattern.
 */
#include "tests/unit/compiled.h"

enum { SERVICES = 12, ROUNDS = 400, PATHS = 200, DEEPEST = 5 };

/* ---- the naive matcher
 * -------------------------------------------------------------------------*/

static bool component_matches(const char *pattern, size_t pattern_length, const char *name,
			      size_t length)
{
	if (pattern_length && pattern[pattern_length - 1] == '*')
		return length >= pattern_length - 1 && !memcmp(pattern, name, pattern_length - 1);
	return pattern_length == length && !memcmp(pattern, name, length);
}

/* Depth of the pattern when it matches the path or a beginning of it, else 0. */
static unsigned match(const char *pattern, const char *path)
{
	unsigned depth = 0;

	for (;;) {
		size_t pattern_length = strcspn(pattern, "/"), length = strcspn(path, "/");

		if (!length || !component_matches(pattern, pattern_length, path, length))
			return 0;
		depth++;
		pattern += pattern_length;
		path += length;
		if (!*pattern)
			return depth;
		if (!*path)
			return 0;
		pattern++;
		path++;
	}
}

/* Whether `a` is the more specific one of two patterns of one depth that match the same path. */
static bool is_better(const char *a, const char *b)
{
	for (;;) {
		size_t a_length = strcspn(a, "/"), b_length = strcspn(b, "/");
		bool a_star = a[a_length - 1] == '*', b_star = b[b_length - 1] == '*';

		if (a_star != b_star)
			return b_star;
		if (a_length != b_length)
			return a_length > b_length;
		if (!a[a_length])
			return false;
		a += a_length + 1;
		b += b_length + 1;
	}
}

static uint32_t naive(const struct policy *policy, const char *path)
{
	uint32_t service = WEIR_SERVICE_OTHER;
	const char *best = NULL;
	unsigned best_depth = 0;

	for (size_t i = 0; i < policy->service_count; i++) {
		const struct names *cgroups = &policy->services[i].cgroups;

		for (size_t j = 0; j < cgroups->count; j++) {
			const char *pattern = cgroups->item[j].text;
			unsigned depth = match(pattern, path);

			if (depth > best_depth ||
			    (depth && depth == best_depth && is_better(pattern, best))) {
				best = pattern;
				best_depth = depth;
				service = WEIR_SERVICE_NAMED + i;
			}
		}
	}
	return service;
}

/* ---- random patterns and paths
 * -----------------------------------------------------------------*/

static unsigned roll(unsigned sides)
{
	return (unsigned)rand() % sides;
}

/* Few letters, so that much overlaps. */
static char *random_path(bool is_pattern)
{
	char text[DEEPEST * 8] = "";
	size_t length = 0;
	unsigned depth = 1 + roll(DEEPEST);

	for (unsigned i = 0; i < depth; i++) {
		unsigned letters = roll(4);
		bool has_star = is_pattern && roll(3) == 0;

		if (!has_star && !letters)
			letters = 1;
		if (i)
			text[length++] = '/';
		while (letters--)
			text[length++] = 'a' + roll(2);
		if (has_star)
			text[length++] = '*';
	}
	return strdup(text);
}

static bool is_taken(const struct policy *policy, const char *path)
{
	for (size_t i = 0; i < policy->service_count; i++) {
		for (size_t j = 0; j < policy->services[i].cgroups.count; j++) {
			if (!strcmp(policy->services[i].cgroups.item[j].text, path))
				return true;
		}
	}
	return false;
}

static struct policy random_policy(void)
{
	struct policy policy = {.name = strdup("random")};

	policy.services = calloc(SERVICES, sizeof(*policy.services));
	for (unsigned i = 0; i < SERVICES; i++) {
		struct service *service = &policy.services[i];
		char name[16];

		snprintf(name, sizeof(name), "s%u", i);
		service->name.text = strdup(name);
		service->cgroups.item = calloc(2, sizeof(*service->cgroups.item));
		policy.service_count++;
		while (service->cgroups.count < 2) {
			char *path = random_path(true);

			if (is_taken(&policy, path))
				free(path);
			else
				service->cgroups.item[service->cgroups.count++].text = path;
		}
	}
	return policy;
}

static void test_random(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < ROUNDS; round++) {
		struct policy policy = random_policy();
		struct faults faults = {0};
		struct image image;

		assert_int_equal(image_compile(&policy, TEST_NOW_NS, &image, &faults), 0);
		for (int i = 0; i < PATHS; i++) {
			char *path = random_path(false);
			uint32_t expected = naive(&policy, path);
			uint32_t found = image_service_of(&image, path);

			if (found != expected)
				print_error("%s: %s, not %s\n", path, image.service_names[found],
					    image.service_names[expected]);
			assert_int_equal(found, expected);
			free(path);
		}
		image_free(&image);
		faults_free(&faults);
		policy_free(&policy);
	}
}

/* ---- by hand
 * -----------------------------------------------------------------------------------*/

static const char by_hand[] = "weir: 1\n"
			      "name: t\n"
			      "mode: enforce\n"
			      "services:\n"
			      "  ssh: {cgroup: system.slice/ssh.service}\n"
			      "  all: {cgroup: system.slice}\n"
			      "  sftp: {cgroup: \"system.slice/sftp-*\"}\n"
			      "  nightly: {cgroup: \"system.slice/sftp-night*\"}\n"
			      "  exact: {cgroup: system.slice/sftp-night}\n"
			      "  users: {cgroup: \"user.slice/*/app.slice\"}\n"
			      "  root: {cgroup: \"user.slice/user-0.slice/*\"}\n";

static void assert_service(const struct image *image, const char *path, const char *service)
{
	assert_string_equal(image->service_names[image_service_of(image, path)], service);
}

static void test_by_hand(void **state)
{
	struct image image = compile_good(by_hand);
	char path[300];

	(void)state;
	assert_service(&image, "", "other");
	assert_service(&image, "system.slice", "all");
	assert_service(&image, "system.slicer", "other");
	assert_service(&image, "system.slice/x.service", "all");
	assert_service(&image, "system.slice/ssh.service", "ssh");
	assert_service(&image, "/system.slice/ssh.service/deep/er", "ssh");
	assert_service(&image, "system.slice/ssh.service2", "all");
	assert_service(&image, "system.slice/sftp-", "sftp");
	assert_service(&image, "system.slice/sftp-nigh", "sftp");
	assert_service(&image, "system.slice/sftp-night", "exact");
	assert_service(&image, "system.slice/sftp-night1", "nightly");
	assert_service(&image, "user.slice/user-1.slice", "other");
	assert_service(&image, "user.slice/user-1.slice/app.slice/x", "users");
	/* literal before `*` from the left: user-0.slice decides */
	assert_service(&image, "user.slice/user-0.slice/app.slice", "root");
	/* a name that no key can hold to its end */
	snprintf(path, sizeof(path), "system.slice/sftp-night%0150d", 0);
	assert_service(&image, path, "nightly");
	image_free(&image);
}

/* Levels below the 16th cannot change the answer; 64 are too many to be walked. */
static void test_depth(void **state)
{
	struct image image = compile_good(by_hand);
	char path[300] = "system.slice/ssh.service";
	size_t length = strlen(path);

	(void)state;
	for (int depth = 2; depth < 63; depth++)
		length += sprintf(path + length, "/x");
	assert_service(&image, path, "ssh");
	sprintf(path + length, "/x");
	assert_service(&image, path, "other");
	image_free(&image);
}

/* Sixteen patterns whose sets of survivors are 2^16: refused rather than built. */
static void test_explosion(void **state)
{
	struct policy policy = {.name = strdup("explosion"), .service_count = 16};
	struct faults faults = {0};
	struct image image;

	(void)state;
	policy.services = calloc(16, sizeof(*policy.services));
	for (int i = 0; i < 16; i++) {
		struct service *service = &policy.services[i];
		char text[64] = "";

		for (int j = 0; j < 16; j++)
			strcat(text, j == i ? "a/" : "*/");
		text[strlen(text) - 1] = 0;
		service->cgroups.item = calloc(1, sizeof(*service->cgroups.item));
		service->cgroups.item[0].text = strdup(text);
		service->cgroups.count = 1;
		snprintf(text, sizeof(text), "s%d", i);
		service->name.text = strdup(text);
	}
	if (image_compile(&policy, TEST_NOW_NS, &image, &faults) == 0) {
		/* it fits: then it must be right */
		assert_string_equal(image.service_names[image_service_of(
					    &image, "a/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b")],
				    "s0");
		image_free(&image);
	} else {
		assert_int_equal(faults.errors, 1);
	}
	faults_free(&faults);
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_explosion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
