/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * run.c - the daemon's loop: events of the kernel, the control socket, steps of the clock, ends of
 * cuts and trials. With nothing to do it sleeps.
 */
#include "user/daemon/run.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "user/base/signals.h"
#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/attachment.h"
#include "user/daemon/clock.h"
#include "user/daemon/cutting.h"
#include "user/daemon/daemon_lock.h"
#include "user/daemon/metering.h"
#include "user/daemon/interim.h"
#include "user/daemon/namespaces.h"
#include "user/daemon/notify.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/paths.h"
#include "user/daemon/planning.h"
#include "user/daemon/privileges.h"
#include "user/daemon/refusing.h"
#include "user/daemon/returning.h"
#include "user/daemon/server.h"
#include "user/daemon/start.h"
#include "user/daemon/watch.h"
#include "user/daemon/without_guard.h"

enum { ON_SIGNAL = 1, ON_CLOCK, ON_EVENTS };

static const uint64_t losses_every_ns = 10 * NS_PER_SECOND;
static const uint64_t clock_saved_every_ns = 10 * NS_PER_MINUTE;
static const uint64_t stand_in_after_ns = NS_PER_SECOND; /* several cuts in a row: written once */
static const uint64_t hours_renewed_every_ns = 30 * NS_PER_DAY; /* they are good for two years */

struct loop {
	struct host host;
	struct server server;
	struct watch watch;
	int epoll, signals, clock;
	uint64_t losses_at, clock_saved_at, attachment_at;
	uint64_t stand_in_at; /* 0: what is written down is as it should be */
	uint64_t watchdog_ns; /* how often the service manager wants to hear of us; 0: never */
	uint64_t orders_seen; /* control.active for which orders_end_wall was worked out */
	uint64_t orders_end_wall;
	bool has_unsaved_meters;   /* told, and not well since */
	bool has_unsaved_stand_in; /* likewise */
	bool is_over;
};

/* ---- descriptors ---------------------------------------------------------------------------- */

static int watch_fd(struct loop *loop, int fd, uint64_t which)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = which};

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* A timer that never runs out: it is cancelled, and so readable, when somebody sets the clock. */
static int arm_clock(int timer)
{
	const struct itimerspec never = {.it_value.tv_sec = INT64_C(1) << 40};

	return timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static int open_all(struct loop *loop, char **problem)
{
	int r;

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->clock = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->epoll < 0 || loop->clock < 0 || arm_clock(loop->clock) < 0)
		return tell_problem(problem, -errno, "cannot set up the loop: %m");
	r = watch_fd(loop, loop->signals, ON_SIGNAL);
	if (r == 0)
		r = watch_fd(loop, loop->clock, ON_CLOCK);
	if (r == 0)
		r = watch_fd(loop, guard_events_fd(loop->host.guard), ON_EVENTS);
	if (r < 0)
		return tell_problem(problem, r, "cannot set up the loop: %s", strerror(-r));
	return server_open(&loop->server, &loop->host, loop->epoll, problem);
}

/* ---- what happens --------------------------------------------------------------------------- */

static void handle(struct loop *loop, const struct epoll_event *event)
{
	uint64_t count;
	struct signalfd_siginfo info;

	switch (event->data.u64) {
	case ON_SIGNAL:
		if (read(loop->signals, &info, sizeof(info)) > 0)
			loop->is_over = true;
		break;
	case ON_CLOCK:
		if (read(loop->clock, &count, sizeof(count)) < 0 && errno == ECANCELED)
			clock_check(&loop->host);
		arm_clock(loop->clock);
		break;
	case ON_EVENTS:
		watch_events(&loop->watch, &loop->host, WATCH_AT_ONCE);
		break;
	default:
		server_handle(&loop->server, event->data.u64, event->events);
	}
}

static void sooner(uint64_t *next, uint64_t at)
{
	if (at && (!*next || at < *next))
		*next = at;
}

static uint64_t end_orders(struct loop *loop, uint64_t now)
{
	struct weir_control control = guard_control(loop->host.guard);
	uint64_t wall = now + control.wall_offset_ns;

	if (control.active != loop->orders_seen ||
	    (loop->orders_end_wall && loop->orders_end_wall <= wall)) {
		loop->orders_end_wall = host_end_orders(&loop->host);
		loop->orders_seen = guard_control(loop->host.guard).active;
	}
	return loop->orders_end_wall ? loop->orders_end_wall - control.wall_offset_ns : 0;
}

