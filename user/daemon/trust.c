/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* trust.c - whose signed orders this host takes. */
#include "user/daemon/trust.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/paths.h"

static const char order_file[] = "signers.order";

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

/* 1: one is in force; 0: none is. */
static int read_order(const struct host *host, struct trust *trust, char **problem)
{
	_cleanup_free_ char *path = host_path(host, order_file);
	struct order_fault fault;
	size_t length;
	int r = path ? file_read(path, DOCUMENT_MAX_BYTES, &trust->text, &length) : -ENOMEM;

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = document_read(trust->text, length, &trust->order, &fault);
	if (r < 0)
		return tell_fault(r, path, &fault, problem);
	if (trust->order.kind != ORDER_SIGNERS)
		return tell_problem(problem, -EBADMSG, "%s is of kind %s", path,
				    kind_name(trust->order.kind));
	trust->signers = &trust->order.signers;
	return 1;
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
	r = host->state_dir < 0 ? 0 : read_order(host, trust, problem);
	if (r == 0)
		r = read_signers(trust, problem);
	return r < 0 ? r : read_revoked(trust, problem);
}

void trust_free(struct trust *trust)
{
	signers_free(&trust->of_host);
	document_free(&trust->order);
	free(trust->text);
	revoked_free(&trust->revoked);
	*trust = (struct trust){0};
}

int trust_replace(const struct host *host, const char *text, size_t length)
{
	_cleanup_free_ char *path = host_path(host, order_file);

	if (host->state_dir < 0)
		return -ENOENT;
	return path ? file_write_atomic(path, text, length, 0640) : -ENOMEM;
}
