/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * server.c - the control socket.
 */
#include "user/daemon/server.h"

#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/paths.h"
#include "user/daemon/request.h"

enum { FIRST_SIZE = 4096 };

/* ---- places --------------------------------------------------------------------------------- */

static void end_client(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd); /* leaves epoll with it */
	free(client->in);
	free(client->out);
	*client = (struct client){.fd = -1};
}

static void set_deadline(struct client *client)
{
	client->deadline_ns = boot_now() + SERVER_SECONDS * NS_PER_SECOND;
}

static void listen_for(struct server *server, struct client *client, uint32_t events)
{
	struct epoll_event event = {.events = events,
				    .data.u64 = SERVER_FIRST + (client - server->client)};

	if (epoll_ctl(server->epoll, EPOLL_CTL_MOD, client->fd, &event) < 0)
		end_client(client);
}

static const struct {
	const char *suffix, *group, *who;
	size_t first, places;
	size_t for_root; /* an emergency must not find all places taken by clients that only wait */
} doors[SERVER_DOORS] = {
	[DOOR_CONTROL] = {".sock", CONTROL_GROUP,
			  "only root and the group " CONTROL_GROUP " may ask", 0, SERVER_CLIENTS,
			  SERVER_FOR_ROOT},
	[DOOR_ORDERS] = {".orders.sock", ORDERS_GROUP,
			 "only root and the group " ORDERS_GROUP " may hand in orders",
			 SERVER_CLIENTS, SERVER_AGENTS, 0},
};

static enum server_door door_of(const struct server *server, const struct client *client)
{
	return client - server->client < SERVER_CLIENTS ? DOOR_CONTROL : DOOR_ORDERS;
}

/* NULL: there is none for this caller. */
static struct client *free_place(struct server *server, enum server_door door, uid_t uid)
{
	struct client *first = server->client + doors[door].first, *found = NULL;
	size_t count = 0;

	for (size_t i = doors[door].places; i-- > 0;) {
		if (first[i].fd >= 0)
			continue;
		found = &first[i];
		count++;
	}
	return uid == 0 || count > doors[door].for_root ? found : NULL;
}

/*
 * Whether an agent has to wait for its turn. As in the generic cell rate algorithm: each request
 * moves the time up to which their asking is used up by its share, and it may be ahead by a burst.
 */
