/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * watch.c - the kernel's events, and what user space owes to them.
 */
#include "user/daemon/watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <syslog.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/metering.h"
#include "user/daemon/namespaces.h"
#include "user/daemon/refusing.h"
#include "user/daemon/room.h"
#include "user/policy/words.h"

static const uint64_t longest_hold_ns = 60 * NS_PER_SECOND;
static const uint64_t between_scans_ns = NS_PER_SECOND / 5;

struct watching {
	struct watch *watch;
	struct host *host;
};

/* The meter whose window refused. */
static int refusing_meter(const struct host *host, const struct weir_event *event,
			  struct weir_meter *meter)
{
	uint64_t key;

	switch (event->reason) {
	case WEIR_REASON_BUDGET:
		key = event->account;
		break;
	case WEIR_REASON_SERVICE_BUDGET:
		key = weir_meter_key(WEIR_KEY_CEILING, event->service_key, 0);
		break;
	case WEIR_REASON_PARTNER_BUDGET:
		key = weir_meter_key(WEIR_KEY_CEILING, 0, event->partner_key);
		break;
	case WEIR_REASON_TOTAL_BUDGET:
		key = weir_meter_key(WEIR_KEY_TOTAL, event->service_key, 0);
		break;
	case WEIR_REASON_PEER_BUDGET:
		return guard_peer_meter(host->guard, event->service_key,
					event->direction == WEIR_SERVES, event->peer, meter);
	default:
		return -ENOENT;
	}
	return guard_meter(host->guard, key, meter);
}

/* Whether what is held will be so for more than a minute. */
static bool is_held_for_long(const struct host *host, const struct weir_event *event)
{
	uint64_t now = boot_now();
	struct weir_meter meter;

	if (refusing_meter(host, event, &meter) < 0)
		return false;
	for (unsigned i = 0; i < WEIR_WINDOWS; i++) {
		if (meter.window[i].window_ns != event->window_ns)
			continue;
		return room_at(&meter.window[i], event->limit_bytes, event->bytes, now) - now >
		       longest_hold_ns;
	}
	return false;
}

/* All connections of a stranger's service share one account: one stranger over its own budget must
 * not end the others. */
static void collect_held(struct watch *watch, const struct weir_event *event)
{
	struct weir_sever_request request = {
		.mode = WEIR_SEVER_ACCOUNT, .account = event->account, .cut_slot = WEIR_ANY};

	if (event->reason == WEIR_REASON_PEER_BUDGET) {
		request.is_one_peer = 1;
		memcpy(request.peer, event->peer, sizeof(request.peer));
	}
	for (size_t i = 0; i < watch->held_count; i++) {
		if (memcmp(&watch->held[i].request, &request, sizeof(request)) == 0)
			return;
	}
	if (watch->held_count < WATCH_ACCOUNTS)
		watch->held[watch->held_count++] = (struct watch_held){request, event->reason};
}

static void write_event(struct host *host, const struct weir_event *event)
{
	char protocol[PROTOCOL_NAME_BYTES];
	struct record_origin origin = host_origin(host);
	struct record_names names = {
		.service = names_service(&host->names, event->service_key),
		.partner = names_partner(&host->names, event->partner_key),
		.grant = names_grant(&host->names, event->grant_key),
		.reason = reason_name(event->reason),
		.direction = direction_name(event->direction),
		.protocol = protocol_name(event->protocol, protocol),
	};
	_cleanup_free_ char *line = record_event(&origin, &names, event);

	sink_write(&host->sink, LOG_INFO, line);
}

static void take(const struct weir_event *event, void *data)
{
	struct watching *watching = data;

	write_event(watching->host, event);
	refusing_take(watching->host, event);
	if (event->kind == WEIR_EVENT_SEVERED) {
		watching->watch->wants_cut_scan = true;
		watching->host->has_stale_stand_in = true;
		watching->host->journaling.has_new_latch = true;
		metering_hurry(watching->host->metering);
	} else if (event->kind == WEIR_EVENT_HELD && event->protocol == IPPROTO_TCP &&
		   is_held_for_long(watching->host, event)) {
		collect_held(watching->watch, event);
	}
}

