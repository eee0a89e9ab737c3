/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * question.c - the parts of a question as people write them.
 */
#include "user/policy/question.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/base/address.h"
#include "user/base/units.h"
#include "user/base/zone.h"
#include "user/policy/words.h"

/* ---- endpoints
 * ---------------------------------------------------------------------------------*/

/* A plain decimal number, all of the text. */
static int parse_number(const char *text, unsigned long least, unsigned long most,
			unsigned long *number)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 5)
		return -EINVAL;
	value = strtoul(text, &end, 10);
	if (*end || value < least || value > most)
		return -EINVAL;
	*number = value;
	return 0;
}

int question_endpoint(const char *text, struct weir_question *question)
{
	const char *slash = strchr(text, '/'), *name, *port;
	char left[16];
	unsigned long number;
	uint8_t protocol;

	if (!strcmp(text, "icmp")) {
		question->protocol = address_is_v4(question->peer) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		question->port = 0;
		return 0;
	}
	if (!slash || slash == text || slash - text >= (int)sizeof(left))
		return -EINVAL;
	memcpy(left, text, slash - text);
	left[slash - text] = 0;
	if (!strcmp(left, "proto")) {
		if (parse_number(slash + 1, 1, UINT8_MAX, &number))
			return -EINVAL;
		question->protocol = number;
		question->port = 0;
		return 0;
	}
	name = left[0] >= '0' && left[0] <= '9' ? slash + 1 : left;
	port = name == left ? slash + 1 : left;
	if (protocol_parse(name, &protocol) || !protocol_has_ports(protocol) ||
	    parse_number(port, 1, UINT16_MAX, &number))
		return -EINVAL;
	question->protocol = protocol;
	question->port = number;
	return 0;
}

void endpoint_format(uint8_t protocol, uint16_t port_first, uint16_t port_last, char *text,
		     size_t size)
{
	char number[PROTOCOL_NAME_BYTES];
	const char *name = protocol_name(protocol, number);

	if (name == number)
		snprintf(text, size, "proto/%s", name);
	else if (!protocol_has_ports(protocol))
		snprintf(text, size, "%s", name);
	else if (port_first == port_last)
		snprintf(text, size, "%s/%u", name, port_first);
	else
		snprintf(text, size, "%s/%u-%u", name, port_first, port_last);
}

/* ---- moments
 * -----------------------------------------------------------------------------------*/

enum { DATE_LENGTH = 10, MINUTES_LENGTH = 16 };

/* Two digits up to `most`, or -1. */
static int two_digits(const char *text, int most)
{
	int value;

	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return -1;
	value = (text[0] - '0') * 10 + text[1] - '0';
	return value <= most ? value : -1;
}

/* What follows the minutes: seconds and the distance to UTC. NULL when it is neither. */
static const char *skip_seconds(const char *text, int *seconds)
{
	*seconds = 0;
	if (*text != ':')
		return text;
	*seconds = two_digits(text + 1, 59);
	return *seconds < 0 ? NULL : text + 3;
}

static int parse_offset(const char *text, int *minutes)
{
	int hour, minute;

	if (!strcmp(text, "Z")) {
		*minutes = 0;
		return 0;
	}
	if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || text[3] != ':')
		return -EINVAL;
	hour = two_digits(text + 1, 23);
	minute = two_digits(text + 4, 59);
	if (hour < 0 || minute < 0)
		return -EINVAL;
	*minutes = (hour * 60 + minute) * (text[0] == '-' ? -1 : 1);
	return 0;
}

bool moment_is_absolute(const char *text)
{
	return strlen(text) > MINUTES_LENGTH && strpbrk(text + MINUTES_LENGTH, "Z+-");
}

/* As the clock of the zone shows it. */
static int local_moment(const char *zone, const int date[3], int minute, uint64_t *wall_ns)
{
	struct zone_guard guard;
	int r = zone_enter(&guard, zone);

	if (r)
		return r;
	r = zone_wall(date[0], date[1], date[2], minute, wall_ns);
	zone_leave(&guard);
	return r;
}

int moment_parse(const char *text, const char *zone, uint64_t *wall_ns)
{
	char day[DATE_LENGTH + 1];
	int date[3], hour, minute, second, offset = 0, r;
	bool is_absolute = moment_is_absolute(text);
	const char *rest;
	uint64_t ns;

	if (strlen(text) < MINUTES_LENGTH || (text[10] != 'T' && text[10] != ' ') ||
	    text[13] != ':')
		return -EINVAL;
	memcpy(day, text, DATE_LENGTH);
	day[DATE_LENGTH] = 0;
	hour = two_digits(text + 11, 23);
	minute = two_digits(text + 14, 59);
	rest = skip_seconds(text + MINUTES_LENGTH, &second);
	if (hour < 0 || minute < 0 || !rest || date_parse(day, &date[0], &date[1], &date[2]))
		return -EINVAL;
	if (is_absolute ? parse_offset(rest, &offset) : *rest != 0)
		return -EINVAL;
	r = local_moment(is_absolute ? "UTC" : zone, date, hour * 60 + minute, &ns);
	if (r)
		return r;
	if (offset > 0 && ns < offset * NS_PER_MINUTE)
		return -EINVAL;
	*wall_ns = ns + second * NS_PER_SECOND - offset * (int64_t)NS_PER_MINUTE;
	return 0;
}

void moment_format(uint64_t wall_ns, char *text, size_t size)
{
	time_t seconds = wall_ns / NS_PER_SECOND;
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(text, size, "%a %Y-%m-%d %H:%M:%S %Z", &tm))
		snprintf(text, size, "%llus since 1970", (unsigned long long)seconds);
}
