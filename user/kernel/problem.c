/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * problem.c - what went wrong, in one line for people; also out of libbpf's many.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What libbpf said in this thread since libbpf_capture(). */
static __thread struct {
	char program[64];
	char verifier[256];
	char first[256];
} said;

static void keep_line(char *to, size_t size, const char *from, size_t length)
{
	while (length && (from[length - 1] == '\n' || from[length - 1] == '.'))
		length--;
	if (length >= size)
		length = size - 1;
	memcpy(to, from, length);
	to[length] = 0;
}

/* The verifier's own statistics and libbpf's frames around the log are no reason. */
static bool is_reason(const char *line, size_t length)
{
	static const char *const noise[] = {"processed ",	"verification time", "stack depth",
					    "-- END",		"-- BEGIN",	     "peak_states",
					    "mark_precise",	"max_states",	     "total_states",
					    "The sequence of ", "(truncated)",	     "insns_"};

	for (size_t i = 0; i < sizeof(noise) / sizeof(*noise); i++)
		if (length >= strlen(noise[i]) && !memcmp(line, noise[i], strlen(noise[i])))
			return false;
	return length > 0;
}

static void keep_verifier(const char *text)
{
	const char *last = NULL;
	size_t last_length = 0;

	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");

		if (is_reason(line, length)) {
			last = line;
			last_length = length;
		}
		line += length + (line[length] == '\n');
	}
	if (last)
		keep_line(said.verifier, sizeof(said.verifier), last, last_length);
}

static void keep(const char *text)
{
	const char *prog = strstr(text, "prog '");
	const char *log = strstr(text, "-- BEGIN PROG LOAD LOG --");

	if (prog && !said.program[0]) {
		prog += strlen("prog '");
		keep_line(said.program, sizeof(said.program), prog, strcspn(prog, "'"));
	}
	if (log)
		keep_verifier(log);
	if (!said.first[0]) {
		if (!strncmp(text, "libbpf: ", 8))
			text += 8;
		keep_line(said.first, sizeof(said.first), text, strcspn(text, "\n"));
	}
}

static int on_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	va_list again;
	char *text = NULL;
	int length;

	if (level != LIBBPF_WARN)
		return 0;
	va_copy(again, arguments);
	length = vasprintf(&text, format, again);
	va_end(again);
	if (length > 0)
		keep(text);
	if (length >= 0)
		free(text);
	return 0;
}

void libbpf_capture(void)
{
	memset(&said, 0, sizeof(said));
	libbpf_set_print(on_print);
}

int problem_set(char **problem, int err, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	if (!problem)
		return err;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	free(*problem);
	*problem = text;
	return err;
}

int problem_libbpf(char **problem, int err, const char *doing)
{
	if (said.verifier[0])
		return problem_set(problem, err, "%s: %s: %s", doing, said.program, said.verifier);
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return problem_set(problem, err,
				   "%s: the kernel has no BTF (/sys/kernel/btf/vmlinux)", doing);
	if (said.first[0])
		return problem_set(problem, err, "%s: %s (%s)", doing, said.first, strerror(-err));
	return problem_set(problem, err, "%s: %s", doing, strerror(-err));
}