void watch_events(struct watch *watch, struct host *host, int most)
{
	struct watching watching = {watch, host};

	guard_events_consume(host->guard, most, take, &watching);
}

/* How many were ended. What could not be is told, once until it goes well again. */
static size_t end_sockets(struct watch *watch, struct host *host,
			  const struct weir_sever_request *request)
{
	_cleanup_free_ char *problem = NULL;
	struct sever_result result = {0};
	int r = guard_sever(host->guard, request, false, NULL, NULL, &result, &problem);

	namespaces_note(host, &result.reach);
	if (r < 0 && !watch->has_unended)
		host_tell(
			host, "unended", RECORD_MEDIUM, NULL, 0,
			"what is held or severed sends nothing, but sockets could not be ended: %s",
			problem ? problem : strerror(-r));
	watch->has_unended = r < 0;
	return result.ended;
}

static void end_held(struct watch *watch, struct host *host, const struct watch_held *held)
{
	const struct weir_sever_request *request = &held->request;
	uint64_t began = boot_now();
	size_t ended = end_sockets(watch, host, request);
	char id[20];

	refusing_note_ended(host, request, held->reason, began, boot_now());
	if (ended == 0)
		return;
	host->held_severed += ended;
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)request->account);
	host_tell(host, "held-ended", RECORD_MEDIUM,
		  (struct record_field[]){{"account", id, 0}, {"ended_connections", NULL, ended}},
		  2, "ended %zu connections whose budget is used up for more than a minute", ended);
}

static void end_severed(struct watch *watch, struct host *host)
{
	struct weir_sever_request request = {.mode = WEIR_SEVER_CUT, .cut_slot = WEIR_ANY};
	size_t ended = end_sockets(watch, host, &request);

	if (ended == 0 && watch->has_unended)
		return;
	host_tell(host, "severed-ended", RECORD_MEDIUM,
		  (struct record_field[]){{"ended_connections", NULL, ended}}, 1,
		  "ended %zu connections of what was severed", ended);
}

uint64_t watch_scan(struct watch *watch, struct host *host)
{
	uint64_t now = boot_now();

	if (!watch->wants_cut_scan && watch->held_count == 0)
		return 0;
	if (watch->scanned_ns && now < watch->scanned_ns + between_scans_ns)
		return watch->scanned_ns + between_scans_ns;
	if (watch->wants_cut_scan) {
		watch->wants_cut_scan = false;
		end_severed(watch, host);
	} else {
		end_held(watch, host, &watch->held[--watch->held_count]);
	}
	watch->scanned_ns = boot_now();
	return watch->wants_cut_scan || watch->held_count ? watch->scanned_ns + between_scans_ns
							  : 0;
}

void watch_losses(struct watch *watch, struct host *host, bool is_first)
{
	uint64_t losses[WEIR_LOSSES];

	if (guard_losses(host->guard, losses) < 0)
		return;
	for (unsigned i = 0; i < WEIR_LOSSES; i++) {
		uint64_t more = losses[i] - watch->losses[i];
		struct record_field field[] = {{"loss", loss_name(i), 0},
					       {"count", NULL, more},
					       {"total", NULL, losses[i]}};

		if (losses[i] > watch->losses[i] && !is_first)
			host_tell(host, "loss", RECORD_MEDIUM, field, 3,
				  "%llu more lost or uncertain: %s", (unsigned long long)more,
				  loss_name(i));
		watch->losses[i] = losses[i];
	}
	if (host->sink.unwritten > watch->unwritten) {
		struct record_field field[] = {{"loss", "events_unwritten", 0},
					       {"total", NULL, host->sink.unwritten}};

		watch->unwritten = host->sink.unwritten;
		host_tell(host, "loss", RECORD_MEDIUM, field, 2,
			  "events could not be written to the file");
		if (host->sink.unwritten > watch->unwritten) /* this line could not either */
			watch->unwritten = host->sink.unwritten;
	}
}
