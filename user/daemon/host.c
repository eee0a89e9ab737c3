/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * host.c - one guarded host: its parts, put together.
 */
#include "user/daemon/host.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/base/units.h"
#include "user/daemon/additions.h"
#include "user/daemon/default_policy.h"
#include "user/daemon/interim.h"
#include "user/daemon/metering.h"
#include "user/daemon/paths.h"
#include "user/daemon/planning.h"
#include "user/daemon/recovering.h"
#include "user/daemon/refusing.h"
#include "user/order/reserve.h"
#include "user/policy/addition.h"
#include "user/policy/target.h"

int tell_problem(char **problem, int error, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	if (vasprintf(problem, format, list) < 0)
		*problem = NULL;
	va_end(list);
	return error;
}

/* ---- time ----------------------------------------------------------------------------------- */

bool is_this_boot(const char *id)
{
	char now[BOOT_ID_TEXT];

	return boot_id(now) == 0 && strcmp(id, now) == 0;
}

int boot_id(char id[BOOT_ID_TEXT])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (read(fd, id, BOOT_ID_TEXT - 1) != BOOT_ID_TEXT - 1)
		return -EIO;
	id[BOOT_ID_TEXT - 1] = '\0';
	return 0;
}

uint64_t host_wall(const struct host *host)
{
	return boot_now() + guard_control(host->guard).wall_offset_ns;
}

/* ---- life ----------------------------------------------------------------------------------- */

int host_init(struct host *host, const char *instance, bool may_make, char **problem)
{
	_cleanup_free_ char *state = path_state(instance, "");
	int r;

	*host = (struct host){.state_dir = -1, .journaling.journal.directory = -1};
	sink_open(&host->sink, -1);
	host->instance = strdup(instance);
	if (!host->instance || !state)
		return -ENOMEM;
	if (gethostname(host->hostname, sizeof(host->hostname) - 1) < 0)
		strcpy(host->hostname, "localhost");
	if (may_make) {
		r = paths_make(instance, problem);
		if (r < 0)
			return r;
	}
	host->state_dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	host->state_error = host->state_dir < 0 ? -errno : 0;
	if (host->state_error && may_make)
		return tell_problem(problem, host->state_error, "cannot open %s: %s", state,
				    strerror(-host->state_error));
	sink_open(&host->sink, host->state_dir);
	return journaling_open(host);
}

void host_close(struct host *host)
{
	metering_end(host->metering, false, 0);
	plan_run_free(host->plan);
	second_person_free(&host->second_person);
	refusing_end(host);
	guard_close(host->guard);
	names_free(&host->names);
	image_free(&host->image);
	reading_drop(&host->kept_reading);
	orders_free(&host->orders);
	sink_close(&host->sink);
	journaling_close(host);
	if (host->state_dir >= 0)
		close(host->state_dir);
	free(host->instance);
	free(host->policy_path);
	free(host->watched_path);
	free(host->interim_reason);
	*host = (struct host){.state_dir = -1};
}

char *host_path(const struct host *host, const char *name)
{
	char suffix[128];

	snprintf(suffix, sizeof(suffix), "/%s", name);
	return path_state(host->instance, suffix);
}

/* ---- policy --------------------------------------------------------------------------------- */

int host_take_image(struct host *host, struct image *image, const struct applied *applied)
{
	_cleanup_free_ char *path = NULL;
	uint8_t texts[32] = {0};

	if (applied && applied->path) {
		path = strdup(applied->path);
		if (!path)
			return -ENOMEM;
	}
	if (applied && sources_digest(&applied->sources, texts) < 0)
		return -ENOMEM;
	if (memcmp(host->image.head.digest, image->head.digest, sizeof(image->head.digest)) != 0)
		second_person_void(host);
	names_free(&host->names);
	image_free(&host->image);
	host->image = *image;
	*image = (struct image){0};
	free(host->policy_path);
	host->policy_path = TAKE_PTR(path);
	host->applied_ns = applied ? applied->applied_ns : 0;
	memcpy(host->texts_digest, texts, sizeof(texts));
	host->compiled_ns = boot_now();
	host->has_stale_stand_in = true;
	hex_format(host->image.head.digest, 32, host->digest);
	return names_init(&host->names, &host->image);
}

