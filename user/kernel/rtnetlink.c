/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * rtnetlink.c - what kind of device an interface is, and of what kind the one that it is a port of:
 * RTM_GETLINK, IFLA_LINKINFO (include/uapi/linux/if_link.h, rtnetlink(7)).
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

struct request {
	struct nlmsghdr head;
	struct ifinfomsg body;
};

static const struct rtattr *find(const struct rtattr *attribute, int length, unsigned short type)
{
	for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length)) {
		if ((attribute->rta_type & NLA_TYPE_MASK) == type)
			return attribute;
	}
	return NULL;
}

static void copy_name(const struct rtattr *info, unsigned short type,
		      char name[INTERFACE_KIND_SIZE])
{
	const struct rtattr *found =
		info ? find(RTA_DATA(info), (int)RTA_PAYLOAD(info), type) : NULL;

	if (found)
		snprintf(name, INTERFACE_KIND_SIZE, "%.*s", (int)RTA_PAYLOAD(found),
			 (const char *)RTA_DATA(found));
}

static int ask(uint32_t ifindex, char *answer, size_t size, ssize_t *length)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct request request = {
		.head = {sizeof(request), RTM_GETLINK, NLM_F_REQUEST, 1, 0},
		.body = {.ifi_index = (int)ifindex},
	};

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	*length = recv(fd, answer, size, MSG_DONTWAIT); /* it was answered before send() returned */
	return *length < 0 ? -errno : 0;
}

int interface_kind(uint32_t ifindex, struct interface_kind *kind)
{
	char answer[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *head = (struct nlmsghdr *)answer;
	const struct rtattr *info;
	ssize_t length = 0;
	int err = ask(ifindex, answer, sizeof(answer), &length);

	memset(kind, 0, sizeof(*kind));
	if (err)
		return err;
	if (!NLMSG_OK(head, length) || head->nlmsg_type != RTM_NEWLINK)
		return -ENODEV;
	info = find(IFLA_RTA(NLMSG_DATA(head)), (int)IFLA_PAYLOAD(head), IFLA_LINKINFO);
	copy_name(info, IFLA_INFO_KIND, kind->self);
	copy_name(info, IFLA_INFO_SLAVE_KIND, kind->master);
	return 0;
}
