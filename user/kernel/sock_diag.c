/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sock_diag.c - ending sockets from outside (SOCK_DESTROY), for kernels without bpf_sock_destroy.
 *
 * A socket is named by its addresses and its cookie; one that has ended meanwhile is not found, and
 * a new one in its place has another cookie.
 */
#include "user/kernel/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#define IN_FLIGHT 64u /* requests in one message; their answers must fit the receive buffer */

struct request {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

static void request_fill(struct request *request, const struct weir_selected *selected,
			 uint32_t sequence)
{
	size_t skip = selected->family == AF_INET ? 12 : 0;
	struct inet_diag_sockid *id = &request->body.id;

	memset(request, 0, sizeof(*request));
	request->head.nlmsg_len = sizeof(*request);
	request->head.nlmsg_type = SOCK_DESTROY;
	request->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->head.nlmsg_seq = sequence;
	request->body.sdiag_family = selected->family;
	request->body.sdiag_protocol = selected->protocol;
	request->body.idiag_states = ~0u;
	id->idiag_sport = htons(selected->local_port);
	id->idiag_dport = htons(selected->peer_port);
	memcpy(id->idiag_src, selected->local + skip, 16 - skip);
	memcpy(id->idiag_dst, selected->peer + skip, 16 - skip);
	id->idiag_cookie[0] = (uint32_t)selected->cookie;
	id->idiag_cookie[1] = (uint32_t)(selected->cookie >> 32);
}

/* Each request is answered by one message; its sequence is the index of the socket. */
static int take_answers(int fd, struct weir_selected *item, size_t count, size_t *answered)
{
	char buffer[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
	struct nlmsghdr *head = (struct nlmsghdr *)buffer;

	if (length < 0)
		return errno == EINTR ? 0 : -errno;
	for (; NLMSG_OK(head, length); head = NLMSG_NEXT(head, length)) {
		const struct nlmsgerr *answer = NLMSG_DATA(head);

		if (head->nlmsg_type != NLMSG_ERROR)
			continue;
		++*answered;
		if (answer->error == -EOPNOTSUPP)
			return -EOPNOTSUPP;
		if (!answer->error && head->nlmsg_seq < count)
			item[head->nlmsg_seq].is_ended = 1;
	}
	return 0;
}

static int end_some(int fd, struct weir_selected *item, size_t count, size_t *next)
{
	struct request request[IN_FLIGHT];
	size_t sent = 0, answered = 0;
	int err = 0;

	for (; *next < count && sent < IN_FLIGHT; ++*next)
		if (!item[*next].is_ended)
			request_fill(&request[sent++], &item[*next], *next);
	if (!sent)
		return 0;
	if (send(fd, request, sent * sizeof(*request), 0) < 0)
		return -errno;
	while (!err && answered < sent)
		err = take_answers(fd, item, count, &answered);
	return err;
}

int sock_diag_end(struct weir_selected *item, size_t count)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct timeval patience = {.tv_sec = 5};
	size_t next = 0;
	int err = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (!err && next < count)
		err = end_some(fd, item, count, &next);
	return err;
}
