/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * holders.c - who holds a connection.
 *
 * A socket's inode is the same number in every network namespace, and /proc/PID/fd shows it. Who
 * made the socket is known to the guard, but a server's listener made them all.
 */
#include "user/cmd/holders.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/base/field.h"

enum { MOST_HOLDERS = 8 }; /* of one connection */

static void cleanup_closedir(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

static void put_user(json_object *object, uint64_t uid)
{
	const struct passwd *entry = getpwuid(uid);
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, uid);
	json_object_object_add(object, "user",
			       json_object_new_string(entry ? entry->pw_name : number));
}

/* The effective uid. The owner of /proc/PID is root for a process that may not be dumped. */
static int read_status(const char *pid, char program[64], uint64_t *uid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], line[256];
	bool has_uid = false;

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	program[0] = '\0';
	while (!has_uid && fgets(line, sizeof(line), file)) {
		sscanf(line, "Name: %63[^\n]", program);
		has_uid = sscanf(line, "Uid: %*u %" SCNu64, uid) == 1;
	}
	return has_uid ? 0 : -ESRCH;
}

void holder_add_user(json_object *item)
{
	char pid[24], program[64];
	uint64_t uid;

	snprintf(pid, sizeof(pid), "%" PRIu64, field_number(item, "pid"));
	if (field_number(item, "pid") && read_status(pid, program, &uid) == 0 &&
	    strcmp(program, field_text(item, "program")) == 0)
		put_user(item, uid);
}

static void add_holder(json_object *session, const char *pid)
{
	json_object *holders = field_object(session, "holders"), *holder;
	size_t count = json_object_array_length(holders);
	char program[64];
	uint64_t uid;

	if (count >= MOST_HOLDERS || read_status(pid, program, &uid) < 0)
		return;
	/* the same process may have it open twice */
	if (count && field_number(json_object_array_get_idx(holders, count - 1), "pid") ==
			     strtoull(pid, NULL, 10))
		return;
	holder = json_object_new_object();
	json_object_object_add(holder, "pid", json_object_new_int64(strtoll(pid, NULL, 10)));
	json_object_object_add(holder, "program", json_object_new_string(program));
	put_user(holder, uid);
	json_object_array_add(holders, holder);
}

/* A busy host has many descriptors for each connection that is asked about. */
struct socket_inode {
	uint64_t inode;
	json_object *session; /* borrowed */
};

struct inodes {
	struct socket_inode *item; /* in order of the inode */
	size_t count;
};

static int by_inode(const void *left, const void *right)
{
	const struct socket_inode *a = left, *b = right;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static void look_at(const struct inodes *inodes, const char *pid)
{
	_cleanup_closedir_ DIR *directory = NULL;
	const struct dirent *entry;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		struct socket_inode wanted, *found;
		char link[64];
		ssize_t length =
			readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);

		if (length < 0)
			continue;
		link[length] = '\0';
		if (sscanf(link, "socket:[%" SCNu64 "]", &wanted.inode) != 1)
			continue;
		found = bsearch(&wanted, inodes->item, inodes->count, sizeof(wanted), by_inode);
		if (found)
			add_holder(found->session, pid);
	}
}

/* Those that a process can have: a socket that was closed already has no inode. */
static void note_inodes(json_object *answer, struct inodes *inodes)
{
	for (size_t i = 0; i < field_count(answer, "sessions"); i++) {
		json_object *session = field_item(answer, "sessions", i);
		uint64_t inode = field_number(session, "inode");

		put_user(session, field_number(session, "uid"));
		json_object_object_add(session, "holders", json_object_new_array());
		if (inode && inodes->item)
			inodes->item[inodes->count++] = (struct socket_inode){inode, session};
	}
	if (inodes->count)
		qsort(inodes->item, inodes->count, sizeof(*inodes->item), by_inode);
}

void holders_add(json_object *answer)
{
	_cleanup_closedir_ DIR *proc = NULL;
	_cleanup_free_ struct socket_inode *item =
		calloc(field_count(answer, "sessions") + 1, sizeof(*item));
	struct inodes inodes = {.item = item};
	const struct dirent *entry;

	note_inodes(answer, &inodes);
	proc = inodes.count ? opendir("/proc") : NULL;
	while (proc && (entry = readdir(proc))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at(&inodes, entry->d_name);
	}
}
