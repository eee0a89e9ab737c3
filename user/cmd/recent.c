/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * recent.c - what the events that are still held say of a target.
 */
#include "user/cmd/recent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/daemon/paths.h"
#include "user/event/held.h"

enum { MOST_RECENT = 20 };

/* What a target means of an event. */
struct filter {
	char *text;	     /* the target, cut into pieces */
	const char *kind;    /* partner, service, grant, addr, strangers, all */
	const char *name;    /* NULL: the kind has none */
	const char *service; /* NULL: any */
	uint8_t address[16], bits;
};

struct search {
	struct filter filter;
	json_object *recent;
	uint64_t *bytes; /* of each connection that ended */
	size_t count;
	uint64_t first_ms; /* of the oldest line of all; 0: there is none */
};

/* -EINVAL: no event tells whether it is meant. */
static int filter_read(const char *target, struct filter *filter)
{
	char *at;

	*filter = (struct filter){.text = strdup(target)};
	if (!filter->text)
		return -ENOMEM;
	filter->kind = filter->text;
	at = strstr(filter->text, "@service:");
	if (at) {
		*at = '\0';
		filter->service = at + strlen("@service:");
	}
	at = strchr(filter->text, ':');
	if (at) {
		*at = '\0';
		filter->name = at + 1;
	}
	if (strcmp(filter->kind, "addr") == 0)
		return prefix_parse(filter->name, filter->address, &filter->bits);
	return strcmp(filter->kind, "class") == 0 ? -EINVAL : 0;
}

static bool is_text(json_object *object, const char *key, const char *wanted)
{
	return strcmp(field_text(object, key), wanted) == 0;
}

/* The endpoint that is not this host has no name of a host. */
static const char *peer_of(json_object *event)
{
	json_object *source = field_object(event, "src_endpoint");

	return field_text(field_object(source, "hostname") ? field_object(event, "dst_endpoint")
							   : source,
			  "ip");
}

static bool is_meant(const struct filter *filter, json_object *event)
{
	json_object *ours = field_object(event, "unmapped");
	uint8_t address[16];

	if (!field_object(ours, "direction")) /* about the guard itself */
		return false;
	if (filter->service && !is_text(ours, "service", filter->service))
		return false;
	if (strcmp(filter->kind, "addr") == 0)
		return address_parse(peer_of(event), address) == 0 &&
		       prefix_holds(filter->address, filter->bits, address);
	if (strcmp(filter->kind, "strangers") == 0)
		return is_text(ours, "grant", "") || is_text(ours, "grant", "strangers");
	return !filter->name || is_text(ours, filter->kind, filter->name);
}

static void keep(struct search *search, json_object *event)
{
	json_object *ours = field_object(event, "unmapped"), *kept = json_object_new_object();
	uint64_t bytes = field_number(field_object(event, "cumulative_traffic"), "bytes");

	json_object_object_add(kept, "time",
			       json_object_new_int64(field_number(event, "time") / 1000));
	json_object_object_add(kept, "kind", json_object_new_string(field_text(ours, "kind")));
	json_object_object_add(kept, "peer", json_object_new_string(peer_of(event)));
	json_object_object_add(kept, "message",
			       json_object_new_string(field_text(event, "message")));
	if (is_text(ours, "kind", "closed")) {
		uint64_t *item = ARRAY_ADD(search->bytes, search->count);

		json_object_object_add(kept, "sent_bytes", json_object_new_uint64(bytes));
		if (item) {
			*item = bytes;
			search->count++;
		}
	}
	json_object_array_add(search->recent, kept);
	if (json_object_array_length(search->recent) > MOST_RECENT)
		json_object_array_del_idx(search->recent, 0, 1);
}

static int look_at(const char *line, void *data)
{
	struct search *search = data;
	const char *name = search->filter.name;
	json_object *event;

	/* Among 30,000 lines parsing is what takes the time. */
	if (search->first_ms && name && strcmp(search->filter.kind, "addr") != 0 &&
	    !strstr(line, name))
		return 0;
	event = json_tokener_parse(line);
	if (!search->first_ms)
		search->first_ms = field_number(event, "time");
	if (event && is_meant(&search->filter, event))
		keep(search, event);
	json_object_put(event);
	return 0;
}

static int by_size(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static json_object *usual_of(const struct search *search)
{
	json_object *usual = json_object_new_object();

	qsort(search->bytes, search->count, sizeof(*search->bytes), by_size);
	json_object_object_add(usual, "since", json_object_new_int64(search->first_ms / 1000));
	json_object_object_add(usual, "connections", json_object_new_int64(search->count));
	json_object_object_add(usual, "median_bytes",
			       json_object_new_uint64(search->bytes[search->count / 2]));
	json_object_object_add(usual, "largest_bytes",
			       json_object_new_uint64(search->bytes[search->count - 1]));
	return usual;
}

void recent_add(const char *instance, json_object *answer)
{
	_cleanup_free_ char *directory = path_state(instance, "");
	struct search search = {0};

	if (directory && filter_read(field_text(answer, "target"), &search.filter) == 0) {
		search.recent = json_object_new_array();
		if (held_each(directory, look_at, &search) == 0 && search.first_ms)
			json_object_object_add(answer, "recent", json_object_get(search.recent));
		if (search.count)
			json_object_object_add(answer, "usual", usual_of(&search));
		json_object_put(search.recent);
	}
	free(search.bytes);
	free(search.filter.text);
}
