/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* instant.c - moments in UTC, as signed texts write them. */
#include "user/order/instant.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "user/base/units.h"

enum { DIGITS = 14, LAST_YEAR = 2499 };

/* Where the pattern has "d" the text has a digit, elsewhere the same character. */
static bool take_digits(const char *text, const char *pattern, char digits[DIGITS])
{
	size_t count = 0;

	if (strlen(text) != strlen(pattern))
		return false;
	for (; *pattern; text++, pattern++) {
		if (*pattern != 'd' && *pattern != *text)
			return false;
		if (*pattern == 'd' && (*text < '0' || *text > '9'))
			return false;
		if (*pattern == 'd')
			digits[count++] = *text;
	}
	return true;
}

static int number(const char *digits, size_t count)
{
	int value = 0;

	for (; count > 0; count--)
		value = value * 10 + (*digits++ - '0');
	return value;
}

/* YYYYMMDDHHMMSS. timegm() turns a day that does not exist into one that does: it then comes back
 * as another one. */
static int from_digits(const char digits[DIGITS], uint64_t *wall_ns)
{
	struct tm tm = {
		.tm_year = number(digits, 4) - 1900,
		.tm_mon = number(digits + 4, 2) - 1,
		.tm_mday = number(digits + 6, 2),
		.tm_hour = number(digits + 8, 2),
		.tm_min = number(digits + 10, 2),
		.tm_sec = number(digits + 12, 2),
	};
	struct tm given = tm;
	time_t seconds = timegm(&tm);

	if (seconds < 0 || tm.tm_year > LAST_YEAR - 1900 || tm.tm_year != given.tm_year ||
	    tm.tm_mon != given.tm_mon || tm.tm_mday != given.tm_mday ||
	    tm.tm_hour != given.tm_hour || tm.tm_min != given.tm_min || tm.tm_sec != given.tm_sec)
		return -EINVAL;
	*wall_ns = (uint64_t)seconds * NS_PER_SECOND;
	return 0;
}

int instant_parse(const char *text, uint64_t *wall_ns)
{
	char digits[DIGITS];

	return take_digits(text, "dddd-dd-ddTdd:dd:ddZ", digits) ? from_digits(digits, wall_ns)
								 : -EINVAL;
}

int instant_parse_ssh(const char *text, uint64_t *wall_ns)
{
	static const char *const forms[] = {"ddddddddZ", "ddddddddddddZ", "ddddddddddddddZ"};
	char digits[DIGITS];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		memset(digits, '0', sizeof(digits));
		if (take_digits(text, forms[i], digits))
			return from_digits(digits, wall_ns);
	}
	return -EINVAL;
}

const char *instant_format(uint64_t wall_ns, char text[INSTANT_TEXT])
{
	time_t seconds = wall_ns / NS_PER_SECOND;
	struct tm tm;

	text[0] = '\0';
	if (gmtime_r(&seconds, &tm))
		strftime(text, INSTANT_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}
