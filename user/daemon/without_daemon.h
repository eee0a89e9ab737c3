/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * without_daemon.h - a request's answer where no daemon is: by this process, on what the kernel and
 * the state directory hold. *answer is malloc'd, NUL-terminated; -errno with `problem` (malloc'd,
 * may stay NULL).
 */
#ifndef WEIR_WITHOUT_DAEMON_H
#define WEIR_WITHOUT_DAEMON_H

/* On the pinned guard; an error when there is none. */
int answer_on_guard(const char *instance, const char *request, char **answer, char **problem);

/* A request about the journal (orders, order), which needs no guard. */
int answer_on_journal(const char *instance, const char *request, char **answer, char **problem);

#endif
