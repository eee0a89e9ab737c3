/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sessions.h - the connections that are open, for people.
 */
#ifndef WEIR_SESSIONS_H
#define WEIR_SESSIONS_H

#include "user/base/json_out.h"
#include "user/daemon/host.h"

struct sessions {
	struct weir_session *item;
	size_t count;
	char *problem; /* why some are missing; NULL: none is */
};

/* All of them. What cannot be listed is no error: `problem` says it. -ENOMEM. Free in either case.
 */
int sessions_read(const struct host *host, struct sessions *sessions);
void sessions_free(struct sessions *sessions);

/* Whether an order for this target would mean it, were it not for the lifeline. */
bool session_is_in(const struct host *host, const struct weir_session *session,
		   const struct weir_cut_entry *target);

/* "sessions": those in the target, as far as there is room for them; "session_count": all; and
 * "sessions_problem". */
void sessions_put(const struct host *host, const struct sessions *sessions,
		  const struct weir_cut_entry *target, struct json_out *reply);

#endif
