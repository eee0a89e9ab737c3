/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent_run.c - one loop between the brokers and the daemon. */
#include "user/fleet/agent_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "user/base/now.h"
#include "user/base/signals.h"
#include "user/fleet/agent.h"
#include "user/fleet/broker.h"
#include "user/fleet/confine.h"
#include "user/fleet/link.h"
#include "user/fleet/problem.h"

enum { LONGEST_WAIT_MS = 60000 };

struct run {
	const struct fleet_config *config;
	struct agent agent;
	struct broker broker[FLEET_BROKERS];
	struct link link;
	int signals;
	bool is_down[FLEET_BROKERS]; /* told, and not up since */
};

/* ---- lines ---------------------------------------------------------------------------------- */

static void tell_line(void *data, const char *line)
{
	(void)data;
	fprintf(stderr, "weir agent: %s\n", line);
}

/* ---- brokers -> agent ----------------------------------------------------------------------- */

static void subscribe(struct run *run, size_t which)
{
	struct broker *broker = &run->broker[which];
	int number;

	if (!broker_subscribe(broker, TOPIC_ALL_ORDERS, &number) ||
	    !broker_subscribe(broker, TOPIC_BEAT, &number))
		fprintf(stderr, "weir agent: broker %s: cannot subscribe\n", broker->config->label);
}

static void on_up(void *data, size_t which)
{
	struct run *run = data;

	fprintf(stderr, "weir agent: broker %s: connected\n", run->config->broker[which].label);
	run->is_down[which] = false;
	agent_up(&run->agent, which, boot_now());
	subscribe(run, which);
}

/* One line for an outage, not one for each try. */
static void on_down(void *data, size_t which, const char *why)
{
	struct run *run = data;

	if (!run->is_down[which])
		fprintf(stderr, "weir agent: broker %s: not connected: %s\n",
			run->config->broker[which].label, why);
	run->is_down[which] = true;
	agent_down(&run->agent, which);
}

static void on_subscribed(void *data, size_t which, int number, bool is_granted)
{
	struct run *run = data;

	(void)number;
	if (!is_granted)
		fprintf(stderr, "weir agent: broker %s: it refuses us its orders\n",
			run->config->broker[which].label);
}

static void on_published(void *data, size_t which, int number, const char *why)
{
	struct run *run = data;

	(void)number;
	if (why)
		fprintf(stderr, "weir agent: broker %s: it refuses what we say: %s\n",
			run->config->broker[which].label, why);
}

static void on_message(void *data, size_t which, const char *topic, const char *text, size_t length,
		       bool is_retained)
{
	struct run *run = data;

	(void)is_retained; /* the order of arrival means nothing */
	agent_message(&run->agent, which, topic, text, length, boot_now());
}

/* ---- agent -> brokers ----------------------------------------------------------------------- */

static bool publish(void *data, size_t which, const char *topic, const char *text, size_t length)
{
	struct run *run = data;
	int number;

	return broker_publish(&run->broker[which], topic, text, length, &number);
}

