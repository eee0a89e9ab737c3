/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * cost.h - what the running kernel's verifier spends on each program of an object. For `about` in
 * the guests of `make vm`, and for tests/prog/test_costs.c.
 */
#ifndef WEIR_TESTS_COST_H
#define WEIR_TESTS_COST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

enum { COST_LOG_STATISTICS = 4, COST_LOG_BYTES = 1 << 20, COST_PROGRAMS = 64 };

struct cost {
	const char *program;
	unsigned long own;	    /* instructions, as they were compiled; with its functions */
	unsigned long instructions; /* that the verifier walked through; 0: it does not say */
	unsigned long states;	    /* that it kept on the way */
};

/* "processed N insns (limit ...) ... total_states N ...", at the end of the log; newer kernels tell
 * before, in a line of the same words, what each function took. */
static inline struct cost cost_read(const struct bpf_program *program, const char *log)
{
	struct cost cost = {bpf_program__name(program), bpf_program__insn_cnt(program), 0, 0};
	const char *line = NULL, *states;

	for (const char *at = log; (at = strstr(at, "processed ")); at++)
		if (at == log || at[-1] == '\n')
			line = at;
	states = line ? strstr(line, "total_states ") : NULL;
	if (line)
		cost.instructions = strtoul(line + strlen("processed "), NULL, 10);
	if (states)
		cost.states = strtoul(states + strlen("total_states "), NULL, 10);
	return cost;
}

enum { COST_WHY_BYTES = 400 };

/* The end of the log of a program that was refused, in one line. */
static inline void cost_why(const struct bpf_program *program, const char *log, char *why)
{
	size_t end = strlen(log),
	       begin = end > COST_WHY_BYTES - 100 ? end - COST_WHY_BYTES + 100 : 0;

	snprintf(why, COST_WHY_BYTES, "%s: %s", bpf_program__name(program), log + begin);
	for (char *at = why; (at = strchr(at, '\n'));)
		*at = '|';
}

/* Loads an object, attaches nothing, and tells `each` of every program that loaded. 0 or -errno,
 * and in `why` what the verifier said of the one that was refused. */
static inline int cost_each(const char *path, void (*each)(const struct cost *cost, void *data),
			    void *data, char why[COST_WHY_BYTES])
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	char *log[COST_PROGRAMS] = {NULL};
	struct bpf_program *program;
	int count = 0, r;

	if (!object)
		return -errno;
	bpf_object__for_each_program(program, object)
	{
		if (count == COST_PROGRAMS || !(log[count] = calloc(1, COST_LOG_BYTES)))
			break;
		bpf_program__set_log_level(program, COST_LOG_STATISTICS);
		bpf_program__set_log_buf(program, log[count++], COST_LOG_BYTES);
	}
	r = bpf_object__load(object);
	why[0] = '\0';
	count = 0;
	bpf_object__for_each_program(program, object)
	{
		if (count < COST_PROGRAMS && log[count] && bpf_program__fd(program) >= 0) {
			struct cost cost = cost_read(program, log[count]);

			each(&cost, data);
		} else if (count < COST_PROGRAMS && log[count] && log[count][0]) {
			cost_why(program, log[count], why);
		}
		count++;
	}
	bpf_object__close(object);
	for (int i = 0; i < COST_PROGRAMS; i++)
		free(log[i]);
	return r;
}

#endif
