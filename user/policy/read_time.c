/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* read_time.c - hours, days and time zones of a policy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/base/array.h"
#include "user/base/units.h"
#include "user/base/zone.h"
#include "user/policy/read.h"

static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* 0 for Monday, or -1. */
static int parse_day(const char *text)
{
	int i;

	for (i = 0; i < 7; i++)
		if (strncmp(text, days[i], 3) == 0)
			return i;
	return -1;
}

/* "Mon", "Mon-Fri", "Fri-Mon", "Mon,Wed-Fri", up to a space. Returns the rest, or NULL. */
static const char *parse_days(const char *text, uint8_t *bits)
{
	int first, last;

	*bits = 0;
	for (;; text++) {
		first = last = parse_day(text);
		if (first < 0)
			return NULL;
		text += 3;
		if (*text == '-') {
			last = parse_day(text + 1);
			if (last < 0)
				return NULL;
			text += 4;
		}
		for (; first != last; first = (first + 1) % 7)
			*bits |= (uint8_t)(1 << first);
		*bits |= (uint8_t)(1 << last);
		if (*text == ' ')
			return text + strspn(text, " ");
		if (*text != ',')
			return NULL;
	}
}

/* HH:MM up to 24:00, as minutes; -1 for what is no time. */
static int parse_minute(const char *text)
{
	int i, hour, minute;

	for (i = 0; i < 5; i++)
		if (i == 2 ? text[i] != ':' : text[i] < '0' || text[i] > '9')
			return -1;
	hour = (text[0] - '0') * 10 + text[1] - '0';
	minute = (text[3] - '0') * 10 + text[4] - '0';
	if (minute > 59 || hour * 60 + minute > 1440)
		return -1;
	return hour * 60 + minute;
}

static const char *parse_hours(const char *text, struct hours *hours)
{
	static const char form[] = "DAYS HH:MM-HH:MM, such as Mon-Fri 20:00-04:00";
	int from, until;

	hours->days = 0x7f;
	if (text[0] < '0' || text[0] > '9') {
		text = parse_days(text, &hours->days);
		if (!text)
			return "no such days: Mon, Mon-Fri, Mon,Wed,Fri; then HH:MM-HH:MM";
	}
	if (strlen(text) != 11 || text[5] != '-')
		return form;
	from = parse_minute(text);
	until = parse_minute(text + 6);
	if (from < 0 || until < 0)
		return "no such hour: 00:00 to 24:00";
	if (from == until)
		return "it starts and ends at the same minute: a whole day is 00:00-24:00";
	if (from == 1440)
		return "a day starts at 00:00";
	hours->from_minute = (uint16_t)from;
	hours->until_minute = until == 0 ? 1440 : (uint16_t)until;
	return NULL;
}

static void read_hour(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value), *problem;
	struct hours parsed = {.at = node_position(reader->tree, value)};
	struct hours_list *list = field;
	struct hours *hours;

	if (!text)
		return;
	problem = parse_hours(text, &parsed);
	if (problem) {
		read_fault(reader, value, "\"%.60s\": %s", text, problem);
		return;
	}
	hours = ARRAY_ADD(list->item, list->count);
	if (!hours) {
		reader->error = -ENOMEM;
		return;
	}
	*hours = parsed;
	list->count++;
}

void read_hours(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_hour);
}

static bool read_day(struct reader *reader, const struct node *value, uint64_t *ns)
{
	const char *text = read_text(reader, value);
	struct tm tm = {0};

	if (!text)
		return false;
	if (date_parse(text, &tm.tm_year, &tm.tm_mon, &tm.tm_mday) < 0) {
		read_fault(reader, value, "\"%.60s\" is no day: YYYY-MM-DD", text);
		return false;
	}
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ns = (uint64_t)timegm(&tm) * NS_PER_SECOND;
	return true;
}

void read_from(struct reader *reader, const struct node *value, void *field)
{
	struct validity *validity = field;

	if (read_day(reader, value, &validity->from_ns))
		validity->at = node_position(reader->tree, value);
}

void read_until(struct reader *reader, const struct node *value, void *field)
{
	struct validity *validity = field;

	if (read_day(reader, value, &validity->until_ns))
		validity->at = node_position(reader->tree, value);
}

void read_zone(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);

	if (text && !zone_exists(text))
		read_fault(reader, value, "unknown zone \"%.60s\": one such as Europe/Berlin",
			   text);
	else if (text)
		read_line(reader, value, field);
}

void read_zone_text(struct reader *reader, const struct node *value, void *field)
{
	struct name name = {0};
	char **text = field;

	read_zone(reader, value, &name);
	if (name.text) {
		free(*text);
		*text = name.text;
	}
}

/* The days of 100,000 partners are few, and each look at the zone costs a file's. */
struct day_memo {
	uint64_t utc_ns, zone_ns;
};

/* From the first moment of a day in UTC to that of `later` days after it in the zone entered. */
static void move_day(uint64_t *ns, int later, struct day_memo *memo)
{
	time_t seconds = (time_t)(*ns / NS_PER_SECOND);
	struct tm tm;

	if (*ns != memo->utc_ns) {
		memo->utc_ns = memo->zone_ns = *ns;
		if (gmtime_r(&seconds, &tm))
			zone_wall(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, later * 1440,
				  &memo->zone_ns);
	}
	*ns = memo->zone_ns;
}

static void move_days(struct validity *validity, struct day_memo memos[2])
{
	if (validity->from_ns != 0)
		move_day(&validity->from_ns, 0, &memos[0]);
	if (validity->until_ns != UINT64_MAX)
		move_day(&validity->until_ns, 1, &memos[1]);
}

int read_resolve_days(struct policy *policy)
{
	struct day_memo memos[2] = {{0}};
	struct zone_guard zone;
	struct grant *grant;
	size_t i;
	int r;

	r = zone_enter(&zone, policy->zone);
	if (r < 0)
		return r;
	for (i = 0; i < policy->partner_count; i++)
		move_days(&policy->partners[i].validity, memos);
	zone_leave(&zone);
	for (i = 0; i < policy->grant_count; i++) {
		grant = &policy->grants[i];
		if (grant->validity.from_ns == 0 && grant->validity.until_ns == UINT64_MAX)
			continue;
		r = zone_enter(&zone, grant->zone.text ? grant->zone.text : policy->zone);
		if (r < 0)
			return r;
		memset(memos, 0, sizeof(memos));
		move_days(&grant->validity, memos);
		zone_leave(&zone);
	}
	return 0;
}
