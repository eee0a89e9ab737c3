/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* link.c - the way to the daemon. */
#include "user/fleet/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "user/base/cleanup.h"
#include "user/base/now.h"

enum { FIRST_SIZE = 4096, LONGEST_ANSWER = 1 << 20 };

/* A policy of a million prefixes takes some seconds; the daemon may let us wait for our turn. */
static const uint64_t patience_ns = 120 * NS_PER_SECOND;
static const uint64_t retry_least_ns = NS_PER_SECOND / 10;
static const uint64_t retry_most_ns = 5 * NS_PER_SECOND;

/* As user/daemon/paths.h says of it; the fleet's part does not know the daemon's. */
int link_init(struct link *link, const char *instance)
{
	const char *root = secure_getenv("WEIR_RUN_DIR");
	struct sockaddr_un address;

	*link = (struct link){.fd = -1};
	if (asprintf(&link->path, "%s/%s.orders.sock", root && root[0] ? root : "/run/weir",
		     instance) < 0) {
		link->path = NULL;
		return -ENOMEM;
	}
	return strlen(link->path) < sizeof(address.sun_path) ? 0 : -ENAMETOOLONG;
}

static void hang_up(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	free(TAKE_PTR(link->out));
	free(TAKE_PTR(link->in));
	link->in_used = link->in_size = 0;
	link->patience_ns = 0;
}

void link_close(struct link *link)
{
	hang_up(link);
	free(TAKE_PTR(link->path));
}

static enum link_event lose(struct link *link, uint64_t now_ns)
{
	uint64_t wait_ns = retry_least_ns << (link->failures < 8 ? link->failures : 8);

	hang_up(link);
	link->failures++;
	link->retry_ns = now_ns + (wait_ns < retry_most_ns ? wait_ns : retry_most_ns);
	return LINK_LOST;
}

bool link_is_open(struct link *link, uint64_t now_ns)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (link->fd >= 0)
		return true;
	if (link->retry_ns > now_ns)
		return false;
	strcpy(address.sun_path, link->path);
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		lose(link, now_ns);
		return false;
	}
	return true;
}

bool link_is_busy(const struct link *link)
{
	return link->patience_ns != 0;
}

void link_ask(struct link *link, char *line, uint64_t now_ns)
{
	link->out = line;
	link->out_length = strlen(line);
	link->out[link->out_length++] = '\n'; /* in the place of the NUL */
	link->out_done = 0;
	link->patience_ns = now_ns + patience_ns;
}

bool link_wants_write(const struct link *link)
{
	return link->out != NULL;
}

/* -errno: it is lost. */
static int send_more(struct link *link)
{
	ssize_t sent = send(link->fd, link->out + link->out_done, link->out_length - link->out_done,
			    MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	link->out_done += sent;
	if (link->out_done == link->out_length)
		free(TAKE_PTR(link->out));
	return 0;
}

static int make_room(struct link *link)
{
	size_t size = link->in_size ? 2 * link->in_size : FIRST_SIZE;
	char *larger;

	if (link->in_used + 1 < link->in_size)
		return 0;
	if (size > LONGEST_ANSWER)
		return -EMSGSIZE;
	larger = realloc(link->in, size);
	if (!larger)
		return -ENOMEM;
	link->in = larger;
	link->in_size = size;
	return 0;
}

/* 1: a whole line is there. */
static int receive(struct link *link)
{
	ssize_t got;
	int r = make_room(link);

	if (r < 0)
		return r;
	got = recv(link->fd, link->in + link->in_used, link->in_size - link->in_used - 1, 0);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (got == 0)
		return -ECONNRESET;
	link->in_used += got;
	link->in[link->in_used] = '\0';
	return link->in[link->in_used - 1] == '\n';
}

/* What comes unasked is a refusal at the door: there is no room, or we may not ask. */
enum link_event link_handle(struct link *link, bool is_readable, bool is_writable, uint64_t now_ns)
{
	int r = 0;

	if (link->fd < 0)
		return LINK_NOTHING;
	if (is_writable && link->out)
		r = send_more(link);
	if (r == 0 && is_readable)
		r = receive(link);
	if (r < 0 || (r > 0 && (link->out || !link_is_busy(link))))
		return lose(link, now_ns);
	if (r == 0)
		return LINK_NOTHING;
	link->patience_ns = 0;
	link->failures = 0;
	return LINK_ANSWER;
}

enum link_event link_tick(struct link *link, uint64_t now_ns)
{
	return link->patience_ns && link->patience_ns <= now_ns ? lose(link, now_ns) : LINK_NOTHING;
}

void link_forget(struct link *link)
{
	free(TAKE_PTR(link->in));
	link->in_used = link->in_size = 0;
}

uint64_t link_due(const struct link *link)
{
	if (link->fd < 0)
		return link->retry_ns;
	return link->patience_ns ? link->patience_ns : UINT64_MAX;
}
