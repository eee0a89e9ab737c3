/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fleet_agents.c - many agents in one process, for tests/bench/fleet: each has a connection of its
 * own with TLS on both sides, keeps its own orders, has them verified, and signs what it says.
 *
 *	fleet_agents COUNT PORT CA CERT KEY
 *
 * It prints a line of fleet.yaml's `hosts` for each, and "ready" when all have subscribed. What is
 * not as on a thousand hosts: they share a certificate, a processor, and the guard of memory behind
 * the daemon's requests, which verifies each order for each agent but cuts once.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "tests/unit/a_host.h"
#include "user/fleet/agent.h"
#include "user/fleet/broker.h"

struct member {
	struct fleet_config config;
	struct host_key key;
	struct agent agent;
	struct broker broker;
	int fd; /* known to epoll */
	bool wants_write;
};

static struct member *members;
static size_t count, subscribed;
static struct host *host;
static int epoll;
static volatile sig_atomic_t is_over;

static void *const not_needed_here[] __attribute__((unused)) = {ask, expect_code};

static void end(int number)
{
	(void)number;
	is_over = 1;
}

/* ---- an agent's surroundings ---------------------------------------------------------------- */

static bool publish(void *data, size_t which, const char *topic, const char *text, size_t length)
{
	struct member *member = data;
	int number;

	(void)which;
	return broker_publish(&member->broker, topic, text, length, &number);
}

static void ask_again(void *data, size_t which)
{
	(void)data;
	(void)which;
}

static void tell(void *data, const char *line)
{
	(void)data;
	if (getenv("WEIR_BENCH_TELL"))
		fprintf(stderr, "%s\n", line);
}

static void on_up(void *data, size_t which)
{
	struct member *member = data;
	int number;

	agent_up(&member->agent, which, boot_now());
	if (!broker_subscribe(&member->broker, TOPIC_ALL_ORDERS, &number))
		fprintf(stderr, "%s: cannot subscribe\n", member->config.host.text);
}

static void on_down(void *data, size_t which, const char *why)
{
	struct member *member = data;

	fprintf(stderr, "%s: %s\n", member->config.host.text, why);
	agent_down(&member->agent, which);
}

static void on_subscribed(void *data, size_t which, int number, bool is_granted)
{
	(void)data;
	(void)which;
	(void)number;
	subscribed += is_granted;
}

static void on_published(void *data, size_t which, int number, const char *why)
{
	struct member *member = data;

	(void)which;
	(void)number;
	if (why)
		fprintf(stderr, "%s: %s\n", member->config.host.text, why);
}

static void on_message(void *data, size_t which, const char *topic, const char *text, size_t length,
		       bool is_retained)
{
	struct member *member = data;

	(void)is_retained;
	agent_message(&member->agent, which, topic, text, length, boot_now());
}

/* ---- making --------------------------------------------------------------------------------- */

static void make_key(struct host_key *key)
{
	uint8_t raw[32], *to;
	size_t length = sizeof(raw);

	key->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!key->key || !EVP_PKEY_get_raw_public_key(key->key, raw, &length))
		abort();
	to = wire_put_string(key->blob, "ssh-ed25519", 11);
	wire_put_string(to, raw, sizeof(raw));
}

static void make(struct member *member, size_t number, char **files, int port)
{
	const struct agent_out out = {publish, ask_again, tell, member};
	const struct broker_events events = {on_up,	   on_down,    on_subscribed,
					     on_published, on_message, member};
	char client[BROKER_CLIENT], base64[128], *name;

	if (asprintf(&name, "h%zu", number) < 0)
		abort();
	make_key(&member->key);
	EVP_EncodeBlock((unsigned char *)base64, member->key.blob, sizeof(member->key.blob));
	printf("  - {name: %s, key: ssh-ed25519 %s}\n", name, base64);
	member->fd = -1;
	member->config = (struct fleet_config){
		.host = {.text = name},
		.broker = {{(char *)"broker",
			    (char *)"127.0.0.1",
			    port,
			    files[0],
			    files[1],
			    files[2],
			    {0}}},
		.brokers = 1,
		.late_ns = NS_PER_DAY,
	};
	agent_init(&member->agent, &member->config, &member->key, &out, boot_now());
	broker_name_client("host", client);
	broker_init(&member->broker, &member->config.broker[0], 0, client, &events);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void watch(struct member *member)
{
	int fd = broker_fd(&member->broker);
	bool wants_write = fd >= 0 && broker_wants_write(&member->broker);
	struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0),
				    .data.ptr = member};

	if (fd < 0 || (fd == member->fd && wants_write == member->wants_write))
		return;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) < 0 &&
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		abort();
	member->fd = fd;
	member->wants_write = wants_write;
}

/* The daemon's side, without a socket between: it reads, verifies and answers. */
static void ask_daemon_for(struct member *member)
{
	static const struct caller agent = {.is_agent = true, .by = "agent"};
	char *line;

	while ((line = agent_request(&member->agent, boot_now()))) {
		char *answer = request_answer(host, &agent, line, strlen(line));

		agent_answer(&member->agent, answer, strlen(answer) - 1, boot_now());
		free(answer);
		free(line);
	}
}

static void turn(int wait_ms)
{
	struct epoll_event events[64];
	int ready = epoll_wait(epoll, events, 64, wait_ms);

	for (int i = 0; i < ready; i++) {
		struct member *member = events[i].data.ptr;

		broker_handle(&member->broker, events[i].events & ~EPOLLOUT,
			      events[i].events & EPOLLOUT, boot_now());
		ask_daemon_for(member);
		watch(member);
	}
}

static void tick_all(void)
{
	for (size_t i = 0; i < count; i++) {
		broker_tick(&members[i].broker, boot_now());
		agent_tick(&members[i].agent, boot_now());
		watch(&members[i]);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	bool is_told = false;
	uint64_t tick_ns = 0;
	void *state;

	if (argc != 6)
		return 2;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGTERM, end);
	signal(SIGPIPE, SIG_IGN);
	host_up(&state);
	host = state;
	count = strtoul(argv[1], NULL, 10);
	members = calloc(count, sizeof(*members));
	epoll = epoll_create1(0);
	for (size_t i = 0; i < count; i++)
		make(&members[i], i, argv + 3, atoi(argv[2]));
	while (!is_over) {
		if (boot_now() >= tick_ns) {
			tick_all();
			tick_ns = boot_now() + NS_PER_SECOND / 2;
		}
		turn(100);
		if (subscribed >= count && !is_told) {
			puts("ready");
			fflush(stdout);
			is_told = true;
		}
	}
	host_down(&state);
	return 0;
}
