/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* faults.c - what is wrong with a policy, collected while reading goes on. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/policy/policy.h"

static void add(struct faults *faults, enum severity severity, struct position at,
		struct position other, const char *format, va_list arguments)
{
	_cleanup_free_ char *text = NULL;
	struct fault *fault;

	if (severity == SEVERITY_ERROR ? faults->errors++ >= FAULTS_MAX_ERRORS
				       : faults->warnings++ >= FAULTS_MAX_WARNINGS)
		return;
	/* Without memory the fault still counts: the policy is refused. */
	if (vasprintf(&text, format, arguments) < 0) {
		text = NULL;
		return;
	}
	fault = ARRAY_ADD(faults->item, faults->count);
	if (!fault)
		return;
	text_make_plain(text); /* names in a fault come from the file */
	*fault = (struct fault){at, other, severity, TAKE_PTR(text)};
	faults->count++;
}

void faults_add(struct faults *faults, enum severity severity, struct position at,
		const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(faults, severity, at, (struct position){0}, format, arguments);
	va_end(arguments);
}

void faults_add_pair(struct faults *faults, enum severity severity, struct position at,
		     struct position other, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(faults, severity, at, other, format, arguments);
	va_end(arguments);
}

static int compare(const void *a, const void *b)
{
	const struct fault *x = *(const struct fault *const *)a;
	const struct fault *y = *(const struct fault *const *)b;

	if (x->at.source != y->at.source)
		return x->at.source < y->at.source ? -1 : 1;
	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	if (x->at.column != y->at.column)
		return x->at.column < y->at.column ? -1 : 1;
	return x < y ? -1 : x > y; /* as they were found */
}

static void print_position(struct position at, const struct sources *sources, FILE *out)
{
	const char *name = at.source < sources->count ? sources->item[at.source].name : "?";

	fprintf(out, "%s:%u:%u", name, at.line, at.column);
}

static void print_fault(const struct fault *fault, const struct sources *sources, FILE *out)
{
	print_position(fault->at, sources, out);
	fprintf(out, ": %s%s", fault->severity == SEVERITY_WARNING ? "warning: " : "", fault->text);
	if (fault->other.line > 0) {
		fputs("; the other one: ", out);
		print_position(fault->other, sources, out);
	}
	fputc('\n', out);
}

void faults_print(const struct faults *faults, const struct sources *sources, FILE *out)
{
	_cleanup_free_ const struct fault **order = calloc(faults->count + 1, sizeof(*order));
	size_t all = faults->errors + faults->warnings, i;

	for (i = 0; order && i < faults->count; i++)
		order[i] = &faults->item[i];
	if (order && faults->count > 0)
		qsort(order, faults->count, sizeof(*order), compare);
	for (i = 0; i < faults->count; i++)
		print_fault(order ? order[i] : &faults->item[i], sources, out);
	if (all > faults->count)
		fprintf(out, "and %zu more faults\n", all - faults->count);
}

char *faults_text(const struct faults *faults, const struct sources *sources)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	faults_print(faults, sources, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

void faults_free(struct faults *faults)
{
	size_t i;

	for (i = 0; i < faults->count; i++)
		free(faults->item[i].text);
	free(faults->item);
	*faults = (struct faults){0};
}