/* Compiles the file's policy and keeps it if it is the one with this digest. */
static bool try_file(struct host *host, const char *name, const uint8_t digest[32])
{
	_cleanup_free_ char *path = host_path(host, name);
	struct applied applied = {0};
	struct image image = {0};
	struct faults faults = {0};
	bool is_it = false;

	if (path && applied_load(path, &applied) == 0 &&
	    policy_to_image(&applied.sources, host_wall(host), &image, &faults) == 0 &&
	    memcmp(image.head.digest, digest, 32) == 0)
		is_it = host_take_image(host, &image, &applied) == 0;
	image_free(&image);
	faults_free(&faults);
	applied_free(&applied);
	return is_it;
}

/* Without a daemon nobody takes the policy on trial back; status says since when it is over. */
static void find_trial(struct host *host)
{
	_cleanup_free_ char *path = host_path(host, TRIAL_FILE);
	struct applied about = {0};

	if (path && applied_about(path, &about) == 0 && is_this_boot(about.trial_boot) &&
	    strcmp(about.digest, host->digest) == 0)
		host->trial_until_ns = about.trial_until_ns;
	if (host->trial_until_ns && about.until_ns)
		interim_take(host, &about);
	applied_free(&about);
}

int host_open_pinned(struct host *host, char **problem)
{
	/* new.json: of a daemon that was killed when the kernel had it already */
	static const char *const files[] = {"applied.json", TRIAL_FILE, "new.json",
					    "previous.json"};
	struct weir_policy_head head;
	struct image image = {0};
	int r;

	r = guard_open(host->instance, &host->guard, problem);
	if (r < 0)
		return r;
	r = guard_policy_head(host->guard, &head);
	if (r < 0)
		return tell_problem(problem, r, "cannot read the guard's policy: %s", strerror(-r));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (try_file(host, files[i], head.digest)) {
			find_trial(host);
			return 0;
		}
	}
	r = default_image(host, host_wall(host), &image);
	if (r < 0)
		return tell_problem(problem, r, "cannot compile the default policy: %s",
				    strerror(-r));
	host->is_foreign = memcmp(image.head.digest, head.digest, sizeof(head.digest)) != 0;
	r = host_take_image(host, &image, NULL);
	image_free(&image);
	return r;
}

/* ---- orders --------------------------------------------------------------------------------- */

/* The disk alone knows which ids were used before, and what was drawn from reserves: what loosens
 * is there before it is in the kernel. If that is lost, all counts as drawn. */
static int read_saved(struct host *host)
{
	_cleanup_free_ char *path = host_path(host, "orders.json");
	struct orders saved = {0};
	int r = path ? orders_load(path, &saved) : -ENOMEM;

	if (r == 0) {
		if (host->orders.next == 0)
			host->orders.next = saved.next;
		r = reserve_copy(&saved, &host->orders);
	} else if (r != -ENOMEM && (r != -ENOENT || orders_are_missing(host))) {
		r = reserve_draw_all(&host->orders, host_wall(host));
	} else if (r == -ENOENT) {
		r = 0;
	}
	orders_free(&saved);
	return r;
}

int host_refresh_orders(struct host *host)
{
	uint64_t active = guard_control(host->guard).active;
	struct weir_order *item;
	size_t count;
	int r;

	if (host->orders.next && active == host->orders_active)
		return 0;
	r = guard_orders(host->guard, &item, &count);
	if (r < 0)
		return r;
	r = read_saved(host);
	if (r < 0) {
		free(item);
		return r;
	}
	orders_take(&host->orders, item, count);
	host->has_stale_stand_in = true;
	host->orders_active = active;
	return 0;
}

int host_resolve(const struct host *host, const char *target, struct weir_cut_entry *entry,
		 char **problem)
{
	int r = target_resolve(&host->image, target, entry, problem);

	if (r != -ENOENT || !host->is_foreign)
		return r;
	free(*problem);
	return tell_problem(problem, r,
			    "the policy of the pinned guard is not on disk: of it no name is "
			    "known, only all, strangers and addr:PREFIX");
}

struct resolving {
	const struct host *host;
	const struct image *image;
	const struct orders *orders;
	size_t *lost;
	char **problem;
};

/* Of a foreign policy no name is known, and so it may have any. */
static bool may_be_in_force(const struct host *host, const struct weir_order *order)
{
	struct weir_cut_entry entry;

	return host->is_foreign || target_resolve(&host->image, order->target, &entry, NULL) == 0;
}

static int resolve(const struct weir_order *order, struct weir_cut_entry *entry, void *data)
{
	struct resolving *resolving = data;
	int r = target_resolve(resolving->image, order->target, entry, NULL);

	if (r == 0 || r == -ENOMEM)
		return r;
	*entry = (struct weir_cut_entry){.target = WEIR_TARGET_NOTHING, .service = WEIR_ANY};
	if (order->parent) /* an exception without its object lets nothing back: only stricter */
		return 0;
	if (!resolving->lost && !may_be_in_force(resolving->host, order))
		return 0;
	if (!resolving->lost)
		return tell_problem(resolving->problem, -ENOENT,
				    "c%llu cuts %s, which this policy does not have",
				    (unsigned long long)order->id, order->target);
	++*resolving->lost;
	return 0;
}

