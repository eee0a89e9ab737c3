/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * daemon.c - the daemon's sockets and all behind them, on a guard that is only memory: it verifies
 * orders and keeps them as the real one does, and cuts nothing. Each cut means one connection.
 *
 *	daemon [GROUP]...
 *
 * It prints the directory of its sockets (instance "unit"), and ends by SIGTERM.
 */
#include <signal.h>
#include <sys/epoll.h>

#include "tests/unit/a_host.h"
#include "user/daemon/cutting.h"
#include "user/daemon/server.h"

static volatile sig_atomic_t is_over;

static void end(int number)
{
	(void)number;
	is_over = 1;
}

static void *const not_needed_here[] __attribute__((unused)) = {ask, expect_code};

static const char with_lifeline[] =
	"weir: 1\nname: test\nmode: enforce\n"
	"lifeline: [{service: admin, serves: tcp/22, to: [192.0.2.0/24], why: jump}]\n"
	"services:\n"
	"  admin: {cgroup: system.slice/ssh.service}\n"
	"  sftp: {cgroup: system.slice/sftp.service, class: [exchange]}\n"
	"partners:\n"
	"  nord: {addresses: [198.51.100.0/28], class: [hospital]}\n"
	"  sued: {addresses: [198.51.100.16/28], class: [hospital]}\n"
	"  payer: {addresses: [198.51.100.32/28]}\n"
	"grants:\n"
	"  - {name: nightly, service: sftp, partner: class:hospital, serves: tcp/22, budget: "
	"none}\n"
	"strangers: {serves: [64KiB/10m], calls: deny, total: none}\n";

static void serve(struct server *server, struct host *host, int epoll)
{
	while (!is_over) {
		struct epoll_event events[16];
		uint64_t next = server_expire(server), now = boot_now();
		uint64_t wait_ms = !next ? 1000 : next <= now ? 0 : (next - now) / 1000000 + 1;
		int count = epoll_wait(epoll, events, 16, wait_ms < 1000 ? (int)wait_ms : 1000);

		for (int i = 0; i < count; i++)
			server_handle(server, events[i].data.u64, events[i].events);
		host_end_orders(host); /* within a second, whatever their next end is */
	}
}

int main(int argc, char **argv)
{
	struct host_config config = {.groups = {calloc(argc, sizeof(struct name)), argc - 1}};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct server server;
	char *problem = NULL;
	struct host *host;
	void *state;

	signal(SIGTERM, end);
	host_up(&state);
	host = state;
	take_policy(host, with_lifeline);
	fake.sever = (struct sever_result){.selected = 1, .ended = 1, .reach = {.namespaces = 1}};
	for (int i = 1; i < argc; i++)
		config.groups.item[i - 1].text = argv[i];
	host->config = &config;
	if (server_bind(&server, host->instance, &problem) < 0 ||
	    server_open(&server, host, epoll, &problem) < 0) {
		fprintf(stderr, "%s\n", problem);
		return 1;
	}
	puts(state_root);
	fflush(stdout);
	serve(&server, host, epoll);
	server_close(&server);
	close(epoll);
	free(config.groups.item);
	host_down(&state);
	return 0;
}
