/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sessions.c - the connections that are open, for people.
 *
 * Who holds one now is not told here: another user's processes are closed to a daemon with few
 * capabilities. The command that asks looks the inode up with its own rights (user/cmd/holders.h).
 */
#include "user/daemon/sessions.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/policy/words.h"

enum { MOST_LISTED = 1000 };

struct listing {
	struct sessions *sessions;
	bool is_short; /* of memory */
};

static void keep(const struct weir_session *session, void *data)
{
	struct listing *listing = data;
	struct weir_session *item = ARRAY_ADD(listing->sessions->item, listing->sessions->count);

	if (!item) {
		listing->is_short = true;
		return;
	}
	listing->sessions->count++;
	*item = *session;
}

int sessions_read(const struct host *host, struct sessions *sessions)
{
	struct listing listing = {.sessions = sessions};
	struct guard_reach reach;
	int r;

	*sessions = (struct sessions){0};
	r = guard_sessions(host->guard, keep, &listing, &reach, &sessions->problem);
	if (r < 0 && !sessions->problem)
		sessions->problem = strdup(strerror(-r));
	return listing.is_short || (r < 0 && !sessions->problem) ? -ENOMEM : 0;
}

void sessions_free(struct sessions *sessions)
{
	free(sessions->item);
	free(sessions->problem);
	*sessions = (struct sessions){0};
}

bool session_is_in(const struct host *host, const struct weir_session *session,
		   const struct weir_cut_entry *target)
{
	const struct weir_policy_head *head = &host->image.head;
	const struct weir_answer answer = {
		.service = session->service, .partner = session->partner, .grant = session->grant};

	/* Of another policy, which was applied in between. */
	if (session->service >= head->services || session->partner >= head->partners ||
	    session->grant >= head->grants)
		return target->target == WEIR_TARGET_ALL;
	return image_entry_covers(&host->image, target, session->peer, &answer);
}

static const char *name_at(char *const *names, uint32_t index, uint32_t count)
{
	return index < count ? names[index] : NULL;
}

static void session_put(const struct host *host, const struct weir_session *session,
			struct json_out *reply)
{
	char address[ADDRESS_TEXT], protocol[PROTOCOL_NAME_BYTES];
	char program[sizeof(session->program) + 1] = "";
	const struct image *image = &host->image;

	json_open(reply, NULL, '{');
	json_put_text(reply, "service",
		      name_at(image->service_names, session->service, image->head.services));
	json_put_text(reply, "partner",
		      name_at(image->partner_names, session->partner, image->head.partners));
	json_put_text(reply, "grant",
		      name_at(image->grant_names, session->grant, image->head.grants));
	json_put_text(reply, "protocol", protocol_name(session->protocol, protocol));
	json_put_text(reply, "direction", direction_name(session->direction));
	address_format(session->local, address, sizeof(address));
	json_put_text(reply, "local", address);
	json_put_uint(reply, "local_port", session->local_port);
	address_format(session->peer, address, sizeof(address));
	json_put_text(reply, "peer", address);
	json_put_uint(reply, "peer_port", session->peer_port);
	json_put_text(reply, "verdict",
		      session->is_severed ? "refuse" : verdict_name(session->verdict));
	json_put_text(reply, "reason",
		      reason_name(session->is_severed ? WEIR_REASON_SEVERED : session->reason));
	json_put_uint(reply, "waiting_bytes", session->waiting_bytes);
	json_put_uint(reply, "uid", session->uid);
	json_put_uint(reply, "inode", session->inode);
	if (session->is_counted) {
		memcpy(program, session->program, sizeof(session->program));
		json_put_uint(reply, "sent_bytes", session->sent_bytes);
		json_put_uint(reply, "acked_bytes", session->acked_bytes);
		json_put_uint(reply, "made_by_pid", session->pid);
		json_put_text(reply, "made_by", program);
	}
	json_close(reply, '}');
}

void sessions_put(const struct host *host, const struct sessions *sessions,
		  const struct weir_cut_entry *target, struct json_out *reply)
{
	size_t count = 0;

	json_open(reply, "sessions", '[');
	for (size_t i = 0; i < sessions->count; i++) {
		if (session_is_in(host, &sessions->item[i], target) && count++ < MOST_LISTED)
			session_put(host, &sessions->item[i], reply);
	}
	json_close(reply, ']');
	json_put_uint(reply, "session_count", count);
	json_put_text(reply, "sessions_problem", sessions->problem);
}
