/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * caller.c - who asks.
 */
#include "user/daemon/caller.h"

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"

enum { MOST_GROUPS = 1024 };

#ifndef SO_PEERPIDFD /* linux/socket.h of 6.5 */
#define SO_PEERPIDFD 77
#endif

/* From the local file alone: a directory service that hangs must not hold up a cut. */
static void find_name(uid_t uid, char name[24])
{
	_cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *user;

	name[0] = '\0';
	while (file && (user = fgetpwent(file)) != NULL) {
		if (user->pw_uid != uid)
			continue;
		snprintf(name, 24, "%.20s", user->pw_name);
		return;
	}
}

static void put_user(uid_t uid, const char *name, char *text, size_t size)
{
	if (name[0])
		snprintf(text, size, "%s(%u)", name, uid);
	else
		snprintf(text, size, "uid %u", uid);
}

bool caller_group(const char *name, gid_t *gid)
{
	_cleanup_fclose_ FILE *file = fopen("/etc/group", "re");
	const struct group *group;

	while (file && (group = fgetgrent(file)) != NULL) {
		if (strcmp(group->gr_name, name) != 0)
			continue;
		*gid = group->gr_gid;
		return true;
	}
	return false;
}

/* The login uid stays through su and sudo (pam_loginuid); not set for what no login started. */
static bool read_login(pid_t pid, uid_t *login)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/loginuid", pid);
	if (file_read(path, 64, &text, &length) < 0)
		return false;
	*login = strtoul(text, NULL, 10);
	return *login != (uid_t)-1;
}

/*
 * Whether the process with the peer's pid was the peer while its login uid was read: one that has
 * ended leaves its pid to others. A kernel before 6.5 does not tell; there it is taken for granted,
 * as the peer waits for its answer.
 */
static bool is_still_there(int fd)
{
	_cleanup_close_ int pidfd = -1;
	socklen_t length = sizeof(pidfd);
	struct pollfd ended = {.events = POLLIN};

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
		return errno == ENOPROTOOPT;
	ended.fd = pidfd;
	return poll(&ended, 1, 0) == 0;
}

/* `fd`: its socket, or -1: it is this process. */
static void describe(struct caller *caller, int fd)
{
	char user[36], login[36];

	find_name(caller->uid, caller->user);
	put_user(caller->uid, caller->user, user, sizeof(user));
	caller->has_login =
		read_login(caller->pid, &caller->login) && (fd < 0 || is_still_there(fd));
	if (caller->has_login) {
		find_name(caller->login, caller->login_user);
		put_user(caller->login, caller->login_user, login, sizeof(login));
		snprintf(caller->by, sizeof(caller->by), "%.28s login %.28s", user, login);
	} else {
		snprintf(caller->by, sizeof(caller->by), "%s", user);
	}
}

/* The groups that the peer had when it connected, supplementary ones included. */
static bool is_in_group(int fd, const char *group, gid_t primary)
{
	gid_t groups[MOST_GROUPS], wanted;
	socklen_t length = sizeof(groups);

	if (!caller_group(group, &wanted))
		return false;
	if (primary == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
		return false;
	for (size_t i = 0; i < length / sizeof(groups[0]); i++) {
		if (groups[i] == wanted)
			return true;
	}
	return false;
}

int caller_of_socket(int fd, const char *group, struct caller *caller)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -errno;
	*caller = (struct caller){.fd = fd, .pid = peer.pid, .uid = peer.uid};
	caller->is_allowed = peer.uid == 0 || is_in_group(fd, group, peer.gid);
	describe(caller, fd);
	return 0;
}

bool caller_has_hung_up(const struct caller *caller)
{
	struct pollfd pollfd = {.fd = caller->fd};

	return caller->fd && poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLHUP | POLLERR));
}

void caller_of_self(struct caller *caller)
{
	*caller = (struct caller){.pid = getpid(), .uid = getuid(), .is_allowed = true};
	describe(caller, -1);
}
