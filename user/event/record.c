/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * record.c - what happened, as one line of OCSF JSON.
 *
 * Ids are those of the OCSF schema 1.8.0: events/network/network_activity.json,
 * profiles/security_control.json, objects/network_connection_info.json. The host and
 * security_control profiles are in use.
 */
#include "user/event/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/json_out.h"

enum {
	CATEGORY_NETWORK = 4,
	CLASS_NETWORK_ACTIVITY = 4001,

	ACTIVITY_OPEN = 1,
	ACTIVITY_CLOSE = 2,
	ACTIVITY_RESET = 3,
	ACTIVITY_REFUSE = 5,
	ACTIVITY_TRAFFIC = 6,
	ACTIVITY_OTHER = 99,

	ACTION_ALLOWED = 1,
	ACTION_DENIED = 2,
	ACTION_OBSERVED = 3,

	DISPOSITION_ALLOWED = 1,
	DISPOSITION_BLOCKED = 2,
	DISPOSITION_DROPPED = 6,
	DISPOSITION_LOGGED = 17,
	DISPOSITION_RESET = 21,

	DIRECTION_INBOUND = 1,
	DIRECTION_OUTBOUND = 2,

	BOUNDARY_OTHER = 99,
};

/* One line per kind: what it is in OCSF's terms. */
struct meaning {
	const char *name;
	uint8_t activity, action, disposition, severity;
	bool is_alert;
};

static const struct meaning meanings[] = {
	[0] = {"unknown", ACTIVITY_OTHER, ACTION_OBSERVED, DISPOSITION_LOGGED, RECORD_LOW, false},
	[WEIR_EVENT_REFUSED] = {"refused", ACTIVITY_REFUSE, ACTION_DENIED, DISPOSITION_BLOCKED,
				RECORD_MEDIUM, true},
	[WEIR_EVENT_WOULD_REFUSE] = {"would-refuse", ACTIVITY_TRAFFIC, ACTION_OBSERVED,
				     DISPOSITION_LOGGED, RECORD_LOW, false},
	[WEIR_EVENT_WARNING] = {"warning", ACTIVITY_TRAFFIC, ACTION_ALLOWED, DISPOSITION_LOGGED,
				RECORD_LOW, true},
	[WEIR_EVENT_ALERT] = {"alert", ACTIVITY_TRAFFIC, ACTION_ALLOWED, DISPOSITION_LOGGED,
			      RECORD_HIGH, true},
	[WEIR_EVENT_HELD] = {"held", ACTIVITY_TRAFFIC, ACTION_DENIED, DISPOSITION_DROPPED,
			     RECORD_MEDIUM, true},
	[WEIR_EVENT_SEVERED] = {"severed", ACTIVITY_RESET, ACTION_DENIED, DISPOSITION_RESET,
				RECORD_HIGH, true},
	[WEIR_EVENT_OPENED] = {"opened", ACTIVITY_OPEN, ACTION_ALLOWED, DISPOSITION_ALLOWED,
			       RECORD_INFORMATIONAL, false},
	[WEIR_EVENT_CLOSED] = {"closed", ACTIVITY_CLOSE, ACTION_ALLOWED, DISPOSITION_ALLOWED,
			       RECORD_INFORMATIONAL, false},
};

static const char *const activity_names[] = {
	[ACTIVITY_OPEN] = "Open",     [ACTIVITY_CLOSE] = "Close",     [ACTIVITY_RESET] = "Reset",
	[ACTIVITY_REFUSE] = "Refuse", [ACTIVITY_TRAFFIC] = "Traffic",
};

static const char *const severity_names[] = {
	[RECORD_INFORMATIONAL] = "Informational",
	[RECORD_LOW] = "Low",
	[RECORD_MEDIUM] = "Medium",
	[RECORD_HIGH] = "High",
};

static const struct meaning *meaning_of(uint8_t kind)
{
	return &meanings[kind < sizeof(meanings) / sizeof(meanings[0]) ? kind : 0];
}

const char *record_kind_name(uint8_t kind)
{
	return meaning_of(kind)->name;
}

/* ---- pieces that both kinds of line have ---------------------------------------------------- */

static void put_head(struct json_out *json, uint64_t wall_ns, unsigned activity,
		     const char *activity_name, unsigned severity)
{
	json_put_uint(json, "time", wall_ns / 1000000);
	json_put_uint(json, "category_uid", CATEGORY_NETWORK);
	json_put_text(json, "category_name", "Network Activity");
	json_put_uint(json, "class_uid", CLASS_NETWORK_ACTIVITY);
	json_put_text(json, "class_name", "Network Activity");
	json_put_uint(json, "activity_id", activity);
	json_put_text(json, "activity_name", activity_name);
	json_put_uint(json, "type_uid", CLASS_NETWORK_ACTIVITY * 100 + activity);
	json_put_uint(json, "severity_id", severity);
	json_put_text(json, "severity", severity_names[severity]);
}

