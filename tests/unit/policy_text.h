/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* policy_text.h - policies written as strings, for tests. */
#ifndef WEIR_POLICY_TEXT_H
#define WEIR_POLICY_TEXT_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "user/policy/policy.h"

/* Sources of up to two texts, the second one included by the first; nothing to free. */
struct texts {
	struct source item[2];
	struct sources sources;
};

static inline const struct sources *texts_of(struct texts *texts, const char *text, size_t length,
					     const char *included)
{
	texts->item[0] = (struct source){(char *)"policy.yaml", (char *)text, length};
	texts->item[1] = (struct source){(char *)"more.yaml", (char *)included,
					 included ? strlen(included) : 0};
	texts->sources = (struct sources){texts->item, included ? 2 : 1};
	return &texts->sources;
}

/* Reads a policy that must be good. */
static inline void read_good(const char *text, struct policy *policy)
{
	struct faults faults = {0};
	struct texts texts;
	const struct sources *sources = texts_of(&texts, text, strlen(text), NULL);
	int r = policy_read(sources, policy, &faults);

	if (r != 0)
		faults_print(&faults, sources, stderr);
	assert_int_equal(r, 0);
	assert_int_equal(faults.errors, 0);
	faults_free(&faults);
}

/* One expected fault: where, and a part of its text. */
struct expected {
	const char *name; /* of the test */
	const char *text;
	uint32_t line, column;
	const char *says;
	const char *included; /* the text of a file that is included; faults are told of it by
			       * line 1000 + line */
};

static inline const struct fault *find_fault(const struct faults *faults, uint32_t source,
					     uint32_t line, uint32_t column, const char *says)
{
	const struct fault *fault;

	for (fault = faults->item; fault < faults->item + faults->count; fault++)
		if (fault->at.source == source && fault->at.line == line &&
		    fault->at.column == column && strstr(fault->text, says))
			return fault;
	return NULL;
}

/* Reads, and checks what could be read. */
static inline int judge(const struct sources *sources, struct faults *faults)
{
	struct policy policy = {0};
	int r = policy_read(sources, &policy, faults);

	if (r == 0) {
		r = policy_check(&policy, faults);
		policy_free(&policy);
	}
	return r;
}

static inline void expect_fault(const struct expected *expected, size_t length,
				enum severity severity)
{
	struct faults faults = {0};
	struct texts texts;
	const struct sources *sources =
		texts_of(&texts, expected->text, length, expected->included);
	uint32_t source = expected->line > 1000;
	const struct fault *fault;
	int r = judge(sources, &faults);

	fault = find_fault(&faults, source, expected->line - 1000 * source, expected->column,
			   expected->says);
	if (!fault || fault->severity != severity || (r == 0) != (severity == SEVERITY_WARNING)) {
		faults_print(&faults, sources, stderr);
		fail_msg("%s: %u:%u: %s", expected->name, expected->line, expected->column,
			 expected->says);
	}
	/* One mistake is told once. */
	if (severity == SEVERITY_ERROR && faults.errors != 1) {
		faults_print(&faults, sources, stderr);
		fail_msg("%s: %zu errors", expected->name, faults.errors);
	}
	faults_free(&faults);
}

static inline void test_one_error(void **state)
{
	const struct expected *expected = *state;

	expect_fault(expected, strlen(expected->text), SEVERITY_ERROR);
}

static inline void test_one_warning(void **state)
{
	const struct expected *expected = *state;

	expect_fault(expected, strlen(expected->text), SEVERITY_WARNING);
}

/* Each row of a table becomes a test of its own name. */
static inline size_t add_rows(struct CMUnitTest *tests, size_t count, const struct expected *rows,
			      size_t row_count, CMUnitTestFunction test)
{
	size_t i;

	for (i = 0; i < row_count; i++)
		tests[count++] =
			(struct CMUnitTest){rows[i].name, test, NULL, NULL, (void *)&rows[i]};
	return count;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HEAD "weir: 1\nname: t\nmode: enforce\n" /* lines 1 to 3 */

/* One grant, open for what a test adds: line 7, column 53. */
#define GRANT                                                                                      \
	HEAD "services: {s: {cgroup: a}}\npartners: {p: {addresses: 192.0.2.1}}\ngrants:\n"        \
	     "  - {name: g, service: s, partner: p, budget: none, "

#endif
