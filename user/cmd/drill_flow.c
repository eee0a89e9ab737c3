/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drill_flow.c - a connection to the place of a drill.
 *
 * Some bytes a millisecond: enough to see when they stop, and too few to matter to any budget.
 */
#include "user/cmd/drill_flow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/now.h"

enum { CHUNK = 64, BETWEEN_US = 1000, CONNECT_MS = 3000, RECONNECT_MS = 500 };

struct target {
	struct sockaddr_storage address;
	socklen_t length;
};

/* ---- sockets -------------------------------------------------------------------------------- */

static struct target target_of(const struct flow_place *place)
{
	struct target target = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&target.address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target.address;

	if (address_is_v4(place->address)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(place->port);
		memcpy(&v4->sin_addr, place->address + 12, 4);
		target.length = sizeof(*v4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(place->port);
		memcpy(&v6->sin6_addr, place->address, 16);
		target.length = sizeof(*v6);
	}
	return target;
}

/* It may be under way still. -errno: it was refused. */
static int begin_connect(const struct target *target)
{
	int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&target->address, target->length) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static int finish_connect(int fd, int most_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	socklen_t length = sizeof(int);
	int error = ETIMEDOUT;

	if (poll(&ready, 1, most_ms) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	return -error;
}

static int connect_to(const struct target *target, int most_ms)
{
	int fd = begin_connect(target), r = fd < 0 ? fd : finish_connect(fd, most_ms);

	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* Its own SYN counts among them in some kernels: one less is still at least what arrived. */
static uint64_t acked(int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked) ||
	    !info.tcpi_bytes_acked)
		return 0;
	return info.tcpi_bytes_acked - 1;
}

/* Sends some, and takes what comes. 0; 1: the far end closed it; -errno: it broke. */
static int turn(int fd)
{
	static const char chunk[CHUNK];
	char in[4096];
	ssize_t got = recv(fd, in, sizeof(in), MSG_DONTWAIT);

	if (got == 0)
		return 1;
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (send(fd, chunk, sizeof(chunk), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
	    errno != EINTR)
		return -errno;
	return 0;
}

/* ---- the process ---------------------------------------------------------------------------- */

static int enter(const char *cgroup)
{
	_cleanup_close_ int fd = -1;
	char path[4096];

	if (!cgroup)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return -errno;
	return 0;
}

static void watch_first(struct flow *flow, int *fd)
{
	uint64_t bytes, now;
	int r;

	if (*fd < 0)
		return;
	r = turn(*fd);
	now = boot_now();
	bytes = acked(*fd);
	if (bytes > flow->acked_bytes) {
		flow->acked_bytes = bytes;
		flow->last_acked_ns = now;
		if (!flow->flowing_ns)
			flow->flowing_ns = now;
	}
	if (r == 0)
		return;
	flow->ended_errno = r < 0 ? -r : 0;
	flow->ended_ns = now;
	close(*fd);
	*fd = -1;
}

/* Whether a connection may begin is decided inside connect(): it is refused with EPERM there. */
static void try_anew(struct flow *flow, const struct target *target)
{
	uint64_t began = boot_now();
	int fd = begin_connect(target);

	flow->tries++;
	if (fd == -EPERM) {
		if (!flow->refused_ns)
			flow->refused_ns = boot_now();
		flow->refused++;
		return;
	}
	flow->passed_ns = began;
	if (fd >= 0)
		close(fd);
}

static void flow_again(struct flow *flow, const struct target *target, int *fd)
{
	uint64_t bytes;

	if (*fd < 0) {
		*fd = connect_to(target, RECONNECT_MS);
		if (*fd >= 0)
			flow->reconnected_ns = boot_now();
		return;
	}
	if (turn(*fd) != 0) {
		close(*fd);
		*fd = -1;
		return;
	}
	bytes = acked(*fd);
	if (bytes > flow->reacked_bytes) {
		flow->reacked_bytes = bytes;
		if (!flow->reflowing_ns)
			flow->reflowing_ns = boot_now();
	}
}

static void run(struct flow *flow, const struct flow_place *place)
{
	const struct target target = target_of(place);
	int fd, again = -1, r = enter(place->cgroup);

	fd = r < 0 ? r : connect_to(&target, CONNECT_MS);
	if (fd < 0) {
		flow->error = -fd;
		return;
	}
	while (flow->phase != FLOW_END) {
		watch_first(flow, &fd);
		if (flow->phase == FLOW_CUT)
			try_anew(flow, &target);
		else if (flow->phase == FLOW_AFTER)
			flow_again(flow, &target, &again);
		usleep(BETWEEN_US);
	}
}

struct flow *flow_begin(const struct flow_place *place, pid_t *pid)
{
	struct flow *flow = mmap(NULL, sizeof(*flow), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid();

	if (flow == MAP_FAILED)
		return NULL;
	*pid = fork();
	if (*pid < 0) {
		flow_free(flow);
		return NULL;
	}
	if (*pid == 0) {
		/* whoever ends the drill ends this; it may have happened already */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
			run(flow, place);
		_exit(0);
	}
	return flow;
}

void flow_end(struct flow *flow, pid_t pid)
{
	flow->phase = FLOW_END;
	kill(pid, SIGKILL); /* it may wait for a far end that does not answer */
	waitpid(pid, NULL, 0);
}

void flow_free(struct flow *flow)
{
	munmap(flow, sizeof(*flow));
}

bool flow_wait(const struct flow *flow, const _Atomic uint64_t *at, uint64_t most_ns)
{
	uint64_t until = boot_now() + most_ns;

	while (!*at && !flow->error && boot_now() < until)
		usleep(BETWEEN_US);
	return *at != 0;
}
