/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ask.c - the asking side of the control socket.
 */
#include "user/daemon/ask.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "user/base/cleanup.h"
#include "user/daemon/paths.h"

/* A daemon that is alive answers an order in milliseconds and a policy of a million prefixes in
 * some seconds. One that is stopped must not keep an emergency waiting for long. */
enum { SENDING_MS = 5000, ANSWER_MS = 5000, LARGE_ANSWER_MS = 60000, LARGE_REQUEST = 65536 };

static int connect_to(const char *instance, int *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_free_ char *path = path_run(instance, ".sock");
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (!path || fd < 0)
		return -ENOMEM;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ENOENT	 ? -ECONNREFUSED
		       : errno == EAGAIN ? -ETIMEDOUT /* its queue is full */
					 : -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd pollfd = {.fd = fd, .events = events};
	int r;

	do
		r = poll(&pollfd, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

static int send_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
		int r;

		if (sent >= 0) {
			text += sent;
			length -= sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_for(fd, POLLOUT, SENDING_MS);
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive_line(int fd, int timeout_ms, char **line)
{
	_cleanup_free_ char *text = NULL;
	size_t used = 0, size = 0;

	for (;;) {
		ssize_t got;
		int r;

		if (size - used < 2) {
			char *larger = realloc(text, size ? size * 2 : 4096);

			if (!larger)
				return -ENOMEM;
			text = larger;
			size = size ? size * 2 : 4096;
		}
		r = wait_for(fd, POLLIN, timeout_ms);
		if (r < 0)
			return r;
		got = recv(fd, text + used, size - used - 1, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ECONNRESET;
		used += got;
		text[used] = '\0';
		if (text[used - 1] == '\n') {
			*line = TAKE_PTR(text);
			return 0;
		}
	}
}

int ask_daemon(const char *instance, const char *request, char **answer)
{
	_cleanup_close_ int fd = -1;
	size_t length = strlen(request);
	int r = connect_to(instance, &fd);

	if (r == 0)
		r = send_all(fd, request, length);
	if (r == 0)
		r = send_all(fd, "\n", 1);
	/* A daemon that refuses says so before it hangs up. */
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		r = receive_line(fd, length > LARGE_REQUEST ? LARGE_ANSWER_MS : ANSWER_MS, answer);
	return r;
}

bool ask_found_nobody(int error)
{
	return error == -ECONNREFUSED || error == -ETIMEDOUT || error == -ECONNRESET;
}
