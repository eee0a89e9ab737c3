/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* keygen.c - ssh-keygen(1) as a process. */
#include "user/cmd/keygen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"

extern char **environ;

enum { LONGEST_SIGNATURE = 16 << 10 };

/* Nobody else may put another text in the place of the one that is signed. */
struct workshop {
	char *directory, *text, *signature;
};

static int open_workshop(struct workshop *workshop)
{
	const char *below = getenv("TMPDIR");

	*workshop = (struct workshop){0};
	if (asprintf(&workshop->directory, "%s/weir-sign-XXXXXX",
		     below && *below ? below : "/tmp") < 0)
		workshop->directory = NULL;
	if (!workshop->directory)
		return -ENOMEM;
	if (!mkdtemp(workshop->directory)) {
		free(workshop->directory);
		workshop->directory = NULL;
		return -errno;
	}
	if (asprintf(&workshop->text, "%s/order", workshop->directory) < 0)
		workshop->text = NULL;
	if (asprintf(&workshop->signature, "%s/order.sig", workshop->directory) < 0)
		workshop->signature = NULL;
	return workshop->text && workshop->signature ? 0 : -ENOMEM;
}

static void close_workshop(struct workshop *workshop)
{
	if (workshop->text)
		unlink(workshop->text);
	if (workshop->signature)
		unlink(workshop->signature);
	if (workshop->directory)
		rmdir(workshop->directory);
	free(workshop->text);
	free(workshop->signature);
	free(workshop->directory);
}

static int put(const char *path, const char *text, size_t length)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : file_write_all(fd, text, length);
}

/* The process gets the signals' mask that was there before. */
static int spawn(char *const argv[], const sigset_t *mask, pid_t *pid)
{
	posix_spawnattr_t attributes;
	int error = posix_spawnattr_init(&attributes);

	if (error)
		return -error;
	error = posix_spawnattr_setsigmask(&attributes, mask);
	if (!error)
		error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	if (!error)
		error = posix_spawnp(pid, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return -error;
}

static int run(char *const argv[], const sigset_t *mask)
{
	pid_t pid;
	int status, r = spawn(argv, mask, &pid);

	if (r < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static int sign(const char *key, const char *in, const char *text, size_t length,
		const sigset_t *mask, char **signature, size_t *signature_length)
{
	struct workshop workshop;
	int r = open_workshop(&workshop);
	char *const argv[] = {"ssh-keygen", "-q", "-Y",	       "sign",	      "-n",
			      (char *)in,   "-f", (char *)key, workshop.text, NULL};

	if (r == 0)
		r = put(workshop.text, text, length);
	if (r == 0)
		r = run(argv, mask);
	if (r == 0)
		r = file_read(workshop.signature, LONGEST_SIGNATURE, signature, signature_length);
	close_workshop(&workshop);
	return r;
}

/* What would end this process waits until its files are gone; ssh-keygen ends at once. */
int keygen_sign(const char *key, const char *in, const char *text, size_t length, char **signature,
		size_t *signature_length)
{
	sigset_t ending, before;
	int r;

	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGQUIT);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &ending, &before) < 0)
		return -errno;
	r = sign(key, in, text, length, &before, signature, signature_length);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}
