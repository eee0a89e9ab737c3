/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * dry_run.c - what a cut would do.
 */
#include "user/daemon/dry_run.h"

#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/daemon/additions.h"
#include "user/daemon/sessions.h"
#include "user/daemon/touch.h"
#include "user/policy/target.h"

enum { MOST_LISTED = 1000, MOST_PARTNERS = 100 };

/* ---- the connections that would end --------------------------------------------------------- */

struct listing {
	const struct host *host;
	struct json_out *reply;
	size_t count;
	size_t *connections; /* by partner */
};

static void list_socket(const struct weir_selected *selected, void *data)
{
	struct listing *listing = data;
	const struct image *image = &listing->host->image;
	char text[ADDRESS_TEXT];

	if (selected->partner < image->head.partners)
		listing->connections[selected->partner]++;
	if (listing->count++ >= MOST_LISTED)
		return;
	json_open(listing->reply, NULL, '{');
	if (selected->service < image->head.services)
		json_put_text(listing->reply, "service", image->service_names[selected->service]);
	if (selected->partner < image->head.partners)
		json_put_text(listing->reply, "partner", image->partner_names[selected->partner]);
	address_format(selected->local, text, sizeof(text));
	json_put_text(listing->reply, "local", text);
	json_put_uint(listing->reply, "local_port", selected->local_port);
	address_format(selected->peer, text, sizeof(text));
	json_put_text(listing->reply, "peer", text);
	json_put_uint(listing->reply, "peer_port", selected->peer_port);
	json_put_uint(listing->reply, "protocol", selected->protocol);
	json_close(listing->reply, '}');
}

/* ---- whom it would stop --------------------------------------------------------------------- */

/* One with connections first: those feel it now. */
static void put_partners(const struct image *image, const bool *touched, const size_t *connections,
			 struct json_out *reply)
{
	size_t count = 0;

	json_open(reply, "partners", '[');
	for (int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 1; i < image->head.partners; i++) {
			if (!touched[i] || (connections[i] > 0) != (turn == 0) ||
			    count++ >= MOST_PARTNERS)
				continue;
			json_open(reply, NULL, '{');
			json_put_text(reply, "name", image->partner_names[i]);
			json_put_uint(reply, "connections", connections[i]);
			json_close(reply, '}');
		}
	}
	json_close(reply, ']');
	json_put_uint(reply, "partner_count", count);
}

/* ---- what the lifeline spares --------------------------------------------------------------- */

/* Connections of the lifeline that the targets mean: `count` has a place for each service. */
static void count_spared(const struct host *host, const struct sessions *sessions,
			 const struct weir_cut_entry *target, size_t target_count, size_t *count)
{
	for (size_t i = 0; i < sessions->count; i++) {
		const struct weir_session *session = &sessions->item[i];

		if (session->reason != WEIR_REASON_LIFELINE ||
		    session->service >= host->image.head.services)
			continue;
		for (size_t j = 0; j < target_count; j++) {
			if (session_is_in(host, session, &target[j])) {
				count[session->service]++;
				break;
			}
		}
	}
}

static int put_spared(struct host *host, const struct weir_cut_entry *target, size_t target_count,
		      struct json_out *reply)
{
	const struct image *image = &host->image;
	_cleanup_free_ bool *spared = calloc(image->head.services + 1, sizeof(*spared));
	_cleanup_free_ size_t *count = calloc(image->head.services + 1, sizeof(*count));
	struct sessions sessions;
	int r;

	if (!spared || !count)
		return -ENOMEM;
	services_spared(image, target, target_count, spared);
	r = sessions_read(host, &sessions);
	count_spared(host, &sessions, target, target_count, count);
	json_open(reply, "lifeline", '[');
	for (uint32_t i = 0; i < image->head.services && r == 0; i++) {
		if (!spared[i])
			continue;
		json_open(reply, NULL, '{');
		json_put_text(reply, "service", image->service_names[i]);
		json_put_uint(reply, "connections", count[i]);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	json_put_text(reply, "lifeline_problem", sessions.problem);
	sessions_free(&sessions);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* The request's targets were checked before: one that is not here is a signed order's. */
static size_t resolve(const struct host *host, const struct order_request *request,
		      struct weir_cut_entry *target)
{
	size_t count = 0;

	for (size_t i = 0; i < request->target_count; i++) {
		if (!order_lets_back(request->origin, request->target[i]) &&
		    target_resolve(&host->image, request->target[i], &target[count], NULL) == 0)
			count++;
	}
	return count;
}

int cut_dry_run(struct host *host, const struct order_request *request,
		const struct order_table *table, struct json_out *reply, char **problem)
{
	const uint32_t partners = host->image.head.partners;
	_cleanup_free_ struct weir_cut_entry *target =
		calloc(request->target_count + 1, sizeof(*target));
	_cleanup_free_ bool *touched = calloc(partners + 1, sizeof(*touched));
	_cleanup_free_ size_t *connections = calloc(partners + 1, sizeof(*connections));
	struct weir_sever_request sever = {.mode = WEIR_SEVER_CUT};
	struct listing listing = {host, reply, 0, connections};
	struct sever_result result = {0};
	size_t count;
	int r = 0, seen;

	if (!target || !touched || !connections)
		return -ENOMEM;
	count = resolve(host, request, target);
	for (size_t i = 0; i < count && r == 0; i++)
		r = host_partners_touched(host, &target[i], touched);
	if (r < 0)
		return r;
	r = guard_stage_cuts(host->guard, table, &sever.cut_slot);
	if (r < 0)
		return tell_problem(problem, r, "cannot stage the cut: %s", strerror(-r));
	json_put_bool(reply, "dry_run", true);
	json_put_uint(reply, "matched", count);
	json_open(reply, "sockets", '[');
	seen = guard_sever(host->guard, &sever, true, list_socket, &listing, &result, problem);
	json_close(reply, ']');
	put_partners(&host->image, touched, connections, reply);
	r = put_spared(host, target, count, reply);
	if (r < 0 || (seen < 0 && !result.reach.namespaces))
		return r < 0 ? r : seen;
	cut_put_result(reply, &result);
	return seen < 0 ? DONE_IN_PART : 0;
}
