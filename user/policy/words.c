/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * words.c - the names of the numbers in bpf/abi.h: one table for each, read in both directions.
 */
#include "user/policy/words.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const verdicts[] = {[WEIR_PASS] = "pass", [WEIR_REFUSE] = "refuse"};

static const char *const reasons[] = {
	[WEIR_REASON_GRANT] = "grant",
	[WEIR_REASON_LIFELINE] = "lifeline",
	[WEIR_REASON_STRANGER] = "stranger",
	[WEIR_REASON_NO_GRANT] = "no-grant",
	[WEIR_REASON_HOURS] = "hours",
	[WEIR_REASON_EXPIRED] = "expired",
	[WEIR_REASON_STACK] = "stack",
	[WEIR_REASON_CUT] = "cut",
	[WEIR_REASON_SEVERED] = "severed",
	[WEIR_REASON_BUDGET] = "budget",
	[WEIR_REASON_SERVICE_BUDGET] = "service-budget",
	[WEIR_REASON_PARTNER_BUDGET] = "partner-budget",
	[WEIR_REASON_PEER_BUDGET] = "peer-budget",
	[WEIR_REASON_TOTAL_BUDGET] = "total-budget",
	[WEIR_REASON_NO_PAYLOAD] = "no-payload",
	[WEIR_REASON_MPTCP] = "mptcp",
	[WEIR_REASON_SOURCE] = "source",
	[WEIR_REASON_UNCLASSIFIED] = "unclassified",
	[WEIR_REASON_METERS_FULL] = "meters-full",
	[WEIR_REASON_FROZEN] = "frozen",
};
_Static_assert(COUNT(reasons) == WEIR_REASONS, "a reason without a name");

static const char *const directions[] = {
	[WEIR_SERVES] = "serves",
	[WEIR_CALLS] = "calls",
	[WEIR_CALLS_BACK] = "calls-back",
};

static const char *const modes[] = {[WEIR_ENFORCE] = "enforce", [WEIR_OBSERVE] = "observe"};

static const char *const breaches[] = {
	[WEIR_HOLD] = "hold",
	[WEIR_ALERT] = "alert",
	[WEIR_SEVER] = "sever",
};

static const char *const targets[] = {
	[WEIR_TARGET_NOTHING] = "nothing",     [WEIR_TARGET_ALL] = "all",
	[WEIR_TARGET_STRANGERS] = "strangers", [WEIR_TARGET_PARTNER] = "partner",
	[WEIR_TARGET_SERVICE] = "service",     [WEIR_TARGET_GRANT] = "grant",
	[WEIR_TARGET_CLASS] = "class",	       [WEIR_TARGET_ADDRESS] = "addr",
};

static const char *const losses[] = {
	[WEIR_LOST_EVENTS] = "events",
	[WEIR_LOST_STORAGE] = "storage",
	[WEIR_LOST_UNCLASSIFIED] = "unclassified",
	[WEIR_LOST_METERS_FULL] = "meters-full",
	[WEIR_LOST_HOLDERS_FULL] = "holders-full",
	[WEIR_LOST_SPOKE_EVICTED] = "spoke-evicted",
	[WEIR_LOST_CGROUP_UNREAD] = "cgroup-unread",
	[WEIR_LOST_OPENER_UNKNOWN] = "opener-unknown",
	[WEIR_LOST_EDGE_UNREAD] = "edge-unread",
	[WEIR_LOST_HOOK] = "hook",
	[WEIR_LOST_UNREAD] = "events-unread",
};
_Static_assert(COUNT(losses) == WEIR_LOSSES, "a loss without a name");

static const struct {
	const char *name;
	uint8_t number;
	bool has_ports;
} protocols[] = {
	{"tcp", IPPROTO_TCP, true},	   {"udp", IPPROTO_UDP, true},
	{"sctp", IPPROTO_SCTP, true},	   {"udplite", IPPROTO_UDPLITE, true},
	{"dccp", IPPROTO_DCCP, true},	   {"icmp", IPPROTO_ICMP, false},
	{"icmpv6", IPPROTO_ICMPV6, false},
};

static const char *name_in(const char *const *table, size_t count, uint8_t number)
{
	return number < count && table[number] ? table[number] : "unknown";
}

static int find_in(const char *const *table, size_t count, const char *text, uint8_t *number)
{
	for (size_t i = 0; i < count; i++) {
		if (table[i] && !strcmp(table[i], text)) {
			*number = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *verdict_name(uint8_t verdict)
{
	return name_in(verdicts, COUNT(verdicts), verdict);
}

int verdict_parse(const char *text, uint8_t *verdict)
{
	return find_in(verdicts, COUNT(verdicts), text, verdict);
}

const char *reason_name(uint8_t reason)
{
	return name_in(reasons, COUNT(reasons), reason);
}

int reason_parse(const char *text, uint8_t *reason)
{
	return find_in(reasons, COUNT(reasons), text, reason);
}

const char *direction_name(uint8_t direction)
{
	return name_in(directions, COUNT(directions), direction);
}

int direction_parse(const char *text, uint8_t *direction)
{
	return find_in(directions, COUNT(directions), text, direction);
}

const char *mode_name(uint8_t mode)
{
	return name_in(modes, COUNT(modes), mode);
}

const char *breach_name(uint8_t breach)
{
	return name_in(breaches, COUNT(breaches), breach);
}

const char *target_name(uint8_t target)
{
	return name_in(targets, COUNT(targets), target);
}

const char *loss_name(uint8_t loss)
{
	return name_in(losses, COUNT(losses), loss);
}

const char *protocol_name(uint8_t protocol, char *buffer)
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		if (protocols[i].number == protocol)
			return protocols[i].name;
	}
	snprintf(buffer, PROTOCOL_NAME_BYTES, "%u", protocol);
	return buffer;
}

int protocol_parse(const char *text, uint8_t *protocol)
{
	unsigned long number;
	char *end;

	for (size_t i = 0; i < COUNT(protocols); i++) {
		if (!strcmp(protocols[i].name, text)) {
			*protocol = protocols[i].number;
			return 0;
		}
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	number = strtoul(text, &end, 10);
	if (*end || number > UINT8_MAX)
		return -EINVAL;
	*protocol = number;
	return 0;
}

bool protocol_has_ports(uint8_t protocol)
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		if (protocols[i].number == protocol)
			return protocols[i].has_ports;
	}
	return false;
}
