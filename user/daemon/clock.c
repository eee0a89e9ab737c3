/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * clock.c - notices steps of the wall clock, and keeps hours closed until somebody confirms.
 */
#include "user/daemon/clock.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/json_in.h"
#include "user/base/units.h"

enum { LONGEST_FILE = 4096 };
static const int64_t tolerated_ns = 60 * (int64_t)NS_PER_SECOND;

/* Read twice around the other clock, so that being scheduled away does not look like a step. */
static int64_t offset_now(void)
{
	int64_t best = 0;
	uint64_t narrowest = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		uint64_t before = boot_now(), wall = wall_now(), after = boot_now();

		if (after - before < narrowest) {
			narrowest = after - before;
			best = (int64_t)(wall - before - (after - before) / 2);
		}
	}
	return best;
}

static int64_t step_of(const struct host *host)
{
	return offset_now() - (int64_t)guard_control(host->guard).wall_offset_ns;
}

static bool is_step(int64_t step)
{
	return step > tolerated_ns || step < -tolerated_ns;
}

static void format_step(int64_t step, char *text, size_t size)
{
	char span[SPAN_TEXT];

	step -= step % (int64_t)NS_PER_SECOND;
	span_format(step < 0 ? -step : step, span, sizeof(span));
	snprintf(text, size, "%s%s", step < 0 ? "-" : "+", span);
}

/* What save_as() wrote. -EBADMSG when it is anything else. */
static int read_saved(const char *text, size_t length, int64_t *wall_ns, bool *hours_closed)
{
	json_object *root = json_in(text, length, 2), *wall, *closed;
	bool is_good = root && json_object_object_get_ex(root, "wall_ns", &wall) &&
		       json_object_is_type(wall, json_type_int) &&
		       json_object_object_get_ex(root, "hours_closed", &closed) &&
		       json_object_is_type(closed, json_type_boolean);

	if (is_good) {
		*wall_ns = json_object_get_int64(wall);
		*hours_closed = json_object_get_boolean(closed);
	}
	json_object_put(root);
	return is_good ? 0 : -EBADMSG;
}

bool clock_needs_confirmation(const struct host *host, struct clock_doubt *doubt)
{
	_cleanup_free_ char *path = host_path(host, "clock.json"), *text = NULL;
	struct clock_doubt found = {0};
	int64_t wall_ns = 0;
	size_t length;
	int r = path ? file_read(path, LONGEST_FILE, &text, &length) : -ENOMEM;

	if (r == 0)
		r = read_saved(text, length, &wall_ns, &found.were_closed);
	found.is_unreadable = r < 0 && r != -ENOENT; /* who knows what it said */
	if (wall_ns > (int64_t)wall_now() + tolerated_ns)
		found.behind_ns = wall_ns - (int64_t)wall_now();
	if (doubt)
		*doubt = found;
	return found.is_unreadable || found.were_closed || found.behind_ns;
}

void clock_tell_doubt(struct host *host)
{
	const struct clock_doubt *doubt = &host->clock_doubt;
	char text[SPAN_TEXT + 2];
	struct record_field field[] = {{"step", text, 0}};

	format_step(-doubt->behind_ns, text, sizeof(text));
	if (doubt->is_unreadable) {
		/* Kept beside: it stays in its place until a new one is there, for without one
		 * nothing would keep the hours closed. */
		unlinkat(host->state_dir, "clock.json.damaged", 0);
		linkat(host->state_dir, "clock.json", host->state_dir, "clock.json.damaged", 0);
		host_tell(host, "damaged", RECORD_HIGH, NULL, 0,
			  "clock.json cannot be read (kept as clock.json.damaged): hours are "
			  "closed until `weir confirm clock`");
	} else if (doubt->behind_ns)
		host_tell(host, "clock-step", RECORD_HIGH, field, 1,
			  "the clock is %s behind the time that was known last: hours are closed "
			  "until `weir confirm clock`",
			  text + 1);
	else if (doubt->were_closed)
		host_tell(host, "clock-unconfirmed", RECORD_MEDIUM, NULL, 0,
			  "hours were closed before, and are until `weir confirm clock`");
}

