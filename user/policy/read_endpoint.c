/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* read_endpoint.c - what is served or called: tcp/22, tcp/50000-50100, proto/47, icmp. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/text.h"
#include "user/policy/read.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{"tcp", IPPROTO_TCP},	      {"udp", IPPROTO_UDP},   {"sctp", IPPROTO_SCTP},
	{"udplite", IPPROTO_UDPLITE}, {"dccp", IPPROTO_DCCP},
};

/* Digits up to `end`; any value above `max` comes out as max + 1. -1 when it is no number. */
static long number(const char *text, const char *end, long max)
{
	long value = 0;

	if (text == end)
		return -1;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value > max ? value : value * 10 + (*text - '0');
	}
	return value > max ? max + 1 : value;
}

static bool read_ports(struct reader *reader, const struct node *node, const char *text,
		       const char *ports, struct endpoint *endpoint)
{
	const char *end = ports + strlen(ports);
	const char *dash = strchr(ports, '-');
	long first = number(ports, dash ? dash : end, 65535);
	long last = dash ? number(dash + 1, end, 65535) : first;

	if (first < 0 || last < 0) {
		read_fault(reader, node, "\"%.60s\": \"%.40s\" is no port or range FIRST-LAST",
			   text, ports);
		return false;
	}
	if (first < 1 || first > 65535 || last < 1 || last > 65535) {
		read_fault(reader, node, "\"%.60s\": a port is 1 to 65535", text);
		return false;
	}
	if (last < first) {
		read_fault(reader, node, "\"%.60s\": the range runs backwards", text);
		return false;
	}
	endpoint->port_first = (uint16_t)first;
	endpoint->port_last = (uint16_t)last;
	return true;
}

static void tell_protocol(struct reader *reader, const struct node *node, const char *text)
{
	size_t length = strcspn(text, "/"), i;
	char word[32];
	struct near near;

	snprintf(word, sizeof(word), "%.*s", (int)(length < 31 ? length : 31), text);
	near_start(&near, word);
	for (i = 0; i < LENGTH(protocols); i++)
		near_try(&near, protocols[i].name);
	near_try(&near, "icmp");
	near_try(&near, "proto");
	if (near.best)
		read_fault(reader, node, "\"%.60s\": unknown protocol \"%s\": did you mean \"%s\"?",
			   text, word, near.best);
	else
		read_fault(reader, node,
			   "\"%.60s\": unknown protocol \"%s\": tcp, udp, sctp, udplite, dccp, "
			   "proto/NUMBER or icmp",
			   text, word);
}

static bool parse(struct reader *reader, const struct node *node, const char *text,
		  struct endpoint *endpoint)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text), i;
	long value;

	endpoint->port_last = 65535;
	if (strcmp(text, "icmp") == 0) {
		endpoint->is_icmp = true;
		endpoint->protocol = IPPROTO_ICMP;
		return true;
	}
	if (length == 5 && memcmp(text, "proto", 5) == 0) {
		value = slash ? number(slash + 1, slash + strlen(slash), 255) : -1;
		if (value < 1 || value > 255) {
			read_fault(reader, node, "\"%.60s\": proto/NUMBER takes 1 to 255", text);
			return false;
		}
		endpoint->protocol = (uint8_t)value;
		return true;
	}
	for (i = 0; i < LENGTH(protocols); i++)
		if (strlen(protocols[i].name) == length &&
		    memcmp(protocols[i].name, text, length) == 0)
			break;
	if (i == LENGTH(protocols)) {
		tell_protocol(reader, node, text);
		return false;
	}
	if (!slash) {
		read_fault(reader, node, "\"%.60s\": its port is missing: %s/PORT or %s/FIRST-LAST",
			   text, text, text);
		return false;
	}
	endpoint->protocol = protocols[i].number;
	return read_ports(reader, node, text, slash + 1, endpoint);
}

static bool is_same(const struct endpoint *a, const struct endpoint *b)
{
	return a->direction == b->direction && a->is_icmp == b->is_icmp &&
	       a->protocol == b->protocol && a->port_first == b->port_first &&
	       a->port_last == b->port_last;
}

static void add(struct reader *reader, const struct node *node, struct endpoints *endpoints,
		enum weir_direction direction)
{
	struct endpoint parsed = {.direction = direction, .at = node_position(reader->tree, node)};
	const char *text = read_text(reader, node);
	struct endpoint *endpoint;
	size_t i;

	if (!text || !parse(reader, node, text, &parsed))
		return;
	if (endpoints->count >= WEIR_RULES_PER_PAIR) {
		read_fault(reader, node, "more than %d services and ports in one grant",
			   WEIR_RULES_PER_PAIR);
		return;
	}
	for (i = 0; i < endpoints->count; i++)
		if (is_same(&endpoints->item[i], &parsed)) {
			read_fault(reader, node, "\"%.60s\" is listed twice", text);
			return;
		}
	endpoint = ARRAY_ADD(endpoints->item, endpoints->count);
	if (!endpoint) {
		reader->error = -ENOMEM;
		return;
	}
	*endpoint = parsed;
	endpoints->count++;
}

static void add_served(struct reader *reader, const struct node *node, void *field)
{
	add(reader, node, field, WEIR_SERVES);
}

static void add_called(struct reader *reader, const struct node *node, void *field)
{
	add(reader, node, field, WEIR_CALLS);
}

static void add_called_back(struct reader *reader, const struct node *node, void *field)
{
	add(reader, node, field, WEIR_CALLS_BACK);
}

void read_serves(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, add_served);
}

void read_calls(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, add_called);
}

void read_calls_back(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, add_called_back);
}

/* ADDRESS:PORT, [ADDRESS]:PORT. */
static bool parse_place(const char *text, struct drill *drill)
{
	const char *colon = strrchr(text, ':');
	bool has_brackets = text[0] == '[';
	char address[ADDRESS_TEXT];
	size_t length;
	long port;

	if (!colon || (has_brackets && colon[-1] != ']'))
		return false;
	length = colon - text - 2 * has_brackets;
	port = number(colon + 1, colon + strlen(colon), 65535);
	if (port < 1 || port > 65535 || length == 0 || length >= sizeof(address))
		return false;
	memcpy(address, text + has_brackets, length);
	address[length] = '\0';
	/* without brackets nobody could tell where an IPv6 address ends */
	if (address_parse(address, drill->address) < 0 ||
	    has_brackets != (strchr(address, ':') != NULL))
		return false;
	drill->port = (uint16_t)port;
	return true;
}

void read_drill(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	struct drill drill = {.is_allowed = true, .at = node_position(reader->tree, value)};

	if (!text)
		return;
	if (strcmp(text, "false") == 0)
		drill.is_allowed = false;
	else if (strcmp(text, "true") != 0 && !parse_place(text, &drill)) {
		read_fault(reader, value,
			   "\"%.60s\": drill is true, false, ADDRESS:PORT, or [ADDRESS]:PORT for "
			   "IPv6",
			   text);
		return;
	}
	*(struct drill *)field = drill;
}
