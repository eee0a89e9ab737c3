/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* nft.c - runs nft(8). */
#include "user/daemon/nft.h"

#include <json-c/json.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/json_in.h"
#include "user/daemon/host.h"

enum { MOST_SAID = 1 << 30 }; /* a table of many partners that differ is long to list */

/* What it reads and what it says are files in memory: no pipe that could fill up. */
static int file_in_memory(const char *text, size_t length)
{
	_cleanup_close_ int fd = memfd_create("nft", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, text, length);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

static int set_streams(posix_spawn_file_actions_t *actions, int in, int out)
{
	int r = posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, out, STDERR_FILENO);
	return r;
}

/* Whatever PATH says: it runs as root. */
static int spawn(char *const argv[], int in, int out, pid_t *pid)
{
	static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"};
	char *const environment[] = {(char *)"LC_ALL=C", NULL};
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = set_streams(&actions, in, out);
	if (r == 0) {
		r = ENOENT;
		for (size_t i = 0; r == ENOENT && i < sizeof(places) / sizeof(places[0]); i++)
			r = posix_spawn(pid, places[i], &actions, NULL, argv, environment);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int read_said(int out, char **said)
{
	size_t length;

	return lseek(out, 0, SEEK_SET) < 0 ? -errno : file_read_fd(out, MOST_SAID, said, &length);
}

/* The first line that says what is wrong. */
static int tell_failure(const char *said, char **problem)
{
	if (!said || !said[0])
		return tell_problem(problem, -EIO, "nft failed");
	return tell_problem(problem, -EIO, "nft: %.*s", (int)strcspn(said, "\n"), said);
}

/* `said` gets what it said when it is not NULL; malloc'd. */
static int run(char *const argv[], const char *text, size_t length, char **said, char **problem)
{
	_cleanup_close_ int in = file_in_memory(text, length), out = file_in_memory("", 0);
	_cleanup_free_ char *words = NULL;
	int status, r;
	pid_t pid;

	if (in < 0 || out < 0)
		return tell_problem(problem, in < 0 ? in : out, "no room for what nft shall load");
	r = spawn(argv, in, out, &pid);
	if (r < 0)
		return tell_problem(problem, r, "cannot run nft: %s", strerror(-r));
	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return tell_problem(problem, -errno, "cannot wait for nft: %m");
	r = read_said(out, &words);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return tell_failure(words, problem);
	if (said && r == 0)
		*said = TAKE_PTR(words);
	return said ? r : 0;
}

int nft_load(const char *text, size_t length, char **problem)
{
	char *const argv[] = {(char *)"nft", (char *)"-f", (char *)"-", NULL};

	return run(argv, text, length, NULL, problem);
}

int nft_list_table(const char *family, const char *name, char **text)
{
	char *const argv[] = {(char *)"nft",   (char *)"-s",   (char *)"-t", (char *)"list",
			      (char *)"table", (char *)family, (char *)name, NULL};
	_cleanup_free_ char *problem = NULL;

	return run(argv, "", 0, text, &problem);
}

/* {"nftables":[{...},{"counter":{...,"packets":1,"bytes":2}}]} */
void nft_add_counter(const char *family, const char *table, const char *counter, uint64_t *bytes)
{
	char *const argv[] = {(char *)"nft",  (char *)"-j",  (char *)"list",  (char *)"counter",
			      (char *)family, (char *)table, (char *)counter, NULL};
	_cleanup_free_ char *said = NULL, *problem = NULL;
	json_object *root, *list, *item, *value;

	if (run(argv, "", 0, &said, &problem) < 0)
		return;
	root = json_in(said, strlen(said), 8);
	if (json_object_object_get_ex(root, "nftables", &list)) {
		item = json_object_array_get_idx(list, json_object_array_length(list) - 1);
		if (json_object_object_get_ex(item, "counter", &item) &&
		    json_object_object_get_ex(item, "bytes", &value))
			*bytes += json_object_get_uint64(value);
	}
	json_object_put(root);
}