uint64_t clock_known(const struct host *host)
{
	_cleanup_free_ char *path = host_path(host, "clock.json"), *text = NULL;
	bool hours_closed;
	int64_t wall_ns;
	size_t length;

	if (!path || file_read(path, LONGEST_FILE, &text, &length) < 0 ||
	    read_saved(text, length, &wall_ns, &hours_closed) < 0 || wall_ns < 0)
		return 0;
	return wall_ns;
}

/* The guard's time, not the system's: a clock set far ahead must not make the present look like the
 * past after a reboot. */
static int save_as(const struct host *host, int64_t offset_ns, bool hours_closed)
{
	_cleanup_free_ char *path = host_path(host, "clock.json");
	char text[160];
	int length;

	if (host->state_dir < 0)
		return -ENOENT;
	length = snprintf(text, sizeof(text),
			  "{\"wall_ns\":%" PRIu64 ",\"offset_ns\":%" PRId64
			  ",\"hours_closed\":%s}\n",
			  boot_now() + offset_ns, offset_ns, hours_closed ? "true" : "false");
	return path ? file_write_atomic(path, text, length, 0640) : -ENOMEM;
}

int clock_save(const struct host *host)
{
	struct weir_control control = guard_control(host->guard);

	return save_as(host, control.wall_offset_ns, control.hours_closed);
}

bool clock_check(struct host *host)
{
	struct weir_control control = guard_control(host->guard);
	int64_t step = step_of(host);
	char text[SPAN_TEXT + 2];
	struct record_field field[] = {{"step", text, 0}};

	if (!is_step(step) || control.hours_closed)
		return false;
	format_step(step, text, sizeof(text));
	guard_set_clock(host->guard, control.wall_offset_ns, true);
	host->has_stale_stand_in = true;
	clock_save(host);
	host_tell(host, "clock-step", RECORD_HIGH, field, 1,
		  "the clock stepped by %s: hours are closed until `weir confirm clock`", text);
	return true;
}

/* In minutes, for two who confirm one step: a clock drifts meanwhile, but it may not be set. The
 * bounds lie where a step made by hand does not. */
static int64_t about_how_far(int64_t step)
{
	const int64_t minute = 60 * (int64_t)NS_PER_SECOND, shifted = step + 17 * minute / 60;

	return shifted >= 0 ? shifted / minute : -1 - (-1 - shifted) / minute;
}

int clock_confirm(struct host *host, const char *by, const char *reason, struct json_out *reply,
		  char **problem)
{
	struct weir_control control = guard_control(host->guard);
	int64_t offset = offset_now(), step = offset - (int64_t)control.wall_offset_ns;
	char text[SPAN_TEXT + 2];
	struct record_field field[] = {
		{"step", text, 0}, {"by", by, 0}, {"order_reason", reason, 0}};
	const struct journal_order order = {
		.kind = "confirm-clock", .reason = reason, .since_ns = boot_now() + offset};
	char about[24];
	int r;

	format_step(step, text, sizeof(text));
	snprintf(about, sizeof(about), "%" PRId64, about_how_far(step));
	r = second_person(host, &(struct second_ask){.order = &order, .about = about}, problem);
	if (r == 0)
		r = journaling_before(host, &order, problem);
	if (r < 0)
		return r;
	r = save_as(host, offset, false);
	if (r < 0)
		return tell_problem(problem, r, "cannot save it, so it is not done: %s",
				    strerror(-r));
	r = guard_set_clock(host->guard, offset, false);
	if (r < 0) {
		clock_save(host);
		return tell_problem(problem, r, "the kernel refused it: %s", strerror(-r));
	}
	host->has_stale_stand_in = true;
	host_tell(host, "clock-confirmed", RECORD_MEDIUM, field, 3,
		  "the clock was confirmed (%s), by %s: %s", text, by, reason);
	json_put_text(reply, "step", text);
	json_put_bool(reply, "were_closed", control.hours_closed);
	return 0;
}

void clock_put(const struct host *host, struct json_out *reply)
{
	struct weir_control control = guard_control(host->guard);
	int64_t step = step_of(host);

	json_open(reply, "clock", '{');
	json_put_bool(reply, "hours_closed", control.hours_closed);
	json_put_int(reply, "step_seconds", step / (int64_t)NS_PER_SECOND);
	json_put_bool(reply, "is_confirmed", !control.hours_closed && !is_step(step));
	json_put_uint(reply, "wall_ns", host_wall(host));
	json_close(reply, '}');
}
