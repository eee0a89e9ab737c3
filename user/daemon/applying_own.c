/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * applying_own.c - whether a policy would cut off who applies it.
 */
#include "user/daemon/applying.h"

#include <netinet/in.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"

/* The path below the guarded cgroup, or NULL when the other is not inside it. */
static const char *path_below(const struct host *host, const char *cgroup)
{
	const char *root = guard_cgroup_path(host->guard);
	_cleanup_free_ char *mount = NULL;
	size_t length;

	if (!root || cgroup_mount_point(&mount) < 0)
		return NULL;
	if (strncmp(root, mount, strlen(mount)) == 0)
		root += strlen(mount);
	length = strlen(root);
	if (length && root[length - 1] == '/')
		length--;
	if (strncmp(cgroup, root, length) != 0 || (cgroup[length] && cgroup[length] != '/'))
		return NULL;
	cgroup += length;
	return cgroup + strspn(cgroup, "/");
}

static bool refuses_own(const struct host *host, const struct image *image,
			const struct order_table *cuts, const struct own_connection *own)
{
	struct weir_question question = {.protocol = IPPROTO_TCP,
					 .direction = WEIR_SERVES,
					 .port = own->port,
					 .cut_slot = WEIR_ANY,
					 .now_ns = boot_now()};
	struct weir_answer answer;
	const char *below = own->is_known ? path_below(host, own->cgroup) : NULL;

	if (!below)
		return false;
	memcpy(question.peer, own->peer, sizeof(question.peer));
	question.service = image_service_of(image, below);
	explain_decide(image, cuts, &question, host_wall(host),
		       guard_control(host->guard).hours_closed, &answer);
	return answer.verdict == WEIR_REFUSE && !answer.observe;
}

int applying_check_own(const struct host *host, const struct image *image,
		       const struct order_table *cuts, const struct apply_request *request,
		       char **problem)
{
	char peer[ADDRESS_TEXT];

	if (request->is_agreed || !refuses_own(host, image, cuts, &request->own))
		return 0;
	address_format(request->own.peer, peer, sizeof(peer));
	return tell_problem(
		problem, -EPERM,
		"it would cut your own connection from %s to port %u; --yes if it shall", peer,
		request->own.port);
}
