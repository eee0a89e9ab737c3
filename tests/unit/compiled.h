/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compiled.h - for unit tests: a policy's text -> its image, and questions to it.
 */
#ifndef WEIR_TESTS_COMPILED_H
#define WEIR_TESTS_COMPILED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/policy/image.h"
#include "user/policy/question.h"

/* Mon 2027-03-01 12:00 UTC. */
#define TEST_NOW_NS (1803902400ull * 1000000000ull)

/* Compiles a text; the faults are printed when `is_good` and there are some. 0 or -EBADMSG. */
static inline int compile_text(const char *text, uint64_t now_ns, struct image *image,
			       struct faults *faults, bool is_good)
{
	struct source source = {
		.name = (char *)"test.yaml",
		.text = (char *)text,
		.length = strlen(text),
	};
	struct sources sources = {.item = &source, .count = 1};
	struct policy policy = {0};
	int r = policy_read(&sources, &policy, faults);

	if (!r)
		r = policy_check(&policy, faults);
	if (!r)
		r = image_compile(&policy, now_ns, image, faults);
	if (is_good && faults->errors)
		faults_print(faults, &sources, stderr);
	policy_free(&policy);
	return r;
}

/* The image of a text that has no fault; to be freed. */
static inline struct image compile_good(const char *text)
{
	struct faults faults = {0};
	struct image image = {0};

	assert_int_equal(compile_text(text, TEST_NOW_NS, &image, &faults, true), 0);
	faults_free(&faults);
	return image;
}

/* What is wrong with a text: the first error, malloc'd. */
static inline char *compile_bad(const char *text)
{
	struct faults faults = {0};
	struct image image = {0};
	char *first = NULL;

	assert_int_not_equal(compile_text(text, TEST_NOW_NS, &image, &faults, false), 0);
	for (size_t i = 0; i < faults.count && !first; i++) {
		if (faults.item[i].severity == SEVERITY_ERROR)
			first = strdup(faults.item[i].text);
	}
	assert_non_null(first);
	faults_free(&faults);
	return first;
}

static inline struct weir_question make_question(const struct image *image, const char *service,
						 uint8_t direction, const char *endpoint,
						 const char *peer)
{
	struct weir_question question = {
		.service = image_service(image, service),
		.direction = direction == WEIR_SERVES ? WEIR_SERVES : WEIR_CALLS,
		.is_held = direction == WEIR_CALLS_BACK,
		.cut_slot = WEIR_ANY,
	};

	assert_int_not_equal(question.service, WEIR_ANY);
	assert_int_equal(address_parse(peer, question.peer), 0);
	assert_int_equal(question_endpoint(endpoint, &question), 0);
	return question;
}

static inline struct weir_answer ask(const struct image *image, const char *service,
				     uint8_t direction, const char *endpoint, const char *peer,
				     uint64_t wall_ns)
{
	struct weir_question question = make_question(image, service, direction, endpoint, peer);
	struct weir_answer answer;

	explain_decide(image, NULL, &question, wall_ns, false, &answer);
	return answer;
}

#endif
