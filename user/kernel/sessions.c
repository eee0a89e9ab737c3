/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sessions.c - lists the open connections of guarded sockets, in each network namespace.
 */
#include "user/kernel/internal.h"

#include <errno.h>

#include "session.skel.h"

struct lister {
	struct session_bpf *skeleton;
	struct bpf_link *tcp, *udp;
};

void lister_free(struct lister *lister)
{
	if (!lister)
		return;
	bpf_link__destroy(lister->tcp);
	bpf_link__destroy(lister->udp);
	session_bpf__destroy(lister->skeleton);
	free(lister);
}

static void cleanup_lister(struct lister **lister)
{
	lister_free(*lister);
}

int lister_load(struct guard *guard, char **problem)
{
	_cleanup_(cleanup_lister) struct lister *lister = NULL;
	int err;

	if (guard->lister)
		return 0;
	if (guard->lister_err) /* it was tried when it could be; now it would say less */
		return problem_set(problem, guard->lister_err, "%s",
				   guard->lister_why ?: strerror(-guard->lister_err));
	lister = calloc(1, sizeof(*lister));
	if (!lister)
		return -ENOMEM;
	libbpf_capture();
	lister->skeleton = session_bpf__open();
	if (!lister->skeleton)
		return problem_libbpf(problem, -errno, "cannot read the iterators that list");
	err = maps_reuse(lister->skeleton->obj, guard->instance, NULL, problem);
	if (err)
		return err;
	err = bpf_object__load(lister->skeleton->obj);
	if (err)
		return problem_libbpf(problem, err, "cannot load the iterators that list");
	lister->tcp = bpf_program__attach_iter(lister->skeleton->progs.weir_list_tcp, NULL);
	lister->udp = bpf_program__attach_iter(lister->skeleton->progs.weir_list_udp, NULL);
	if (!lister->tcp || !lister->udp)
		return problem_libbpf(problem, -errno, "cannot attach the iterators that list");
	guard->lister = TAKE_PTR(lister);
	return 0;
}

struct listing {
	const struct lister *lister;
	struct records sessions;
};

static int list_inside(void *data)
{
	struct listing *listing = data;
	int err = records_read(&listing->sessions, bpf_link__fd(listing->lister->tcp));

	return err ?: records_read(&listing->sessions, bpf_link__fd(listing->lister->udp));
}

static int tell_unlisted(const struct guard_reach *reach, int err, char **problem)
{
	if (err)
		return problem_set(problem, err, "not all connections could be listed: %s",
				   strerror(-err));
	if (reach->closed)
		return problem_set(problem, -EPERM,
				   "%zu of %zu network namespaces may not be entered: their "
				   "connections are not listed",
				   reach->closed, reach->namespaces);
	if (reach->unread)
		return problem_set(problem, reach->unread,
				   "a cgroup could not be read (%s): connections of network "
				   "namespaces that only it has are not listed",
				   strerror(-reach->unread));
	return 0;
}

int guard_sessions(struct guard *guard,
		   void (*each)(const struct weir_session *session, void *data), void *data,
		   struct guard_reach *reach, char **problem)
{
	struct listing listing = {.sessions.size = sizeof(struct weir_session)};
	const struct weir_session *item;
	int err;

	*reach = (struct guard_reach){};
	err = lister_load(guard, problem);
	if (err)
		return err;
	listing.lister = guard->lister;
	err = namespaces_each(guard->cgroup_path, list_inside, &listing, reach);
	item = listing.sessions.item;
	for (size_t i = 0; i < listing.sessions.count; i++)
		each(&item[i], data);
	free(listing.sessions.item);
	return tell_unlisted(reach, err, problem);
}