static void ask_again(void *data, size_t which)
{
	subscribe(data, which);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void take_event(struct run *run, enum link_event event, uint64_t now)
{
	if (event == LINK_ANSWER) {
		agent_answer(&run->agent, run->link.in, run->link.in_used - 1, now);
		link_forget(&run->link);
	} else if (event == LINK_LOST) {
		agent_no_answer(&run->agent, now);
	}
}

/* Asks what is due; returns when there is something to do for the daemon's sake. */
static uint64_t ask(struct run *run, uint64_t now)
{
	struct link *link = &run->link;
	char *line;

	if (link_is_busy(link) || !agent_wants(&run->agent, now))
		return link_is_busy(link) ? link_due(link) : UINT64_MAX;
	if (!link_is_open(link, now)) {
		agent_no_daemon(&run->agent, now);
		return link_due(link);
	}
	line = agent_request(&run->agent, now);
	if (!line)
		return now + NS_PER_SECOND; /* no memory now */
	link_ask(link, line, now);
	return link_due(link);
}

/* Does what is due; returns when the next thing is (boot). */
static uint64_t do_due(struct run *run)
{
	uint64_t now = boot_now(), next = UINT64_MAX, due;

	for (size_t i = 0; i < run->config->brokers; i++)
		sooner(&next, broker_tick(&run->broker[i], now));
	take_event(run, link_tick(&run->link, now), now);
	sooner(&next, ask(run, now));
	due = agent_tick(&run->agent, now);
	/* What waits for the daemon is due already; ask() says when it can be done. */
	if (due > now)
		sooner(&next, due);
	return next;
}

static void wait_for(struct run *run, uint64_t until)
{
	struct pollfd polled[FLEET_BROKERS + 2] = {
		{.fd = run->signals, .events = POLLIN},
		{.fd = run->link.fd,
		 .events = POLLIN | (link_wants_write(&run->link) ? POLLOUT : 0)},
	};
	uint64_t now = boot_now();
	uint64_t wait_ms = until <= now ? 0 : (until - now) / 1000000 + 1;

	for (size_t i = 0; i < FLEET_BROKERS; i++) {
		const struct broker *broker = &run->broker[i];

		polled[2 + i].fd = i < run->config->brokers ? broker_fd(broker) : -1;
		polled[2 + i].events =
			POLLIN |
			(polled[2 + i].fd >= 0 && broker_wants_write(broker) ? POLLOUT : 0);
	}
	if (poll(polled, FLEET_BROKERS + 2, wait_ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : wait_ms) <
	    0)
		return;
	now = boot_now();
	take_event(run,
		   link_handle(&run->link, polled[1].revents & ~POLLOUT,
			       polled[1].revents & POLLOUT, now),
		   now);
	for (size_t i = 0; i < run->config->brokers; i++) {
		if (polled[2 + i].revents)
			broker_handle(&run->broker[i], polled[2 + i].revents & ~POLLOUT,
				      polled[2 + i].revents & POLLOUT, now);
	}
}

static void loop(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof(info)) < 0)
		wait_for(run, do_due(run));
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static void open_brokers(struct run *run)
{
	const struct broker_events events = {.up = on_up,
					     .down = on_down,
					     .subscribed = on_subscribed,
					     .published = on_published,
					     .message = on_message,
					     .data = run};
	char client[BROKER_CLIENT];

	broker_name_client("host", client);
	for (size_t i = 0; i < run->config->brokers; i++)
		broker_init(&run->broker[i], &run->config->broker[i], i, client, &events);
}

static int work(struct run *run, const struct host_key *key, char **problem)
{
	const struct agent_out out = {publish, ask_again, tell_line, run};
	bool is_filtered;
	int r = confine(&is_filtered, problem);

	if (r < 0)
		return r;
	if (!is_filtered)
		tell_line(NULL, "runs without a filter on its system calls: this kernel, or this "
				"build, has none");
	agent_init(&run->agent, run->config, key, &out, boot_now());
	open_brokers(run);
	loop(run);
	for (size_t i = 0; i < run->config->brokers; i++)
		broker_close(&run->broker[i]);
	agent_free(&run->agent);
	return 0;
}

int agent_check(const struct fleet_config *config, const char *instance, char **problem)
{
	struct host_key key = {0};
	struct link link;
	int r = link_init(&link, instance);

	if (r < 0)
		return problem_set(problem, r, "no socket can be named so: %s", strerror(-r));
	r = host_key_load(config->key, &key, problem);
	host_key_free(&key);
	link_close(&link);
	return r;
}

int agent_run(const struct fleet_config *config, const char *instance, char **problem)
{
	struct run run = {.config = config};
	struct host_key key = {0};
	int r = link_init(&run.link, instance);

	if (r < 0)
		problem_set(problem, r, "no socket can be named so: %s", strerror(-r));
	if (r == 0)
		r = host_key_load(config->key, &key, problem);
	run.signals = r == 0 ? signals_open() : -1;
	if (r == 0 && run.signals < 0)
		r = problem_set(problem, -errno, "cannot wait for signals: %s", strerror(errno));
	if (r == 0)
		r = work(&run, &key, problem);
	host_key_free(&key);
	link_close(&run.link);
	if (run.signals >= 0)
		close(run.signals);
	return r;
}