static int resolve_addition(const struct resolving *resolving, const struct weir_order *order,
			    struct weir_override *override)
{
	int r = addition_resolve(resolving->image, order, override, NULL);

	return r == 0 && addition_held_by(resolving->image, resolving->orders, order) ? -EPERM : r;
}

/* What an override is about may be gone from the policy: then it changes nothing. */
static int resolve_override(const struct weir_order *order, struct weir_override *override,
			    void *data)
{
	struct resolving *resolving = data;
	struct weir_cut_entry grant = {.index = WEIR_ANY};
	char text[sizeof("grant:") + sizeof(order->grant)];
	int r;

	if (order->kind == WEIR_ORDER_PARTNER_ADD)
		r = resolve_addition(resolving, order, override);
	else
		r = target_resolve(resolving->image, order->target, &override->at, NULL);
	snprintf(text, sizeof(text), "grant:%s", order->grant);
	if (r == 0 && order->kind == WEIR_ORDER_EXTEND)
		r = target_resolve(resolving->image, text, &grant, NULL);
	if (r == -ENOMEM)
		return r;
	override->grant = grant.index;
	if (r < 0)
		override->at =
			(struct weir_cut_entry){.target = WEIR_TARGET_NOTHING, .service = WEIR_ANY};
	return 0;
}

int host_compile_orders(const struct host *host, const struct image *image,
			const struct orders *orders, struct order_table *table, size_t *lost,
			char **problem)
{
	struct resolving resolving = {host, image, orders, lost, problem};
	int r;

	if (lost)
		*lost = 0;
	r = orders_compile(orders, resolve, &resolving, &table->entry, &table->count);
	if (r == 0)
		r = orders_compile_overrides(orders, resolve_override, &resolving, &table->override,
					     &table->override_count);
	if (r == -E2BIG)
		return tell_problem(problem, r,
				    "more than %d cuts and exceptions, or %d extensions, "
				    "pauses, additions and probations",
				    WEIR_CUT_ENTRIES, WEIR_OVERRIDES);
	if (r < 0 && r != -ENOENT)
		return tell_problem(problem, r, "cannot compile the orders: %s", strerror(-r));
	return r;
}

static bool has_override(const struct orders *orders)
{
	for (size_t i = 0; i < orders->count; i++) {
		if (order_is_override(&orders->item[i]))
			return true;
	}
	return false;
}

int host_overrides(const struct host *host, uint32_t service, uint32_t partner, uint32_t grant,
		   struct weir_answer *answer)
{
	static const uint8_t no_peer[16]; /* none is about an address */
	struct resolving resolving = {.host = host, .image = &host->image, .orders = &host->orders};
	_cleanup_order_table_ struct order_table table = {0};
	int r;

	*answer = (struct weir_answer){.service = service, .partner = partner, .grant = grant};
	if (!has_override(&host->orders))
		return 0;
	r = orders_compile_overrides(&host->orders, resolve_override, &resolving, &table.override,
				     &table.override_count);
	if (r == 0)
		image_overrides(&host->image, &table, no_peer,
				guard_control(host->guard).hours_closed ? IMAGE_NO_WALL
									: host_wall(host),
				answer);
	return r;
}

/* ---- telling -------------------------------------------------------------------------------- */

struct record_origin host_origin(const struct host *host)
{
	return (struct record_origin){.instance = host->instance,
				      .host = host->hostname,
				      .policy_name = host->image.name,
				      .policy_digest = host->digest};
}

void host_tell(struct host *host, const char *kind, enum record_severity severity,
	       const struct record_field *field, size_t count, const char *format, ...)
{
	struct record_origin origin = host_origin(host);
	struct record_notice notice = {.kind = kind,
				       .wall_ns = wall_now(),
				       .severity = severity,
				       .is_alert = severity >= RECORD_MEDIUM,
				       .field = field,
				       .field_count = count};
	_cleanup_free_ char *message = NULL, *line = NULL;
	va_list list;

	va_start(list, format);
	if (vasprintf(&message, format, list) < 0)
		message = NULL;
	va_end(list);
	notice.message = message;
	line = record_notice(&origin, &notice);
	sink_write(&host->sink, LOG_DEBUG - (int)severity, line); /* high: LOG_ERR */
}
