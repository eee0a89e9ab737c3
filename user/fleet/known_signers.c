/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* known_signers.c - whether anybody whom this machine knows has signed an order. */
#include "user/fleet/known_signers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/now.h"
#include "user/fleet/problem.h"

/* As user/daemon/paths.h says of it; the fleet's part does not know the daemon's. */
static char *path_of(const char *name)
{
	const char *root = secure_getenv("WEIR_CONFIG_DIR");
	char *path;

	return asprintf(&path, "%s/%s", root && root[0] ? root : "/etc/weir", name) < 0 ? NULL
											: path;
}

/* *text NULL: there is no such file. */
static int read_list(const char *path, char **text, size_t *length, char **problem)
{
	int r = path ? file_read(path, SIGNERS_MAX_BYTES, text, length) : -ENOMEM;

	if (r == -ENOENT)
		return 0;
	return r < 0 ? problem_set(problem, r, "%s: %s", path ? path : "signers", strerror(-r)) : 0;
}

static int tell(int error, const char *path, const struct order_fault *fault, char **problem)
{
	if (error == -EBADMSG)
		return problem_set(problem, error, "%s:%u:%u: %s", path, fault->line, fault->column,
				   fault->text);
	return error < 0 ? problem_set(problem, error, "%s: %s", path, strerror(-error)) : 0;
}

int known_signers_read(struct known_signers *known, char **problem)
{
	_cleanup_free_ char *allowed = path_of("allowed_signers"),
			    *taken_back = path_of("revoked_signers");
	_cleanup_free_ char *signers = NULL, *revoked = NULL;
	struct order_fault fault = {0};
	size_t length = 0;
	int r;

	*known = (struct known_signers){0};
	r = read_list(allowed, &signers, &length, problem);
	if (r < 0 || !signers)
		return r;
	known->is_there = true;
	r = tell(signers_read(signers, length, 1, &known->signers, &fault), allowed, &fault,
		 problem);
	if (r == 0)
		r = read_list(taken_back, &revoked, &length, problem);
	if (r == 0 && revoked)
		r = tell(revoked_read(revoked, length, &known->revoked, &fault), taken_back, &fault,
			 problem);
	return r;
}

void known_signers_free(struct known_signers *known)
{
	signers_free(&known->signers);
	revoked_free(&known->revoked);
	*known = (struct known_signers){0};
}

/* Which version is in force, each host knows for itself. */
unsigned int known_signers_of(const struct known_signers *known, const struct document *document,
			      struct judgement *judgement)
{
	const struct judge_by by = {.signers = &known->signers,
				    .revoked = &known->revoked,
				    .now_ns = wall_now(),
				    .clock_is_trusted = true,
				    .version = document->version ? document->version - 1 : 0};

	judge_document(document, &by, judgement);
	return judgement->current.principals;
}