static void renew_hours(struct host *host)
{
	_cleanup_free_ char *problem = NULL;

	if (host_renew(host, &problem) < 0) {
		host_tell(host, "renew-failed", RECORD_HIGH, NULL, 0,
			  "hours could not be renewed: %s", problem ? problem : "?");
		host->compiled_ns = boot_now() - hours_renewed_every_ns + NS_PER_DAY;
	}
}

static bool has_unsaved(const struct host *host)
{
	return host->has_unsaved_orders || host->has_unkept_orders ||
	       host->journaling.waiting_count || host->journaling.wants_found;
}

/* A cut that found the disk full is saved when there is room: it must outlive a reboot. And one
 * whose text the kernel has not would be missing from what is read there next. */
static void save_unsaved(struct host *host)
{
	if (!has_unsaved(host) || guard_lock(host->guard) < 0)
		return;
	if (host->has_unkept_orders && guard_control(host->guard).active == host->orders_active)
		orders_keep_texts(host, &host->orders);
	orders_save_late(host);
	journaling_catch_up(host);
	guard_unlock(host->guard);
}

/* Told once, until it has been well for a while. */
static void tell_unsaved_meters(struct loop *loop)
{
	int trouble = metering_trouble(loop->host.metering);

	if (trouble < 0 && !loop->has_unsaved_meters)
		host_tell(&loop->host, "unsaved", RECORD_HIGH,
			  (struct record_field[]){{"error", strerror(-trouble), 0}}, 1,
			  "the meters could not be saved: %s", strerror(-trouble));
	loop->has_unsaved_meters = trouble < 0;
}

/* What would stand in for the guard, a moment after something changed. On a full disk: again later.
 */
static void save_stand_in(struct loop *loop, uint64_t now)
{
	struct host *host = &loop->host;
	int r;

	if (!host->has_stale_stand_in || (host->trial_until_ns && !host->interim_until_ns)) {
		loop->stand_in_at = 0;
		return;
	}
	if (!loop->stand_in_at)
		loop->stand_in_at = now + stand_in_after_ns;
	if (now < loop->stand_in_at)
		return;
	r = without_guard_save(host);
	malloc_trim(0); /* its text is of many MiB where there are many partners */
	host->has_stale_stand_in = r < 0;
	loop->stand_in_at = r < 0 ? now + losses_every_ns : 0;
	if (r < 0 && !loop->has_unsaved_stand_in)
		host_tell(host, "unsaved", RECORD_HIGH,
			  (struct record_field[]){{"error", strerror(-r), 0}}, 1,
			  "what stands in without the guard could not be written: %s",
			  strerror(-r));
	loop->has_unsaved_stand_in = r < 0;
}

/* The watchdog hears of the daemon only while every hook is in its place: a daemon that runs
 * without its guard is no better than none. Where the pins are lost, the guard ends with it. */
static void check_attachment(struct loop *loop)
{
	struct host *host = &loop->host;

	attachment_check(host);
	if (loop->watchdog_ns && host->attachment.judges)
		notify("WATCHDOG=1");
}

/* Does what is due; returns the boot time of what comes next. */
static uint64_t do_due(struct loop *loop)
{
	struct host *host = &loop->host;
	uint64_t now = boot_now(), next = 0;

	if (now >= loop->losses_at) {
		watch_losses(&loop->watch, host, false);
		save_unsaved(host);
		tell_unsaved_meters(loop);
		namespaces_check(host);
		loop->losses_at = now + losses_every_ns;
	}
	if (now >= loop->attachment_at) {
		check_attachment(loop);
		journaling_latches(host);
		metering_look_at_links(host->metering);
		loop->attachment_at = now + ATTACHMENT_EVERY_NS;
	}
	if (now >= loop->clock_saved_at) {
		clock_check(host);
		clock_save(host);
		loop->clock_saved_at = now + clock_saved_every_ns;
	}
	if (host_return_due(host) && now >= host_return_due(host))
		host_return(host);
	save_stand_in(loop, now);
	if (now - host->compiled_ns >= hours_renewed_every_ns)
		renew_hours(host);
	sooner(&next, interim_tell_due(host, now));
	sooner(&next, watch_scan(&loop->watch, host));
	sooner(&next, refusing_save_due(host, now));
	sooner(&next, end_orders(loop, now));
	sooner(&next, host_plan_tick(host));
	sooner(&next, reading_drop_due(&host->kept_reading, now));
	sooner(&next, server_expire(&loop->server));
	sooner(&next, loop->losses_at);
	sooner(&next, loop->attachment_at);
	sooner(&next, loop->clock_saved_at);
	sooner(&next, host_return_due(host));
	sooner(&next, loop->stand_in_at);
	return next;
}

