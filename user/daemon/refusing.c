/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refusing.c - the list of what did not go out: from the events, and onto the disk.
 */
#include "user/daemon/refusing.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/units.h"
#include "user/daemon/recovering.h"
#include "user/daemon/totals.h"
#include "user/event/refusals.h"

enum { ENDED = 64, LONGEST_FILE = 64 << 20 };

static const uint64_t saved_after_ns = NS_PER_SECOND;
static const uint64_t between_saves_ns = 10 * NS_PER_SECOND;

/* Connections that were ended for a budget. */
struct ended {
	struct weir_sever_request request;
	uint8_t reason;
	uint64_t from_ns, until_ns; /* boot */
};

struct refusing {
	struct refusals *list;
	bool is_new;		   /* it has no base yet */
	bool is_dirty, is_unsaved; /* the last save failed, and that was told */
	uint64_t save_at, saved_ns;
	struct ended ended[ENDED];
	size_t next_ended;
};

struct refusals *refusing_list(const struct host *host)
{
	return host->refusing->list;
}

/* ---- what the kernel counted ---------------------------------------------------------------- */

static void note_dirty(struct refusing *refusing)
{
	uint64_t now = boot_now(), soonest = refusing->saved_ns + between_saves_ns;

	if (refusing->is_dirty)
		return;
	refusing->is_dirty = true;
	refusing->save_at = now + saved_after_ns;
	if (refusing->saved_ns && refusing->save_at < soonest)
		refusing->save_at = soonest;
}

uint64_t refusing_lost_events(struct host *host)
{
	struct refusals_lost *lost = refusals_lost(host->refusing->list);
	uint64_t losses[WEIR_LOSSES], count;

	if (guard_losses(host->guard, losses) < 0)
		return lost->events;
	count = losses[WEIR_LOST_EVENTS] + losses[WEIR_LOST_UNREAD];
	if (!is_this_boot(lost->boot_id) || count < lost->losses) /* of another guard */
		lost->losses = 0;
	lost->events += count - lost->losses;
	lost->losses = count;
	boot_id(lost->boot_id);
	return lost->events;
}

/* Refusals that no event has told of yet are in the counter, and will be told. */
static int count_base(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct refusals *list = data;
	struct refusals_partner *partner;

	if (key == WEIR_KEY_PEER || !account_is_counted(meter->grant_key) ||
	    !meter->refused_packets)
		return 0;
	partner = refusals_partner(list, meter->partner_key, true);
	if (!partner)
		return -ENOMEM;
	if (meter->grant_key == WEIR_KEY_EDGE)
		partner->edge_base += meter->refused_packets;
	else
		partner->base += meter->refused_packets - meter->untold;
	return 0;
}

static int count_now(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct refusals *counts = data;
	struct refusals_partner *partner;

	if (key == WEIR_KEY_PEER || !account_is_counted(meter->grant_key))
		return 0;
	partner = refusals_partner(counts, meter->partner_key, true);
	if (!partner)
		return -ENOMEM;
	if (meter->grant_key == WEIR_KEY_EDGE)
		partner->edge_base += meter->refused_packets;
	else
		partner->told += meter->refused_packets;
	return 0;
}

struct refusals *refusing_counts(const struct host *host, int *error)
{
	struct refusals *counts = refusals_new(0);

	*error = counts ? guard_meters(host->guard, count_now, counts) : -ENOMEM;
	if (*error == 0)
		return counts;
	refusals_free(counts);
	return NULL;
}

/* Counters that are behind the list were lost: they began anew. */
static void rebase(struct refusals_partner *partner, void *data)
{
	struct refusals *counts = data;
	const struct refusals_partner *now = refusals_partner(counts, partner->key, false);
	int64_t counted = now ? now->told : 0;

	if (counted < partner->base + (int64_t)partner->told)
		partner->base = counted - (int64_t)partner->told;
	if (!now || now->edge_base < partner->edge_base)
		partner->edge_base = 0;
}

