/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* problem.h - why something failed, as one line for people. */
#ifndef WEIR_FLEET_PROBLEM_H
#define WEIR_FLEET_PROBLEM_H

/* *problem = one line (malloc'd, NULL without memory); returns `error`. */
int problem_set(char **problem, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