static void loop_run(struct loop *loop)
{
	while (!loop->is_over && !loop->host.has_ended) {
		uint64_t next = do_due(loop), now = boot_now();
		uint64_t wait_ms = next <= now ? 0 : (next - now) / 1000000 + 1;
		struct epoll_event events[16];
		int count;

		if (loop->host.has_ended)
			break;
		count = epoll_wait(loop->epoll, events, 16, wait_ms > 60000 ? 60000 : wait_ms);
		for (int i = 0; i < count && !loop->host.has_ended; i++)
			handle(loop, &events[i]);
	}
}

/* ---- beginning and end ---------------------------------------------------------------------- */

/* What later work needs is loaded first: nothing can be afterwards. */
static int settle(struct host *host, char **problem)
{
	_cleanup_free_ char *why = NULL;
	int r;

	if (guard_prepare(host->guard, &why) < 0)
		host_tell(host, "unprepared", RECORD_HIGH, NULL, 0, "%s",
			  why ? why : "a program that later work needs could not be loaded");
	r = privileges_drop(&host->is_filtered, problem);
	if (r < 0)
		return r;
	if (!host->is_filtered)
		host_tell(host, "unfiltered", RECORD_MEDIUM, NULL, 0,
			  "the daemon runs without a filter on its system calls: this kernel, or "
			  "this build, has none");
	r = metering_run(host->metering);
	if (r < 0)
		return tell_problem(problem, r, "cannot save the meters: %s", strerror(-r));
	return 0;
}

static void announce(struct loop *loop)
{
	struct guard_hook *hook = NULL;
	size_t count = 0;

	attachment_say(&loop->host.attachment, stderr);
	if (guard_hooks(loop->host.guard, &hook, &count) == 0)
		free(hook);
	printf("weir: guarding %s, %zu hooks\n", guard_cgroup_path(loop->host.guard), count);
	fflush(stdout);
	notify("READY=1\nSTATUS=guarding");
}

static void end_metering(struct host *host)
{
	int r = metering_end(host->metering, true, METERS_UNWATCHED);

	host->metering = NULL;
	if (r == 0)
		return;
	fprintf(stderr, "weir: the meters could not be saved: %s\n", strerror(-r));
	host_tell(host, "unsaved", RECORD_HIGH, (struct record_field[]){{"error", strerror(-r), 0}},
		  1, "the meters could not be saved at the end: %s", strerror(-r));
}

static int run(struct loop *loop, const struct run_options *options, char **problem)
{
	int r = server_bind(&loop->server, options->instance, problem);

	if (r == 0)
		r = daemon_start(&loop->host, options, problem);
	if (r == 0)
		r = open_all(loop, problem);
	if (r == 0)
		r = settle(&loop->host, problem);
	if (r < 0)
		return r;
	refusing_begin(&loop->host);
	watch_events(&loop->watch, &loop->host, WATCH_WAITING);
	refusing_base(&loop->host);
	malloc_trim(0); /* compiling needs several times what the image keeps */
	watch_losses(&loop->watch, &loop->host, true);
	namespaces_check(&loop->host);
	loop->watchdog_ns = notify_watchdog_ns();
	attachment_check(&loop->host);
	if (!loop->host.attachment.is_whole)
		return tell_problem(problem, -EIO,
				    "the guard is not where it was attached a moment ago");
	announce(loop);
	loop_run(loop);
	notify("STOPPING=1");
	if (!loop->host.has_ended) {
		watch_events(&loop->watch, &loop->host, WATCH_WAITING);
		refusing_save(&loop->host);
		clock_save(&loop->host);
		end_metering(&loop->host);
		host_tell(&loop->host, "stop", RECORD_MEDIUM, NULL, 0,
			  "the daemon ends; the guard stays on");
	}
	return 0;
}

int daemon_run(const struct run_options *options, char **problem)
{
	struct loop loop = {.epoll = -1, .clock = -1};
	_cleanup_close_ int lock = -1;
	int r;

	server_init(&loop.server);
	r = privileges_limit(problem);
	if (r == 0)
		r = paths_make(options->instance, problem);
	if (r == 0)
		r = daemon_lock(options->instance, &lock, problem);
	if (r < 0)
		return r;
	loop.host.state_dir = -1;
	loop.host.sink.file = -1;
	loop.signals = signals_open();
	if (loop.signals < 0)
		return tell_problem(problem, -errno, "cannot wait for signals: %m");
	r = run(&loop, options, problem);
	server_close(&loop.server);
	host_close(&loop.host);
	close(loop.signals);
	if (loop.clock >= 0)
		close(loop.clock);
	if (loop.epoll >= 0)
		close(loop.epoll);
	return r;
}