static int rebase_all(struct host *host)
{
	int error;
	struct refusals *counts = refusing_counts(host, &error);

	if (counts)
		refusals_partners(host->refusing->list, rebase, counts);
	refusals_free(counts);
	return error;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static int load(const struct host *host, struct refusals **list)
{
	_cleanup_free_ char *path = host_path(host, REFUSING_FILE), *bytes = NULL;
	size_t length;
	int r = path ? file_read(path, LONGEST_FILE, &bytes, &length) : -ENOMEM;

	return r < 0 ? r : refusals_unpack(bytes, length, list);
}

static int begin_anew(struct host *host)
{
	struct refusing *refusing = host->refusing;

	refusing->list = refusals_new(host_wall(host));
	if (!refusing->list)
		return -ENOMEM;
	refusing_lost_events(host);
	refusals_lost(refusing->list)->events = 0;
	refusing->is_new = true;
	note_dirty(refusing);
	return 0;
}

/* What was told already is in the counters as well. */
static void base_told(struct refusals_partner *partner, void *data)
{
	(void)data;
	partner->base -= partner->told;
}

void refusing_base(struct host *host)
{
	struct refusing *refusing = host->refusing;

	if (!refusing || !refusing->is_new)
		return;
	refusing->is_new = false;
	guard_meters(host->guard, count_base, refusing->list);
	refusals_partners(refusing->list, base_told, NULL);
}

void refusing_begin(struct host *host)
{
	int r;

	host->refusing = calloc(1, sizeof(*host->refusing));
	if (!host->refusing)
		return;
	r = load(host, &host->refusing->list);
	if (r < 0 && r != -ENOENT)
		state_damaged(host, REFUSING_FILE,
			      "the list of what was refused begins anew (weir events has some)");
	r = r < 0 ? begin_anew(host) : rebase_all(host);
	if (r == 0)
		return;
	host_tell(host, "unlisted", RECORD_MEDIUM, NULL, 0,
		  "there is no list of what is refused: %s", strerror(-r));
	refusing_end(host);
}

int refusing_open(struct host *host, char **problem)
{
	int r;

	if (host->refusing)
		return 0;
	if (host->is_daemon)
		return tell_problem(problem, -ENOMEM, "there is no list: the daemon lacked memory");
	host->refusing = calloc(1, sizeof(*host->refusing));
	if (!host->refusing)
		return -ENOMEM;
	r = load(host, &host->refusing->list);
	if (r == 0)
		r = rebase_all(host);
	if (r == 0)
		return 0;
	refusing_end(host);
	return tell_problem(problem, r, "cannot read the list of what was refused: %s",
			    r == -ENOENT    ? "there is none yet"
			    : r == -EBADMSG ? "the file is damaged"
					    : strerror(-r));
}

void refusing_end(struct host *host)
{
	if (host->refusing)
		refusals_free(host->refusing->list);
	free(TAKE_PTR(host->refusing));
}

/* ---- taking note ---------------------------------------------------------------------------- */

static bool is_latched(const struct host *host, const struct weir_event *event)
{
	struct weir_meter meter;

	if (guard_meter(host->guard, event->account, &meter) == 0 && meter.severed_ns)
		return true;
	return event->grant_key == WEIR_KEY_NONE &&
	       guard_peer_meter(host->guard, event->service_key, event->direction == WEIR_SERVES,
				event->peer, &meter) == 0 &&
	       meter.severed_ns;
}

/* The reason for which the daemon ended it; WEIR_REASON_GRANT: it did not. */
static uint8_t ended_for(const struct refusing *refusing, const struct weir_event *event)
{
	for (size_t i = 0; i < ENDED; i++) {
		const struct ended *ended = &refusing->ended[i];

		if (ended->until_ns && event->account == ended->request.account &&
		    event->boot_ns >= ended->from_ns && event->boot_ns <= ended->until_ns &&
		    (!ended->request.is_one_peer ||
		     memcmp(event->peer, ended->request.peer, sizeof(event->peer)) == 0))
			return ended->reason;
	}
	return WEIR_REASON_GRANT;
}

/* Whether a connection that is over was ended by the guard, or could not end: and why. */
static bool was_ended(const struct host *host, const struct weir_event *event, uint8_t *reason)
{
	*reason = event->reason;
	if (event->verdict == WEIR_REFUSE)
		return !event->observe || event->reason == WEIR_REASON_CUT;
	*reason = ended_for(host->refusing, event);
	if (*reason == WEIR_REASON_GRANT && is_latched(host, event))
		*reason = WEIR_REASON_SEVERED;
	return *reason != WEIR_REASON_GRANT;
}

void refusing_take(struct host *host, const struct weir_event *event)
{
	uint8_t reason = event->reason;
	bool is_it = false;

	if (!host->refusing)
		return;
	switch (event->kind) {
	case WEIR_EVENT_REFUSED:
	case WEIR_EVENT_HELD:
	case WEIR_EVENT_SEVERED:
		is_it = true;
		break;
	case WEIR_EVENT_CLOSED:
		is_it = was_ended(host, event, &reason);
	}
	if (!is_it)
		return;
	refusals_note(host->refusing->list, event, reason);
	note_dirty(host->refusing);
}

void refusing_note_ended(struct host *host, const struct weir_sever_request *request,
			 uint8_t reason, uint64_t from_ns, uint64_t until_ns)
{
	struct refusing *refusing = host->refusing;

	if (!refusing)
		return;
	refusing->ended[refusing->next_ended] = (struct ended){*request, reason, from_ns, until_ns};
	refusing->next_ended = (refusing->next_ended + 1) % ENDED;
}

/* ---- onto the disk -------------------------------------------------------------------------- */

static int save(struct host *host)
{
	struct refusals *list = host->refusing->list;
	_cleanup_free_ char *path = host_path(host, REFUSING_FILE);
	_cleanup_free_ void *bytes = NULL;
	size_t length;
	int r;

	if (!path)
		return -ENOMEM;
	if (host->state_dir < 0)
		return -ENOENT;
	refusals_forget(list, host_wall(host) - REFUSALS_DAYS * NS_PER_DAY);
	refusing_lost_events(host);
	r = refusals_pack(list, &bytes, &length);
	return r < 0 ? r : file_write_atomic(path, bytes, length, 0640);
}

void refusing_save(struct host *host)
{
	struct refusing *refusing = host->refusing;
	int r;

	if (!refusing || !refusing->is_dirty)
		return;
	r = save(host);
	refusing->saved_ns = boot_now();
	refusing->is_dirty = false;
	if (r < 0)
		note_dirty(refusing);
	if (r < 0 && !refusing->is_unsaved)
		host_tell(host, "unsaved", RECORD_MEDIUM,
			  (struct record_field[]){{"error", strerror(-r), 0}}, 1,
			  "the list of what was refused could not be saved: %s", strerror(-r));
	refusing->is_unsaved = r < 0;
}

uint64_t refusing_save_due(struct host *host, uint64_t now_ns)
{
	struct refusing *refusing = host->refusing;

	if (!refusing || !refusing->is_dirty)
		return 0;
	if (now_ns >= refusing->save_at)
		refusing_save(host);
	return refusing->is_dirty ? refusing->save_at : 0;
}
