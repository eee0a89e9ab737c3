/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drilling.c - what a drill needs to know.
 */
#include "user/daemon/drilling.h"

#include <string.h>
#include <sys/utsname.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/daemon/cover.h"
#include "user/daemon/cutting.h"
#include "user/daemon/orders_tell.h"
#include "user/daemon/sessions.h"
#include "user/policy/target.h"

/* ---- the target ----------------------------------------------------------------------------- */

static const struct drill *drill_of(const struct image *image, uint32_t partner)
{
	return image->partner_drills && image->partner_drills[partner].is_allowed
		       ? &image->partner_drills[partner]
		       : NULL;
}

/* The only one that is marked. */
static int find_marked(const struct image *image, uint32_t *partner, char **problem)
{
	uint32_t count = 0;

	for (uint32_t i = 1; i < image->head.partners; i++) {
		if (!drill_of(image, i))
			continue;
		*partner = i;
		count++;
	}
	if (count == 0)
		return tell_problem(problem, -ENOENT,
				    "the policy marks no partner as one to drill on (drill:)");
	if (count > 1)
		return tell_problem(problem, -EINVAL,
				    "the policy marks %u partners as ones to drill on: name one",
				    count);
	return 0;
}

static int find_target(const struct host *host, const char *target, uint32_t *partner,
		       char **problem)
{
	struct weir_cut_entry entry;
	int r;

	if (!target)
		return find_marked(&host->image, partner, problem);
	r = host_resolve(host, target, &entry, problem);
	if (r < 0)
		return r;
	if (entry.target != WEIR_TARGET_PARTNER || entry.service != WEIR_ANY)
		return tell_problem(problem, -EINVAL,
				    "%s is no partner: only a whole one is drilled on", target);
	*partner = entry.index;
	if (!drill_of(&host->image, entry.index))
		return tell_problem(problem, -EPERM,
				    "the policy does not mark %s as one to drill on (drill:)",
				    target);
	return 0;
}

/* A drill on what is cut would show nothing, and its reopening could let back more than it cut. */
static int check_open(const struct host *host, uint32_t partner, const char *text, char **problem)
{
	const struct weir_cut_entry target = {
		.target = WEIR_TARGET_PARTNER, .index = partner, .service = WEIR_ANY};

	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];
		enum cover let_back;
		char id[24];

		if (!order_is_cut(order) ||
		    cut_holds(host, order, &target, &let_back) == COVER_NONE)
			continue;
		order_format(order->id, id, sizeof(id));
		return tell_problem(problem, -EPERM, "%s is cut, or a part of it, by %s (%s)", text,
				    id, order->target);
	}
	return 0;
}

/* A longer prefix of somebody else may lie around the place. */
static int check_place(const struct image *image, uint32_t partner, char **problem)
{
	const struct drill *drill = drill_of(image, partner);
	struct weir_span lifeline;

	if (!drill->port)
		return 0;
	lifeline = image_lifeline_of(image, drill->address);
	if (image_partner_of(image, drill->address) != partner || lifeline.count)
		return tell_problem(problem, -EPERM,
				    "the address to drill at belongs to %s: no cut of the partner "
				    "would stop it",
				    lifeline.count ? "the lifeline" : "another partner");
	return 0;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void put_place(const struct drill *drill, struct json_out *reply)
{
	char address[ADDRESS_TEXT];

	if (!drill->port) {
		json_put_null(reply, "drill");
		return;
	}
	address_format(drill->address, address, sizeof(address));
	json_open(reply, "drill", '{');
	json_put_text(reply, "address", address);
	json_put_uint(reply, "port", drill->port);
	json_close(reply, '}');
}

static void put_host(const struct host *host, const char *by, struct json_out *reply)
{
	struct utsname name = {0};

	uname(&name);
	json_put_text(reply, "host", host->hostname);
	json_put_text(reply, "instance", host->instance);
	json_put_text(reply, "kernel", name.release);
	json_put_text(reply, "weir", WEIR_VERSION);
	json_put_text(reply, "by", by);
	json_open(reply, "policy", '{');
	json_put_text(reply, "name", host->image.name);
	json_put_text(reply, "digest", host->digest);
	json_close(reply, '}');
}

int host_drill(struct host *host, const char *target, const char *by, struct json_out *reply,
	       char **problem)
{
	char text[sizeof(((struct weir_order *)0)->target)];
	uint32_t partner = WEIR_NO_PARTNER;
	int r = host_refresh_orders(host);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the orders: %s", strerror(-r));
	r = find_target(host, target, &partner, problem);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "partner:%s", host->image.partner_names[partner]);
	r = check_open(host, partner, text, problem);
	if (r == 0)
		r = check_place(&host->image, partner, problem);
	if (r < 0)
		return r;
	json_put_text(reply, "target", text);
	put_place(drill_of(&host->image, partner), reply);
	put_host(host, by, reply);
	return 0;
}

static void put_lifeline(const struct host *host, const struct sessions *sessions,
			 struct json_out *reply)
{
	char peer[ADDRESS_TEXT];

	json_open(reply, "lifeline", '[');
	for (size_t i = 0; i < sessions->count; i++) {
		const struct weir_session *session = &sessions->item[i];

		if (session->reason != WEIR_REASON_LIFELINE ||
		    session->service >= host->image.head.services)
			continue;
		address_format(session->peer, peer, sizeof(peer));
		json_open(reply, NULL, '{');
		json_put_text(reply, "service", host->image.service_names[session->service]);
		json_put_text(reply, "peer", peer);
		json_put_uint(reply, "peer_port", session->peer_port);
		json_put_uint(reply, "local_port", session->local_port);
		json_put_uint(reply, "protocol", session->protocol);
		json_put_bool(reply, "passes",
			      session->verdict == WEIR_PASS && !session->is_severed);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

int host_drill_look(struct host *host, const char *target, struct json_out *reply, char **problem)
{
	struct weir_cut_entry entry;
	struct sessions sessions = {0};
	size_t count = 0;
	int r = host_resolve(host, target, &entry, problem);

	if (r < 0)
		return r;
	r = sessions_read(host, &sessions);
	for (size_t i = 0; i < sessions.count; i++)
		count += session_is_in(host, &sessions.item[i], &entry);
	json_put_uint(reply, "sessions", count);
	put_lifeline(host, &sessions, reply);
	json_put_text(reply, "sessions_problem", sessions.problem);
	sessions_free(&sessions);
	return r;
}
