/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * costs.h - tests/prog/costs, for test_costs.c: what is expected of each program, and whether what
 * was seen is more by more than the room.
 */
#ifndef WEIR_TESTS_COSTS_H
#define WEIR_TESTS_COSTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COSTS_FILE "tests/prog/costs"

/* ---- what is expected, and what was seen ----------------------------------------------------- */

enum { MOST = 256, NUMBERS = 2 };

/* A line of the file: "PROGRAM OF NUMBER [NUMBER]". */
struct line {
	char program[32], of[32];
	double number[NUMBERS];
	bool is_met;
};

struct lines {
	struct line item[MOST];
	size_t count;
};

static struct lines expected, seen;
static char compiler[32], kernel[32], machine[32]; /* the last two: those that run this */

static const struct {
	const char *of, *unit[NUMBERS];
} kinds[] = {
	{"own", {"instructions", NULL}},
	{"@", {"times an empty program", NULL}}, /* a machine: @FAMILY-MODEL */
	{"", {"instructions of the verifier", "states of the verifier"}}, /* a kernel */
};

static inline const char *unit_of(const char *of, int number)
{
	size_t i = 0;

	while (strncmp(kinds[i].of, of, strlen(kinds[i].of)) != 0)
		i++;
	return kinds[i].unit[number];
}

static inline void line_add(struct lines *lines, const char *program, const char *of, double first,
			    double second)
{
	struct line *line = &lines->item[lines->count++];

	assert_true(lines->count < MOST);
	snprintf(line->program, sizeof(line->program), "%s", program);
	snprintf(line->of, sizeof(line->of), "%s", of);
	line->number[0] = first;
	line->number[1] = second;
}

/* "room OF PERCENT" is a line like the others; "compiler MAJOR" says for whom the file speaks. */
static inline void expected_read(void)
{
	FILE *file = fopen(COSTS_FILE, "re");
	char text[256], program[32], of[32];
	double first, second;

	if (!file)
		fail_msg("%s: %s", COSTS_FILE, strerror(errno));
	while (fgets(text, sizeof(text), file)) {
		int n;

		if (*text == '#' || *text == '\n')
			continue;
		second = 0;
		n = sscanf(text, "%31s %31s %lf %lf", program, of, &first, &second);
		if (n == 2 && !strcmp(program, "compiler"))
			snprintf(compiler, sizeof(compiler), "%s", of);
		else if (n >= 3)
			line_add(&expected, program, of, first, second);
		else
			fail_msg("%s: not to be read: %s", COSTS_FILE, text);
	}
	fclose(file);
}

static inline struct line *expected_find(const char *program, const char *of)
{
	for (size_t i = 0; i < expected.count; i++) {
		struct line *line = &expected.item[i];

		if (!strcmp(line->program, program) && !strcmp(line->of, of))
			return line;
	}
	return NULL;
}

static inline bool is_kernel(const char *of)
{
	return *of >= '0' && *of <= '9';
}

static inline bool is_machine(const char *of)
{
	return *of == '@';
}

static inline bool is_known(const char *of)
{
	for (size_t i = 0; i < expected.count; i++)
		if (!strcmp(expected.item[i].of, of))
			return true;
	return false;
}

/* What a kernel, or a machine, that the file does not know may take: as much as any that it knows.
 */
static inline bool greatest_of(const char *program, bool (*is_kind)(const char *of),
			       struct line *ret)
{
	bool is_found = false;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < expected.count; i++) {
		const struct line *line = &expected.item[i];

		if (!is_kind(line->of) || strcmp(line->program, program) != 0)
			continue;
		is_found = true;
		for (int j = 0; j < NUMBERS; j++)
			if (ret->number[j] < line->number[j])
				ret->number[j] = line->number[j];
	}
	return is_found;
}

static inline double room_of(const char *name)
{
	const struct line *line = expected_find("room", name);

	if (!line)
		fail_msg("%s: no line \"room %s PERCENT\"", COSTS_FILE, name);
	return 1 + line->number[0] / 100;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* How much more than the file says is let pass. Another compiler, a kernel or a machine that the
 * file does not know makes another number of the same source, so there is more room for it. */
static inline double room_for(const char *of)
{
	if (is_machine(of))
		return room_of(is_known(of) ? "machine" : "other_machine");
	if (strcmp(compiler, WEIR_CLANG) != 0)
		return room_of("other_compiler");
	if (!is_kernel(of))
		return room_of(of);
	return room_of(is_known(of) ? "verifier" : "other_kernel");
}

/* NULL: the file has no line for it. */
static inline struct line *known_for(const struct line *line, struct line *greatest)
{
	struct line *known = expected_find(line->program, line->of);

	if (known || is_known(line->of) || !(is_kernel(line->of) || is_machine(line->of)))
		return known;
	return greatest_of(line->program, is_kernel(line->of) ? is_kernel : is_machine, greatest)
		       ? greatest
		       : NULL;
}

/* A number that is lower by more than the room would hide that much growth later. Where it depends
 * on nothing but the source; what a packet takes, and what others' compilers and kernels say, does.
 */
static inline double least_of(const struct line *line, double known)
{
	bool is_exact =
		!is_machine(line->of) && is_known(line->of) && !strcmp(compiler, WEIR_CLANG);

	return is_exact ? known / room_for(line->of) : 0;
}

static inline int compare(const struct line *line)
{
	struct line greatest, *known = known_for(line, &greatest);
	int wrong = 0;

	if (!known) {
		print_error("%s (%s): not in %s; `make costs` puts it there\n", line->program,
			    line->of, COSTS_FILE);
		return 1;
	}
	known->is_met = true;
	for (int i = 0; i < NUMBERS && unit_of(line->of, i); i++) {
		double most = known->number[i] * room_for(line->of);
		double least = least_of(line, known->number[i]);

		/* 0: the kernel did not tell */
		if (line->number[i] > 0 && line->number[i] >= least && line->number[i] <= most)
			continue;
		print_error(
			"%s (%s): expected %.6g %s, %.6g to %.6g, seen %.6g. Is it meant? `make "
			"costs` renews %s\n",
			line->program, line->of, known->number[i], unit_of(line->of, i), least,
			most, line->number[i], COSTS_FILE);
		wrong++;
	}
	return wrong;
}

/* Lines whose `of` is this one, and which nothing met: the program went, or has another name. */
static inline int unmet(const char *of)
{
	int wrong = 0;

	for (size_t i = 0; i < expected.count; i++) {
		const struct line *line = &expected.item[i];

		if (strcmp(line->of, of) != 0 || line->is_met || !strcmp(line->program, "room"))
			continue;
		print_error("%s (%s): in %s, and not seen; `make costs` renews it\n", line->program,
			    of, COSTS_FILE);
		wrong++;
	}
	return wrong;
}

#endif
