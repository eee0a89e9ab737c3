/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * status.c - the state of a guarded host as JSON. `weir status` makes its text from the same.
 */
#include "user/daemon/status.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/daemon/attachment.h"
#include "user/daemon/clock.h"
#include "user/daemon/drawing.h"
#include "user/daemon/in_force.h"
#include "user/daemon/interim.h"
#include "user/daemon/metering.h"
#include "user/daemon/namespaces.h"
#include "user/daemon/orders_tell.h"
#include "user/daemon/overriding.h"
#include "user/daemon/planning.h"
#include "user/daemon/privileges.h"
#include "user/daemon/stand_in.h"
#include "user/daemon/totals.h"
#include "user/policy/words.h"

/* ---- policy --------------------------------------------------------------------------------- */

/* Whether the file says something else than what is in force; an unreadable file does. */
static bool file_differs(const struct host *host, const char *path)
{
	struct sources sources = {0};
	struct faults faults = {0};
	struct stat st;
	uint8_t digest[32];
	bool differs;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) /* a FIFO would block the daemon */
		return true;
	differs = sources_load(path, &sources, &faults) < 0 ||
		  sources_digest(&sources, digest) < 0 ||
		  memcmp(digest, host->texts_digest, sizeof(digest)) != 0;

	sources_free(&sources);
	faults_free(&faults);
	return differs;
}

static void put_policy(const struct host *host, struct json_out *reply)
{
	const char *path = host->watched_path ? host->watched_path : host->policy_path;

	json_open(reply, "policy", '{');
	json_put_text(reply, "name", host->image.name);
	json_put_text(reply, "digest", host->digest);
	if (host->applied_ns)
		json_put_uint(reply, "applied_at", host->applied_ns / NS_PER_SECOND);
	else
		json_put_null(reply, "applied_at");
	json_put_text(reply, "file", path);
	json_put_bool(reply, "file_differs", path && file_differs(host, path));
	json_put_bool(reply, "names_known", !host->is_foreign);
	interim_put(host, reply);
	if (host->trial_until_ns && !host->interim_until_ns) {
		uint64_t now = boot_now();

		json_put_uint(reply, "trial_seconds_left",
			      host->trial_until_ns > now
				      ? (host->trial_until_ns - now) / NS_PER_SECOND
				      : 0);
	}
	json_close(reply, '}');
}

/* ---- hooks, cuts, losses -------------------------------------------------------------------- */

