/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent_each.c - begins the agents, and begins them again. */
#include "user/fleet/agent_each.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/base/now.h"
#include "user/base/units.h"
#include "user/fleet/agent_run.h"
#include "user/fleet/confine.h"
#include "user/fleet/problem.h"

static const uint64_t begin_least_ns = NS_PER_SECOND;
static const uint64_t begin_most_ns = NS_PER_MINUTE;

struct each {
	const struct fleet_config *config;
	const char *instance;
	sigset_t signals, before;
	bool has_failed; /* one gave up, and has said why */
	struct {
		pid_t pid; /* 0: it does not run */
		uint64_t begun_ns, begin_ns;
		uint64_t wait_ns; /* before it is begun the next time */
	} agent[FLEET_BROKERS];
};

/* ---- one agent ------------------------------------------------------------------------------ */

static int run_one(const struct each *each, size_t which, pid_t parent)
{
	struct fleet_config config = *each->config;
	char *problem = NULL;
	int r;

	if (which)
		config.broker[0] = config.broker[which];
	config.brokers = 1;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* it has ended already */
		return 0;
	sigprocmask(SIG_SETMASK, &each->before, NULL);
	r = agent_run(&config, each->instance, &problem);
	if (r < 0)
		fprintf(stderr, "weir agent: %s\n", problem ? problem : strerror(-r));
	free(problem);
	return r < 0;
}

static int begin(struct each *each, size_t which, uint64_t now)
{
	pid_t parent = getpid(), pid;

	fflush(stderr);
	pid = fork();
	if (pid == 0)
		_exit(run_one(each, which, parent));
	if (pid < 0)
		return -errno;
	each->agent[which].pid = pid;
	each->agent[which].begun_ns = now;
	return 0;
}

/* One that a signal ended begins again, soon when it had run for long. One that gave up is no
 * broker's doing. */
static void note_end(struct each *each, size_t which, int status, uint64_t now)
{
	bool was_steady = now - each->agent[which].begun_ns > begin_most_ns;
	uint64_t wait_ns = each->agent[which].wait_ns;

	wait_ns = was_steady || !wait_ns	? begin_least_ns
		  : wait_ns * 2 < begin_most_ns ? wait_ns * 2
						: begin_most_ns;
	each->agent[which].wait_ns = wait_ns;
	each->agent[which].begin_ns = now + wait_ns;
	each->agent[which].pid = 0;
	each->has_failed |= !WIFSIGNALED(status) && WEXITSTATUS(status) != 0;
	fprintf(stderr, "weir agent: broker %s: not connected: its process ended with %s %d\n",
		each->config->broker[which].label, WIFSIGNALED(status) ? "signal" : "exit code",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void reap(struct each *each, uint64_t now)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < each->config->brokers; i++) {
			if (each->agent[i].pid == pid)
				note_end(each, i, status, now);
		}
	}
}

/* Begins what is due; returns when the next one is (boot), UINT64_MAX when all run. */
static uint64_t begin_due(struct each *each, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < each->config->brokers; i++) {
		if (each->agent[i].pid)
			continue;
		if (each->agent[i].begin_ns <= now && begin(each, i, now) < 0)
			each->agent[i].begin_ns = now + begin_least_ns;
		if (!each->agent[i].pid && each->agent[i].begin_ns < next)
			next = each->agent[i].begin_ns;
	}
	return next;
}

static void loop(struct each *each)
{
	int number = 0;

	while (number != SIGTERM && number != SIGINT && !each->has_failed) {
		uint64_t now = boot_now(), next = begin_due(each, now), wait_ns;
		struct timespec wait;

		wait_ns = next == UINT64_MAX ? NS_PER_HOUR : next > now ? next - now : 0;
		wait = (struct timespec){wait_ns / NS_PER_SECOND, wait_ns % NS_PER_SECOND};
		number = sigtimedwait(&each->signals, NULL, &wait);
		reap(each, boot_now());
	}
}

static void end_all(const struct each *each)
{
	for (size_t i = 0; i < each->config->brokers; i++) {
		if (each->agent[i].pid)
			kill(each->agent[i].pid, SIGTERM);
	}
	for (size_t i = 0; i < each->config->brokers; i++) {
		while (each->agent[i].pid && waitpid(each->agent[i].pid, NULL, 0) < 0 &&
		       errno == EINTR)
			continue;
	}
}

int agent_each(const struct fleet_config *config, const char *instance, char **problem)
{
	struct each each = {.config = config, .instance = instance};
	int r = agent_check(config, instance, problem);

	if (r < 0)
		return r;
	sigemptyset(&each.signals);
	sigaddset(&each.signals, SIGTERM);
	sigaddset(&each.signals, SIGINT);
	sigaddset(&each.signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &each.signals, &each.before) < 0)
		return problem_set(problem, -errno, "cannot wait for signals: %s", strerror(errno));
	r = confine_capabilities();
	if (r < 0)
		return problem_set(problem, r, "cannot give up privileges: %s", strerror(-r));
	loop(&each);
	end_all(&each);
	return each.has_failed ? problem_set(problem, -ECHILD, "it cannot go on") : 0;
}