static void put_origin(struct json_out *json, const struct record_origin *origin)
{
	json_open(json, "policy", '{');
	json_put_text(json, "name", origin->policy_name);
	json_put_text(json, "uid", origin->policy_digest);
	json_close(json, '}');
	json_open(json, "device", '{');
	json_put_text(json, "hostname", origin->host);
	json_put_uint(json, "type_id", 1); /* server */
	json_close(json, '}');
	json_open(json, "metadata", '{');
	json_put_text(json, "version", "1.8.0");
	json_open(json, "product", '{');
	json_put_text(json, "name", "weir");
	json_put_text(json, "vendor_name", "weir");
	json_put_text(json, "version", WEIR_VERSION);
	json_close(json, '}');
	json_open(json, "profiles", '[');
	json_put_text(json, NULL, "host");
	json_put_text(json, NULL, "security_control");
	json_close(json, ']');
	json_close(json, '}');
}

/* ---- about a packet or a connection --------------------------------------------------------- */

static bool is_serving(const struct weir_event *event)
{
	return event->direction == WEIR_SERVES;
}

static void put_endpoint(struct json_out *json, const char *key, const uint8_t address[16],
			 uint16_t port, const char *hostname, const char *name)
{
	char ip[ADDRESS_TEXT];

	address_format(address, ip, sizeof(ip));
	json_open(json, key, '{');
	json_put_text(json, "ip", ip);
	if (port)
		json_put_uint(json, "port", port);
	if (hostname)
		json_put_text(json, "hostname", hostname);
	if (name && name[0])
		json_put_text(json, "name", name);
	json_close(json, '}');
}

/* OCSF's source is who opened the connection: the peer when we serve. */
static void put_endpoints(struct json_out *json, const struct record_origin *origin,
			  const struct record_names *names, const struct weir_event *event)
{
	const char *ours = is_serving(event) ? "dst_endpoint" : "src_endpoint";
	const char *theirs = is_serving(event) ? "src_endpoint" : "dst_endpoint";

	put_endpoint(json, ours, event->local, event->local_port, origin->host, names->service);
	put_endpoint(json, theirs, event->peer, event->peer_port, NULL, names->partner);
}

static void put_connection(struct json_out *json, const struct record_names *names,
			   const struct weir_event *event)
{
	json_open(json, "connection_info", '{');
	json_put_uint(json, "direction_id",
		      is_serving(event) ? DIRECTION_INBOUND : DIRECTION_OUTBOUND);
	json_put_text(json, "direction", is_serving(event) ? "Inbound" : "Outbound");
	json_put_uint(json, "protocol_num", event->protocol);
	json_put_text(json, "protocol_name", names->protocol);
	json_put_uint(json, "protocol_ver_id", address_is_v4(event->peer) ? 4 : 6);
	json_put_uint(json, "boundary_id", BOUNDARY_OTHER);
	json_put_text(json, "boundary", event->partner_key ? "partner" : "stranger");
	json_close(json, '}');
}

static bool has_totals(const struct weir_event *event)
{
	return event->kind == WEIR_EVENT_OPENED || event->kind == WEIR_EVENT_CLOSED;
}

/* What we sent is bytes_in when the peer is the source: "from the destination to the source". */
static void put_traffic(struct json_out *json, const struct weir_event *event)
{
	json_open(json, has_totals(event) ? "cumulative_traffic" : "traffic", '{');
	json_put_uint(json, is_serving(event) ? "bytes_in" : "bytes_out", event->bytes);
	json_put_uint(json, "bytes", event->bytes);
	json_close(json, '}');
}

static void put_actor(struct json_out *json, const struct weir_event *event)
{
	char program[sizeof(event->program) + 1] = "";

	memcpy(program, event->program, sizeof(event->program));
	if (!event->pid && !program[0])
		return;
	json_open(json, "actor", '{');
	json_open(json, "process", '{');
	if (program[0])
		json_put_text(json, "name", program);
	if (event->pid)
		json_put_uint(json, "pid", event->pid);
	json_close(json, '}');
	json_close(json, '}');
}

/* A name, or the digits of the key that nobody has a name for. */
static void put_name(struct json_out *json, const char *what, const char *name, uint64_t key)
{
	char digits[20];

	if (!name) {
		snprintf(digits, sizeof(digits), "#%016" PRIx64, key);
		name = digits;
	}
	json_put_text(json, what, name);
}

static void put_unmapped(struct json_out *json, const struct record_origin *origin,
			 const struct record_names *names, const struct weir_event *event)
{
	char text[32];

	json_open(json, "unmapped", '{');
	json_put_text(json, "kind", record_kind_name(event->kind));
	json_put_text(json, "instance", origin->instance);
	put_name(json, "service", names->service, event->service_key);
	put_name(json, "partner", names->partner, event->partner_key);
	put_name(json, "grant", names->grant, event->grant_key);
	json_put_text(json, "reason", names->reason);
	json_put_text(json, "direction", names->direction);
	json_put_bool(json, "observe", event->observe);
	if (event->order) {
		snprintf(text, sizeof(text), "c%" PRIu64, (uint64_t)event->order);
		json_put_text(json, "order", text);
	}
	if (event->window_ns) {
		json_put_uint(json, "limit_bytes", event->limit_bytes);
		json_put_uint(json, "used_bytes", event->used_bytes);
		json_put_thousandths(json, "window_seconds", event->window_ns / 1000000);
	}
	if (event->kind == WEIR_EVENT_CLOSED)
		json_put_uint(json, "acked_bytes", event->acked_bytes);
	json_put_uint(json, "untold", event->untold);
	snprintf(text, sizeof(text), "%016" PRIx64, (uint64_t)event->account);
	json_put_text(json, "account", text);
	json_put_uint(json, "cgroup", event->cgroup);
	json_close(json, '}');
}

