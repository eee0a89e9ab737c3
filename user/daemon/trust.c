/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* trust.c - whose signed orders this host takes. */
#include "user/daemon/trust.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/paths.h"

static int check_owner(int fd, const char *path, char **problem)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return tell_problem(problem, -errno, "%s: %s", path, strerror(errno));
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & 022)
		return tell_problem(problem, -EPERM,
				    "%s could be changed by others than root: chown root and "
				    "chmod go-w it",
				    path);
	return 0;
}

/* *text NULL: there is no such file. */
static int read_file(const char *path, char **text, size_t *length, char **problem)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return tell_problem(problem, -errno, "%s: %s", path, strerror(errno));
	r = check_owner(fd, path, problem);
	if (r < 0)
		return r;
	r = file_read_fd(fd, SIGNERS_MAX_BYTES, text, length);
	return r < 0 ? tell_problem(problem, r, "%s: %s", path, strerror(-r)) : 0;
}

static int tell_fault(int error, const char *path, const struct order_fault *fault, char **problem)
{
	if (error == -EBADMSG)
		return tell_problem(problem, error, "%s:%u:%u: %s", path, fault->line,
				    fault->column, fault->text);
	return error < 0 ? tell_problem(problem, error, "%s: %s", path, strerror(-error)) : 0;
}

static int read_signers(struct trust *trust, char **problem)
{
	_cleanup_free_ char *path = path_config("allowed_signers"), *text = NULL;
	struct order_fault fault;
	size_t length = 0;
	int r = path ? read_file(path, &text, &length, problem) : -ENOMEM;

	if (r < 0)
		return r;
	if (!text)
		return tell_problem(problem, -ENOENT,
				    "no signed order is taken here: there is no %s", path);
	trust->signers = &trust->of_host;
	return tell_fault(signers_read(text, length, 1, &trust->of_host, &fault), path, &fault,
			  problem);
}

static int read_revoked(struct trust *trust, char **problem)
{
	_cleanup_free_ char *path = path_config("revoked_signers"), *text = NULL;
	struct order_fault fault;
	size_t length = 0;
	int r = path ? read_file(path, &text, &length, problem) : -ENOMEM;

	if (r < 0 || !text)
		return r;
	return tell_fault(revoked_read(text, length, &trust->revoked, &fault), path, &fault,
			  problem);
}

int trust_read(const struct host *host, struct trust *trust, char **problem)
{
	int r;

	*trust = (struct trust){0};
	r = in_force_read(host, ORDER_SIGNERS, &trust->order, problem);
	if (r == 0 && trust->order.document.version)
		trust->signers = &trust->order.document.signers;
	else if (r == 0)
		r = read_signers(trust, problem);
	return r < 0 ? r : read_revoked(trust, problem);
}

void trust_free(struct trust *trust)
{
	signers_free(&trust->of_host);
	in_force_free(&trust->order);
	revoked_free(&trust->revoked);
	*trust = (struct trust){0};
}