static bool agent_waits(struct server *server, uint64_t now)
{
	const uint64_t each = NS_PER_SECOND / SERVER_AGENT_RATE;

	if (server->agent_turn_ns < now)
		server->agent_turn_ns = now;
	if (server->agent_turn_ns - now > (SERVER_AGENT_BURST - 1) * each)
		return true;
	server->agent_turn_ns += each;
	return false;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* What a large policy or a long status took goes back to the system. */
static void give_back(size_t length)
{
	if (length > SERVER_SMALL)
		malloc_trim(0);
}

static void send_more(struct server *server, struct client *client)
{
	ssize_t sent = send(client->fd, client->out + client->out_done,
			    client->out_used - client->out_done, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		sent = 0;
	if (sent < 0) {
		end_client(client);
		return;
	}
	client->out_done += sent;
	if (client->out_done < client->out_used) {
		listen_for(server, client, EPOLLOUT);
		return;
	}
	free(client->out);
	client->out = NULL;
	give_back(client->out_used);
	if (client->is_last) {
		end_client(client);
		return;
	}
	set_deadline(client);
	listen_for(server, client, EPOLLIN);
}

/* Takes the answer over. */
static void start_answer(struct server *server, struct client *client, char *answer)
{
	if (!answer) {
		end_client(client);
		return;
	}
	client->out = answer;
	client->out_used = strlen(answer);
	client->out_done = 0;
	set_deadline(client);
	send_more(server, client);
}

static void refuse(struct server *server, struct client *client, int code, const char *why)
{
	client->is_last = true;
	start_answer(server, client, request_refusal(code, why));
}

/* ---- requests ------------------------------------------------------------------------------- */

/* A large request leaves no large buffer behind. */
static void forget_request(struct client *client, size_t length)
{
	client->in_used -= length;
	memmove(client->in, client->in + length, client->in_used);
	client->scanned = 0;
	if (client->in_size > SERVER_SMALL && client->in_used == 0) {
		free(client->in);
		client->in = NULL;
		client->in_size = 0;
	}
}

/* Answers the first whole line, if there is one; the next waits until its answer is taken. */
static void answer_line(struct server *server, struct client *client)
{
	char *newline = NULL;
	size_t length;
	char *answer;

	if (client->in_used > client->scanned)
		newline = memchr(client->in + client->scanned, '\n',
				 client->in_used - client->scanned);
	client->scanned = client->in_used;
	if (!newline)
		return;
	if (caller_has_hung_up(&client->caller)) {
		end_client(client);
		return;
	}
	if (client->caller.is_agent && agent_waits(server, boot_now())) {
		client->waits = true;
		client->scanned = 0;
		set_deadline(client);
		listen_for(server, client, 0);
		return;
	}
	length = newline - client->in;
	answer = request_answer(server->host, &client->caller, client->in, length);
	forget_request(client, length + 1);
	give_back(length);
	start_answer(server, client, answer);
}

static bool has_large_client(const struct server *server, const struct client *but)
{
	enum server_door door = door_of(server, but);
	const struct client *first = server->client + doors[door].first;

	for (size_t i = 0; i < doors[door].places; i++) {
		if (&first[i] != but && first[i].in_size > SERVER_SMALL)
			return true;
	}
	return false;
}

/* Room for more of the request; false when the client was refused or ended. */
static bool make_room(struct server *server, struct client *client)
{
	size_t size = client->in_size ? client->in_size * 2 : FIRST_SIZE;
	char *larger;

	if (client->in_used < client->in_size)
		return true;
	if (client->in_size >= REQUEST_MAX_BYTES) {
		refuse(server, client, 2, "the request is too long");
		return false;
	}
	if (size > REQUEST_MAX_BYTES)
		size = REQUEST_MAX_BYTES;
	if (size > SERVER_SMALL && has_large_client(server, client)) {
		refuse(server, client, 1, "another large request is under way");
		return false;
	}
	larger = realloc(client->in, size);
	if (!larger) {
		end_client(client);
		return false;
	}
	client->in = larger;
	client->in_size = size;
	return true;
}

/* One read per turn of the loop, so that nobody keeps the others waiting. */
static void receive(struct server *server, struct client *client)
{
	ssize_t got;

	if (!make_room(server, client))
		return;
	got = recv(client->fd, client->in + client->in_used, client->in_size - client->in_used,
		   MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		end_client(client);
		return;
	}
	client->in_used += got;
	answer_line(server, client);
}

/* Requests that came together with the last one. */
static void answer_waiting(struct server *server, struct client *client)
{
	while (client->fd >= 0 && !client->out && !client->waits && client->in_used > 0 &&
	       client->scanned == 0)
		answer_line(server, client);
}

static void handle_client(struct server *server, struct client *client, uint32_t events)
{
	if (client->fd < 0)
		return;
	if (client->out && (events & EPOLLOUT))
		send_more(server, client);
	else if (!client->out && (events & EPOLLIN))
		receive(server, client);
	else if (events & (EPOLLERR | EPOLLHUP))
		end_client(client);
	answer_waiting(server, client);
}

/* ---- who comes ------------------------------------------------------------------------------ */

static void tell_refused(struct host *host, const struct caller *caller, enum server_door door)
{
	struct record_field field[] = {{"by", caller->by, 0}, {"pid", NULL, caller->pid}};

	host_tell(host, "control-refused", RECORD_MEDIUM, field, 2,
		  "refused %s at the control socket: neither root nor in the group %s", caller->by,
		  doors[door].group);
}

static void refuse_at_door(int fd, const char *why)
{
	_cleanup_free_ char *text = request_refusal(1, why);

	if (text && send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* it does not listen: closed all the same */
}

static void accept_client(struct server *server, enum server_door door)
{
	_cleanup_close_ int fd =
		accept4(server->door[door].listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN};
	struct client *client;
	struct caller caller;

	if (fd < 0 || caller_of_socket(fd, doors[door].group, &caller) < 0)
		return;
	caller.is_agent = door == DOOR_ORDERS;
	if (!caller.is_allowed) {
		tell_refused(server->host, &caller, door);
		refuse_at_door(fd, doors[door].who);
		return;
	}
	client = free_place(server, door, caller.uid);
	if (!client) {
		refuse_at_door(fd, "too many clients");
		return;
	}
	event.data.u64 = SERVER_FIRST + (client - server->client);
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return;
	*client = (struct client){.fd = TAKE_FD(fd), .caller = caller};
	set_deadline(client);
}

void server_handle(struct server *server, uint64_t which, uint32_t events)
{
	if (which >= SERVER_LISTENER && which < SERVER_FIRST)
		accept_client(server, which - SERVER_LISTENER);
	else if (which >= SERVER_FIRST && which < SERVER_FIRST + SERVER_PLACES)
		handle_client(server, &server->client[which - SERVER_FIRST], events);
}

/* Where its turn has not come yet, it waits on. */
static void let_go_on(struct server *server, struct client *client)
{
	client->waits = false;
	listen_for(server, client, EPOLLIN);
	answer_waiting(server, client);
}

/* When something is due for the client (boot). */
static uint64_t due_at(const struct client *client)
{
	uint64_t turn = boot_now() + NS_PER_SECOND / SERVER_AGENT_RATE;

	return client->waits && turn < client->deadline_ns ? turn : client->deadline_ns;
}

uint64_t server_expire(struct server *server)
{
	uint64_t now = boot_now(), next = 0;

	for (size_t i = 0; i < SERVER_PLACES; i++) {
		struct client *client = &server->client[i];

		if (client->fd >= 0 && client->deadline_ns <= now)
			end_client(client);
		else if (client->fd >= 0 && client->waits)
			let_go_on(server, client);
		if (client->fd >= 0 && (!next || due_at(client) < next))
			next = due_at(client);
	}
	return next;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* The lock of the instance is ours, so a socket that is there has nobody behind it. */
static int bind_socket(const struct door *door, const char *group_name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	gid_t group;
	mode_t old;
	int r;

	if (strlen(door->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, door->path);
	if (unlink(door->path) < 0 && errno != ENOENT)
		return -errno;
	old = umask(0177); /* nobody comes in before the group is set */
	r = bind(door->listener, (struct sockaddr *)&address, sizeof(address));
	umask(old);
	if (r < 0)
		return -errno;
	if (caller_group(group_name, &group) && chown(door->path, 0, group) < 0)
		return -errno;
	return chmod(door->path, 0660) < 0 ? -errno : 0;
}

static int cannot_listen(const struct door *door, int error, char **problem)
{
	return tell_problem(problem, error, "cannot listen on %s: %s",
			    door->path ? door->path : "the control socket", strerror(-error));
}

static int bind_door(struct server *server, enum server_door which, const char *instance,
		     char **problem)
{
	struct door *door = &server->door[which];
	int r;

	door->path = path_run(instance, doors[which].suffix);
	door->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = !door->path		 ? -ENOMEM
	    : door->listener < 0 ? -errno
				 : bind_socket(door, doors[which].group);
	return r < 0 ? cannot_listen(door, r, problem) : 0;
}

void server_init(struct server *server)
{
	*server = (struct server){.epoll = -1};
	for (size_t i = 0; i < SERVER_DOORS; i++)
		server->door[i].listener = -1;
	for (size_t i = 0; i < SERVER_PLACES; i++)
		server->client[i].fd = -1;
}

int server_bind(struct server *server, const char *instance, char **problem)
{
	int r = 0;

	server_init(server);
	for (enum server_door door = 0; door < SERVER_DOORS && r == 0; door++)
		r = bind_door(server, door, instance, problem);
	return r;
}

int server_open(struct server *server, struct host *host, int epoll, char **problem)
{
	server->host = host;
	server->epoll = epoll;
	for (size_t i = 0; i < SERVER_DOORS; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u64 = SERVER_LISTENER + i};
		const struct door *door = &server->door[i];

		if (listen(door->listener, 64) < 0 ||
		    epoll_ctl(epoll, EPOLL_CTL_ADD, door->listener, &event) < 0)
			return cannot_listen(door, -errno, problem);
	}
	return 0;
}

void server_close(struct server *server)
{
	for (size_t i = 0; i < SERVER_PLACES; i++)
		end_client(&server->client[i]);
	for (size_t i = 0; i < SERVER_DOORS; i++) {
		struct door *door = &server->door[i];

		if (door->listener >= 0) {
			close(door->listener);
			unlink(door->path);
		}
		free(door->path);
	}
}
