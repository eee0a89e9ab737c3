/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* problem.c - why something failed. */
#include "user/fleet/problem.h"

#include <stdarg.h>
#include <stdio.h>

int problem_set(char **problem, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(problem, format, arguments) < 0)
		*problem = NULL;
	va_end(arguments);
	return error;
}