static int put_hooks(const struct host *host, struct json_out *reply)
{
	_cleanup_free_ struct guard_hook *hook = NULL;
	size_t count;
	int r = guard_hooks(host->guard, &hook, &count);

	if (r < 0)
		return r;
	json_open(reply, "hooks", '[');
	for (size_t i = 0; i < count; i++) {
		json_open(reply, NULL, '{');
		json_put_text(reply, "name", hook[i].name);
		json_put_text(reply, "where", hook[i].where);
		json_put_bool(reply, "is_attached", hook[i].is_attached);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	return 0;
}

static void put_overrides(const struct host *host, struct json_out *reply)
{
	json_open(reply, "overrides", '[');
	for (size_t i = 0; i < host->orders.count; i++) {
		if (!order_is_override(&host->orders.item[i]))
			continue;
		json_open(reply, NULL, '{');
		override_put(host, &host->orders.item[i], reply);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

static int put_orders(struct host *host, struct json_out *reply, const struct latches *latches)
{
	int r = host_refresh_orders(host);

	if (r < 0)
		return r;
	json_open(reply, "cuts", '[');
	for (size_t i = 0; i < host->orders.count; i++) {
		if (!order_is_cut(&host->orders.item[i]))
			continue;
		json_open(reply, NULL, '{');
		order_put(host, &host->orders.item[i], reply);
		json_close(reply, '}');
	}
	for (size_t i = 0; i < latches->count; i++) {
		json_open(reply, NULL, '{');
		latch_put(host, &latches->item[i], reply);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	put_overrides(host, reply);
	host_plan_put(host, reply);
	drawing_put(host, reply);
	return 0;
}

static int put_losses(const struct host *host, struct json_out *reply)
{
	uint64_t losses[WEIR_LOSSES];
	int r = guard_losses(host->guard, losses);

	if (r < 0)
		return r;
	json_open(reply, "lost", '{');
	for (unsigned i = 0; i < WEIR_LOSSES; i++)
		json_put_uint(reply, loss_name(i), losses[i]);
	json_put_uint(reply, "events_unwritten", host->sink.unwritten);
	json_close(reply, '}');
	return 0;
}

/* ---- sums ----------------------------------------------------------------------------------- */

static void put_total(struct json_out *reply, const struct total *total)
{
	json_put_uint(reply, "sent_bytes", total->sent_bytes);
	json_put_uint(reply, "sent_packets", total->sent_packets);
	json_put_uint(reply, "acked_bytes", total->acked_bytes);
	json_put_uint(reply, "refused_bytes", total->refused_bytes);
	json_put_uint(reply, "refused_packets", total->refused_packets);
	json_put_uint(reply, "would_refuse_bytes", total->would_refuse_bytes);
	json_put_uint(reply, "would_refuse_packets", total->would_refuse_packets);
}

static void put_services(const struct host *host, struct json_out *reply,
			 const struct totals *totals)
{
	json_open(reply, "services", '[');
	for (uint32_t i = 0; i < host->image.head.services; i++) {
		json_open(reply, NULL, '{');
		json_put_text(reply, "name", host->image.service_names[i]);
		put_total(reply, &totals->services[i]);
		json_open(reply, "strangers", '{');
		put_total(reply, &totals->strangers[i]);
		json_close(reply, '}');
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

static void put_partners(const struct host *host, struct json_out *reply,
			 const struct totals *totals)
{
	json_open(reply, "partners", '[');
	for (uint32_t i = 1; i < host->image.head.partners; i++) {
		const struct total *total = &totals->partners[i];

		json_open(reply, NULL, '{');
		json_put_text(reply, "name", host->image.partner_names[i]);
		put_total(reply, total);
		json_put_uint(reply, "edge_dropped_packets", total->edge_packets);
		json_put_uint(reply, "edge_dropped_bytes", total->edge_bytes);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

/* What no name of this policy stands for any more, so that the sums add up. */
static void put_former(struct json_out *reply, const struct totals *totals)
{
	json_open(reply, "former", '{');
	json_open(reply, "services", '{');
	put_total(reply, &totals->former_services);
	json_close(reply, '}');
	json_open(reply, "partners", '{');
	put_total(reply, &totals->former_partners);
	json_close(reply, '}');
	json_close(reply, '}');
	json_open(reply, "no_partner", '{');
	put_total(reply, &totals->partners[WEIR_NO_PARTNER]);
	json_put_uint(reply, "edge_dropped_packets",
		      totals->partners[WEIR_NO_PARTNER].edge_packets);
	json_close(reply, '}');
}

/* What a loss of power would lose: the guard goes on with a disk that is full or fails. */
static void put_unsaved(const struct host *host, struct json_out *reply)
{
	int meters = metering_trouble(host->metering);

	json_open(reply, "unsaved", '{');
	json_put_bool(reply, "orders", host->has_unsaved_orders);
	json_put_uint(reply, "journal", host->journaling.waiting_count + host->journaling.dropped);
	json_put_uint(reply, "refusals", host->journaling.refusals_unwritten);
	if (meters < 0)
		json_put_text(reply, "meters", strerror(-meters));
	else
		json_put_null(reply, "meters");
	json_close(reply, '}');
}

/* Of the host, not of the policy; a command without a daemon does not know what the daemon read. */
static void put_host(const struct host_config *config, struct json_out *reply)
{
	json_open(reply, "host", '{');
	json_open(reply, "groups", '[');
	for (size_t i = 0; i < config->groups.count; i++)
		json_put_text(reply, NULL, config->groups.item[i].text);
	json_close(reply, ']');
	json_close(reply, '}');
}

static int put_all(struct host *host, struct json_out *reply, const struct totals *totals)
{
	struct weir_control control = guard_control(host->guard);
	bool observes = control.observe || host->image.head.mode == WEIR_OBSERVE;
	int r;

	json_put_text(reply, "instance", host->instance);
	json_put_text(reply, "mode", observes ? "observe" : "enforce");
	json_put_bool(reply, "daemon", host->is_daemon);
	json_put_text(reply, "cgroup", guard_cgroup_path(host->guard));
	json_put_uint(reply, "generation", weir_generation(control.active));
	put_policy(host, reply);
	clock_put(host, reply);
	attachment_put(host, reply);
	stand_in_put(host, reply);
	if (host->config)
		put_host(host->config, reply);
	else
		json_put_null(reply, "host");
	if (host->is_daemon)
		privileges_put(host->is_filtered, reply);
	else
		json_put_null(reply, "privileges");
	namespaces_put(host, reply);
	in_force_put(host, reply);
	second_person_put(host, reply);
	r = put_hooks(host, reply);
	if (r == 0)
		r = put_orders(host, reply, &totals->latches);
	if (r == 0)
		r = put_losses(host, reply);
	if (r < 0)
		return r;
	json_put_uint(reply, "held_ended", host->held_severed);
	if (host->metering)
		metering_put(host, host->metering, reply);
	put_unsaved(host, reply);
	put_services(host, reply, totals);
	put_partners(host, reply, totals);
	put_former(reply, totals);
	return 0;
}

int host_status(struct host *host, struct json_out *reply, char **problem)
{
	struct totals totals;
	int r = totals_read(host, &totals);

	if (r == 0)
		r = put_all(host, reply, &totals);
	totals_free(&totals);
	if (r < 0)
		return tell_problem(problem, r, "cannot read the guard's state: %s", strerror(-r));
	return 0;
}

/* ---- cgroups -------------------------------------------------------------------------------- */

static int by_bytes(const void *left, const void *right)
{
	const struct guard_cgroup *a = left, *b = right;
	uint64_t x = a->traffic.sent_bytes, y = b->traffic.sent_bytes;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void put_cgroup(const struct host *host, struct json_out *reply,
		       const struct guard_cgroup *cgroup)
{
	uint32_t service = (uint32_t)cgroup->traffic.stamp;

	/* The path tells what the policy in force says; the stamp may be of an older one. */
	if (cgroup->path)
		service = image_service_of(&host->image, cgroup->path);
	json_open(reply, NULL, '{');
	json_put_uint(reply, "cgroup", cgroup->id);
	json_put_text(reply, "path", cgroup->path);
	json_put_text(reply, "service",
		      service < host->image.head.services ? host->image.service_names[service]
							  : NULL);
	json_put_bool(reply, "is_named",
		      service >= WEIR_SERVICE_NAMED && service < host->image.head.services);
	json_put_uint(reply, "sent_bytes", cgroup->traffic.sent_bytes);
	json_put_uint(reply, "sent_packets", cgroup->traffic.sent_packets);
	json_close(reply, '}');
}

int host_services(struct host *host, struct json_out *reply, char **problem)
{
	_cleanup_free_ struct guard_cgroup *cgroup = NULL;
	size_t count;
	int r = guard_cgroups(host->guard, &cgroup, &count);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the cgroups: %s", strerror(-r));
	if (count)
		qsort(cgroup, count, sizeof(*cgroup), by_bytes);
	json_open(reply, "cgroups", '[');
	for (size_t i = 0; i < count; i++) {
		put_cgroup(host, reply, &cgroup[i]);
		free(cgroup[i].path);
	}
	json_close(reply, ']');
	return 0;
}