/* One sentence for people; `weir events` prints it as it stands. */
static void put_message(struct json_out *json, const struct record_names *names,
			const struct weir_event *event)
{
	char peer[ADDRESS_TEXT], message[512], program[sizeof(event->program) + 1] = "";
	const char *service = names->service ? names->service : "?";
	const char *partner = names->partner && names->partner[0] ? names->partner : "stranger";
	size_t length;

	address_format(event->peer, peer, sizeof(peer));
	memcpy(program, event->program, sizeof(event->program));
	length = snprintf(message, sizeof(message), "%s: %s %s %s %s %s port %u, %s",
			  record_kind_name(event->kind), service, names->direction, partner, peer,
			  names->protocol, is_serving(event) ? event->local_port : event->peer_port,
			  names->reason);
	if (event->order && length < sizeof(message))
		length += snprintf(message + length, sizeof(message) - length, " (c%" PRIu64 ")",
				   (uint64_t)event->order);
	if (event->window_ns && length < sizeof(message))
		length += snprintf(message + length, sizeof(message) - length,
				   ", %" PRIu64 " of %" PRIu64 " bytes in %" PRIu64 " s",
				   (uint64_t)event->used_bytes, (uint64_t)event->limit_bytes,
				   (uint64_t)event->window_ns / 1000000000);
	if (has_totals(event) && event->bytes && length < sizeof(message))
		length += snprintf(message + length, sizeof(message) - length,
				   ", %" PRIu64 " bytes sent", (uint64_t)event->bytes);
	if (program[0] && length < sizeof(message))
		snprintf(message + length, sizeof(message) - length, ", program %s", program);
	json_put_text(json, "message", message);
}

char *record_event(const struct record_origin *origin, const struct record_names *names,
		   const struct weir_event *event)
{
	const struct meaning *meaning = meaning_of(event->kind);
	struct json_out json = {0};
	char *line = NULL;
	size_t length;

	json.out = open_memstream(&line, &length);
	if (!json.out)
		return NULL;
	json_open(&json, NULL, '{');
	put_head(&json, event->wall_ns, meaning->activity,
		 meaning->activity == ACTIVITY_OTHER ? "Other" : activity_names[meaning->activity],
		 meaning->severity);
	put_message(&json, names, event);
	json_put_uint(&json, "action_id", meaning->action);
	json_put_uint(&json, "disposition_id", meaning->disposition);
	json_put_bool(&json, "is_alert", meaning->is_alert);
	put_endpoints(&json, origin, names, event);
	put_connection(&json, names, event);
	put_traffic(&json, event);
	put_actor(&json, event);
	put_origin(&json, origin);
	put_unmapped(&json, origin, names, event);
	json_close(&json, '}');
	fputc('\n', json.out);
	if (fclose(json.out) == 0)
		return line;
	free(line);
	return NULL;
}

/* ---- about the guard itself ----------------------------------------------------------------- */

char *record_notice(const struct record_origin *origin, const struct record_notice *notice)
{
	struct json_out json = {0};
	char *line = NULL;
	size_t length;

	json.out = open_memstream(&line, &length);
	if (!json.out)
		return NULL;
	json_open(&json, NULL, '{');
	put_head(&json, notice->wall_ns, ACTIVITY_OTHER, notice->kind, notice->severity);
	json_put_text(&json, "message", notice->message);
	json_put_uint(&json, "action_id", ACTION_OBSERVED);
	json_put_uint(&json, "disposition_id", DISPOSITION_LOGGED);
	json_put_bool(&json, "is_alert", notice->is_alert);
	json_open(&json, "src_endpoint", '{'); /* the class asks for one endpoint */
	json_put_text(&json, "hostname", origin->host);
	json_close(&json, '}');
	put_origin(&json, origin);
	json_open(&json, "unmapped", '{');
	json_put_text(&json, "kind", notice->kind);
	json_put_text(&json, "instance", origin->instance);
	for (size_t i = 0; i < notice->field_count; i++) {
		if (notice->field[i].text)
			json_put_text(&json, notice->field[i].key, notice->field[i].text);
		else
			json_put_uint(&json, notice->field[i].key, notice->field[i].number);
	}
	json_close(&json, '}');
	json_close(&json, '}');
	fputc('\n', json.out);
	if (fclose(json.out) == 0)
		return line;
	free(line);
	return NULL;
}
