/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * namespaces.c - network namespaces that are closed to the daemon.
 */
#include "user/daemon/namespaces.h"

#include <string.h>

#include "user/daemon/host.h"

static bool is_all(const struct guard_reach *reach)
{
	return !reach->closed && !reach->unread;
}

static void tell(struct host *host, const struct guard_reach *reach)
{
	const char *error = reach->unread ? strerror(-reach->unread) : NULL;
	struct record_field field[] = {{"namespaces", NULL, reach->namespaces},
				       {"closed", NULL, reach->closed},
				       {"error", error, 0}};

	if (is_all(reach))
		host_tell(host, "namespaces-open", RECORD_MEDIUM, field, 2,
			  "all network namespaces may be entered again");
	else
		host_tell(host, "namespaces-closed", RECORD_MEDIUM, field, error ? 3 : 2,
			  "%zu of %zu network namespaces may not be entered%s%s: a cut stops them, "
			  "but their connections end only when they time out",
			  reach->closed, reach->namespaces,
			  error ? ", and a cgroup could not be read: " : "", error ? error : "");
}

void namespaces_note(struct host *host, const struct guard_reach *reach)
{
	struct namespaces_seen *seen = &host->namespaces;

	if (!host->is_daemon || (!reach->namespaces && !reach->unread))
		return;
	if (is_all(reach) != is_all(&seen->reach))
		tell(host, reach);
	seen->reach = *reach;
	seen->checked_ns = boot_now();
}

void namespaces_check(struct host *host)
{
	struct guard_reach reach;
	int r = guard_reach(host->guard, &reach);

	if (r < 0 && !reach.unread)
		reach.unread = r;
	namespaces_note(host, &reach);
}

void namespaces_put(const struct host *host, struct json_out *reply)
{
	const struct namespaces_seen *seen = &host->namespaces;

	if (!seen->checked_ns) {
		json_put_null(reply, "namespaces");
		return;
	}
	json_open(reply, "namespaces", '{');
	json_put_uint(reply, "found", seen->reach.namespaces);
	json_put_uint(reply, "closed", seen->reach.closed);
	json_put_text(reply, "error", seen->reach.unread ? strerror(-seen->reach.unread) : NULL);
	json_put_uint(reply, "checked_ms_ago", (boot_now() - seen->checked_ns) / 1000000);
	json_close(reply, '}');
}
