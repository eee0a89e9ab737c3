/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* test_sources.c - the files of a policy: patterns, what may not be included, sizes. */
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/policy_text.h"

struct directory {
	char path[64];
};

static int make_directory(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	strcpy(directory->path, "/tmp/weir-test-read-XXXXXX");
	*state = directory;
	return mkdtemp(directory->path) ? 0 : -1;
}

static int remove_directory(void **state)
{
	struct directory *directory = *state;
	char command[128];
	int r;

	snprintf(command, sizeof(command), "rm -rf %s", directory->path);
	r = system(command);
	free(directory);
	return r;
}

static void put_file(const struct directory *directory, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int load(const struct directory *directory, struct sources *sources, struct faults *faults)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/policy.yaml", directory->path);
	return sources_load(path, sources, faults);
}

static void test_a_pattern_includes_files_in_order(void **state)
{
	struct sources sources = {0};
	struct faults faults = {0};

	put_file(*state, "policy.yaml", HEAD "include: [b-*.yaml]\n");
	put_file(*state, "b-2.yaml", "partners: {p: {addresses: 192.0.2.2}}\n");
	put_file(*state, "b-1.yaml", "partners: {q: {addresses: 192.0.2.1}}\n");
	assert_int_equal(load(*state, &sources, &faults), 0);
	assert_int_equal(sources.count, 3);
	assert_non_null(strstr(sources.item[1].name, "/b-1.yaml"));
	assert_non_null(strstr(sources.item[2].text, "192.0.2.2"));
	sources_free(&sources);
}

static void test_an_include_is_found_however_it_is_spelled(void **state)
{
	struct sources sources = {0};
	struct faults faults = {0};

	put_file(*state, "policy.yaml", HEAD "\"\\x69nclude\": more.yaml\n");
	put_file(*state, "more.yaml", "partners: {p: {addresses: 192.0.2.2}}\n");
	assert_int_equal(load(*state, &sources, &faults), 0);
	assert_int_equal(sources.count, 2);
	sources_free(&sources);
}

static void expect_load_fault(const struct directory *directory, uint32_t line, uint32_t column,
			      const char *says)
{
	struct sources sources = {0};
	struct faults faults = {0};

	assert_int_equal(load(directory, &sources, &faults), -EBADMSG);
	if (!find_fault(&faults, 0, line, column, says)) {
		faults_print(&faults, &sources, stderr);
		fail_msg("%u:%u: %s", line, column, says);
	}
	assert_int_equal(faults.errors, 1);
	sources_free(&sources);
	faults_free(&faults);
}

static void test_an_include_that_matches_nothing(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: [partners.d/*.yaml]\n");
	expect_load_fault(*state, 4, 11, "no such file");
}

static void test_a_policy_that_includes_itself(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: ['*.yaml']\n");
	expect_load_fault(*state, 4, 11, "policy.yaml is included by itself");
}

static void test_a_file_included_twice(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: [more.yaml, ./more.yaml]\n");
	put_file(*state, "more.yaml", "partners: {}\n");
	expect_load_fault(*state, 4, 22, "is included twice");
}

static void test_a_directory_included(void **state)
{
	put_file(*state, "policy.yaml", HEAD "include: .\n");
	expect_load_fault(*state, 4, 10, "not a regular file");
}

static void test_a_pipe_included_does_not_hang(void **state)
{
	const struct directory *directory = *state;
	char path[256];

	put_file(*state, "policy.yaml", HEAD "include: pipe\n");
	snprintf(path, sizeof(path), "%s/pipe", directory->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_load_fault(*state, 4, 10, "not a regular file");
}

static void test_a_file_of_100_mb_is_refused_by_its_size(void **state)
{
	const struct directory *directory = *state;
	char path[256];

	put_file(*state, "policy.yaml", HEAD);
	snprintf(path, sizeof(path), "%s/policy.yaml", directory->path);
	assert_int_equal(truncate(path, 100000000), 0);
	expect_load_fault(*state, 1, 1, "too large");
}

static void test_an_included_file_of_100_mb(void **state)
{
	const struct directory *directory = *state;
	char path[256];

	put_file(*state, "policy.yaml", HEAD "include: more.yaml\n");
	put_file(*state, "more.yaml", "");
	snprintf(path, sizeof(path), "%s/more.yaml", directory->path);
	assert_int_equal(truncate(path, 100000000), 0);
	expect_load_fault(*state, 4, 10, "too large");
}

static void test_no_such_policy(void **state)
{
	struct sources sources = {0};
	struct faults faults = {0};

	assert_int_equal(load(*state, &sources, &faults), -ENOENT);
	assert_int_equal(sources.count, 0);
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		in_directory(test_a_pattern_includes_files_in_order),
		in_directory(test_an_include_is_found_however_it_is_spelled),
		in_directory(test_an_include_that_matches_nothing),
		in_directory(test_a_policy_that_includes_itself),
		in_directory(test_a_file_included_twice),
		in_directory(test_a_directory_included),
		in_directory(test_a_pipe_included_does_not_hang),
		in_directory(test_a_file_of_100_mb_is_refused_by_its_size),
		in_directory(test_an_included_file_of_100_mb),
		in_directory(test_no_such_policy),
	};

	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
