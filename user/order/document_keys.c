/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* document_keys.c - the keys of an order's lines: one line each in a table. */
#include "user/order/document_keys.h"

#include <errno.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/text.h"
#include "user/base/units.h"
#include "user/order/instant.h"

/* ---- values --------------------------------------------------------------------------------- */

/* Reads a value into the key's field: 0, -EBADMSG after fault(), -ENOMEM. */
typedef int (*value_reader)(struct document_reader *reader, const char *value, uint32_t column,
			    void *field);

static int read_one(struct document_reader *reader, const char *value, uint32_t column, void *field)
{
	(void)field;
	if (strcmp(value, "1") == 0)
		return 0;
	return order_fault_set(reader->fault, reader->line, column,
			       "version \"%.20s\" of the format is not known: 1", value);
}

static int read_kind(struct document_reader *reader, const char *value, uint32_t column,
		     void *field)
{
	const char *near;

	if (kind_parse(value, field) == 0)
		return 0;
	near = kind_near(value);
	return order_fault_set(reader->fault, reader->line, column,
			       "\"%.40s\" is no kind of order%s%s%s", value,
			       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int read_instant(struct document_reader *reader, const char *value, uint32_t column,
			void *field)
{
	if (instant_parse(value, field) == 0)
		return 0;
	return order_fault_set(reader->fault, reader->line, column,
			       "\"%.40s\" is no moment in UTC such as 2026-11-26T15:04:05Z", value);
}

static int read_span(struct document_reader *reader, const char *value, uint32_t column,
		     void *field)
{
	uint64_t ns;

	if (span_parse(value, &ns) < 0 || ns == 0)
		return order_fault_set(reader->fault, reader->line, column,
				       "\"%.40s\" is no span such as 90s, 30m, 4h or 2d", value);
	*(uint64_t *)field = ns;
	return 0;
}

static int read_size(struct document_reader *reader, const char *value, uint32_t column,
		     void *field)
{
	uint64_t bytes;

	if (size_parse(value, &bytes) < 0 || bytes == 0)
		return order_fault_set(reader->fault, reader->line, column,
				       "\"%.40s\" is no size such as 500MB or 2GiB", value);
	*(uint64_t *)field = bytes;
	return 0;
}

static int read_version(struct document_reader *reader, const char *value, uint32_t column,
			void *field)
{
	size_t digits = strspn(value, "0123456789");
	uint64_t version = 0;

	if (digits != strlen(value) || digits > 18 || *value == '0')
		return order_fault_set(reader->fault, reader->line, column,
				       "\"%.40s\" is no version: a number from 1 on", value);
	for (; *value; value++)
		version = version * 10 + (*value - '0');
	*(uint64_t *)field = version;
	return 0;
}

static int read_digits(struct document_reader *reader, const char *value, uint32_t column,
		       size_t count, const char *what, void *field)
{
	if (strlen(value) != count || strspn(value, "0123456789abcdef") != count)
		return order_fault_set(reader->fault, reader->line, column,
				       "%s is %zu hexadecimal digits in small letters", what,
				       count);
	*(const char **)field = value;
	return 0;
}

static int read_nonce(struct document_reader *reader, const char *value, uint32_t column,
		      void *field)
{
	return read_digits(reader, value, column, 32, "a nonce", field);
}

static int read_id(struct document_reader *reader, const char *value, uint32_t column, void *field)
{
	return read_digits(reader, value, column, ORDER_ID_TEXT - 1, "the id of a cut", field);
}

static int read_reason(struct document_reader *reader, const char *value, uint32_t column,
		       void *field)
{
	if (strlen(value) > DOCUMENT_REASON)
		return order_fault_set(reader->fault, reader->line, column,
				       "a reason has at most %d bytes", DOCUMENT_REASON);
	*(const char **)field = value;
	return 0;
}

/* As policies have them (policy/read.h). */
static bool is_name(const char *text, size_t length)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.";

	return length > 0 && length <= DOCUMENT_NAME && strspn(text, letters) >= length;
}

static int read_name(struct document_reader *reader, const char *value, uint32_t column,
		     void *field)
{
	if (!is_name(value, strlen(value)))
		return order_fault_set(reader->fault, reader->line, column,
				       "\"%.60s\" is no name: letters, digits, -, _ and .", value);
	*(const char **)field = value;
	return 0;
}

static int read_prefix(struct document_reader *reader, const char *value, uint32_t column,
		       void *field)
{
	uint8_t address[16], bits;

	if (prefix_parse(value, address, &bits) < 0)
		return order_fault_set(reader->fault, reader->line, column,
				       "\"%.60s\" is no address, and no prefix without bits to its "
				       "right",
				       value);
	*(const char **)field = value;
	return 0;
}

static int add(struct document_reader *reader, const char *value, uint32_t column, size_t most,
	       struct document_list *list)
{
	const char **room;

	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->item[i], value) == 0)
			return order_fault_set(reader->fault, reader->line, column,
					       "\"%.127s\" is named twice", value);
	}
	if (list->count == most)
		return order_fault_set(reader->fault, reader->line, 1, "at most %zu of them", most);
	room = ARRAY_ADD(list->item, list->count);
	if (!room)
		return -ENOMEM;
	*room = value;
	list->count++;
	return 0;
}

static int read_host(struct document_reader *reader, const char *value, uint32_t column,
		     void *field)
{
	const char *name = NULL;
	int r = read_name(reader, value, column, &name);

	return r < 0 ? r : add(reader, name, column, DOCUMENT_MAX_HOSTS, field);
}

/* The part before "@service:". */
static bool is_whole_target(const char *text, size_t length)
{
	static const char *const kinds[] = {"partner:", "service:", "class:", "grant:"};
	uint8_t address[16], bits;
	char prefix[PREFIX_TEXT];

	if ((length == 3 && memcmp(text, "all", 3) == 0) ||
	    (length == 9 && memcmp(text, "strangers", 9) == 0))
		return true;
	if (length > 5 && length - 5 < sizeof(prefix) && memcmp(text, "addr:", 5) == 0) {
		memcpy(prefix, text + 5, length - 5);
		prefix[length - 5] = '\0';
		return prefix_parse(prefix, address, &bits) == 0;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t word = strlen(kinds[i]);

		if (length > word && memcmp(text, kinds[i], word) == 0)
			return is_name(text + word, length - word);
	}
	return false;
}

bool document_is_target(const char *text)
{
	static const char in_service[] = "@service:";
	const char *at = strstr(text, in_service), *service;

	if (!at)
		return is_whole_target(text, strlen(text));
	service = at + strlen(in_service);
	return is_whole_target(text, at - text) && strncmp(text, "service:", 8) != 0 &&
	       is_name(service, strlen(service));
}

static int read_target(struct document_reader *reader, const char *value, uint32_t column,
		       void *field)
{
	if (strlen(value) > DOCUMENT_TARGET || !document_is_target(value))
		return order_fault_set(reader->fault, reader->line, column,
				       "\"%.60s\" is no target: partner:NAME, service:NAME, "
				       "class:NAME, grant:NAME, strangers, addr:PREFIX, all, or "
				       "one of them @service:NAME",
				       value);
	return add(reader, value, column, DOCUMENT_MAX_TARGETS, field);
}

/* ---- keys ----------------------------------------------------------------------------------- */

enum {
	NONE = 0,
	CUT = 1 << ORDER_CUT,
	REOPEN = 1 << ORDER_REOPEN,
	EXTEND = 1 << ORDER_EXTEND,
	PAUSE = 1 << ORDER_PAUSE,
	ADD = 1 << ORDER_PARTNER_ADD,
	BASE = 1 << ORDER_BASE,
	SIGNERS = 1 << ORDER_SIGNERS,
	BEAT = 1 << ORDER_BEAT,
	ALL = (1 << ORDER_KINDS) - 1,
	LIVE = CUT | REOPEN | EXTEND | PAUSE | ADD,
	ENDS = CUT | EXTEND | PAUSE | ADD,
	COUNTED = BASE | SIGNERS | BEAT,
};

#define FIELD(name) offsetof(struct document, name)

enum {
	KEY_VERSION,
	KEY_KIND,
	KEY_ISSUED,
	KEY_NONCE,
	KEY_REASON,
	KEY_TARGET,
	KEY_HOSTS,
	KEY_UNTIL,
	KEY_FOR,
	KEY_CUT,
	KEY_GRANT,
	KEY_BY,
	KEY_PREFIX,
	KEY_NUMBER
};

static const struct {
	const char *word;
	unsigned int has;   /* the kinds that it may stand in */
	unsigned int needs; /* the kinds that it must stand in */
	bool may_be_repeated;
	value_reader read;
	size_t field;
} keys[DOCUMENT_KEYS] = {
	[KEY_VERSION] = {"weir-order", ALL, ALL, false, read_one, 0},
	[KEY_KIND] = {"kind", ALL, ALL, false, read_kind, FIELD(kind)},
	[KEY_ISSUED] = {"issued", ALL, ALL, false, read_instant, FIELD(issued_ns)},
	[KEY_NONCE] = {"nonce", ALL, ALL, false, read_nonce, FIELD(nonce)},
	[KEY_REASON] = {"reason", ALL & ~BEAT, ALL & ~BEAT, false, read_reason, FIELD(reason)},
	[KEY_TARGET] = {"target", LIVE, CUT | EXTEND | ADD, true, read_target, FIELD(targets)},
	[KEY_HOSTS] = {"hosts", LIVE | BASE, NONE, true, read_host, FIELD(hosts)},
	[KEY_UNTIL] = {"until", ENDS, NONE, false, read_instant, FIELD(until_ns)},
	[KEY_FOR] = {"for", ENDS, NONE, false, read_span, FIELD(for_ns)},
	[KEY_CUT] = {"cut", REOPEN, REOPEN, false, read_id, FIELD(cut)},
	[KEY_GRANT] = {"grant", EXTEND, EXTEND, false, read_name, FIELD(grant)},
	[KEY_BY] = {"by", EXTEND, EXTEND, false, read_size, FIELD(by_bytes)},
	[KEY_PREFIX] = {"prefix", ADD, ADD, false, read_prefix, FIELD(prefix)},
	[KEY_NUMBER] = {"version", COUNTED, COUNTED, false, read_version, FIELD(version)},
};

static int find_key(const char *word)
{
	for (int i = 0; i < DOCUMENT_KEYS; i++) {
		if (strcmp(keys[i].word, word) == 0)
			return i;
	}
	return -1;
}

static int unknown_key(struct document_reader *reader, const char *word)
{
	char *words[DOCUMENT_KEYS];
	const char *near;

	for (size_t i = 0; i < DOCUMENT_KEYS; i++)
		words[i] = (char *)keys[i].word;
	near = near_name(word, words, DOCUMENT_KEYS);
	return order_fault_set(reader->fault, reader->line, 1, "unknown key \"%.40s\"%s%s%s", word,
			       near ? "; did you mean \"" : "", near ? near : "",
			       near ? "\"?" : "");
}

/* Whether the key may stand here: the first two have their places, and then the kind is known. */
static int check_key(struct document_reader *reader, int key)
{
	struct order_fault *fault = reader->fault;
	enum order_kind kind = reader->document->kind;

	for (int first = KEY_VERSION; first <= KEY_KIND; first++) {
		if (!reader->key_line[first] && key != first)
			return order_fault_set(fault, reader->line, 1,
					       "here \"%s:\" has to stand, not \"%s:\"",
					       keys[first].word, keys[key].word);
		if (!reader->key_line[first])
			return 0;
	}
	if (reader->key_line[key] && !keys[key].may_be_repeated)
		return order_fault_set(fault, reader->line, 1, "\"%s:\" stands on line %u already",
				       keys[key].word, reader->key_line[key]);
	if (!(keys[key].has & 1u << kind))
		return order_fault_set(fault, reader->line, 1, "an order of kind %s has no \"%s:\"",
				       kind_name(kind), keys[key].word);
	return 0;
}

int document_read_line(struct document_reader *reader, char *line)
{
	char *colon = strchr(line, ':'), *value;
	int key, r;

	if (!colon || colon[1] != ' ' || colon == line)
		return order_fault_set(reader->fault, reader->line, 1,
				       "a line is KEY, a colon, one blank, and a VALUE");
	value = colon + 2;
	if (*value == '\0' || *value == ' ' || value[strlen(value) - 1] == ' ')
		return order_fault_set(reader->fault, reader->line, value - line + 1,
				       "a value is not empty, and no blank stands before or behind "
				       "it");
	if (!text_is_plain(value))
		return order_fault_set(reader->fault, reader->line, value - line + 1,
				       "a value has no control character");
	*colon = '\0';
	key = find_key(line);
	if (key < 0)
		return unknown_key(reader, line);
	r = check_key(reader, key);
	if (r == 0)
		r = keys[key].read(reader, value, value - line + 1,
				   (char *)reader->document + keys[key].field);
	if (r == 0 && !reader->key_line[key])
		reader->key_line[key] = reader->line;
	return r;
}

/* ---- all lines ------------------------------------------------------------------------------ */

static int check_missing(struct document_reader *reader)
{
	enum order_kind kind = reader->document->kind;

	for (size_t i = 0; i < DOCUMENT_KEYS; i++) {
		if (keys[i].needs & 1u << kind && !reader->key_line[i])
			return order_fault_set(reader->fault, reader->line, 1,
					       "an order of kind %s needs \"%s:\"", kind_name(kind),
					       keys[i].word);
	}
	return 0;
}

/* The end is signed, so it is the same wherever and whenever the order arrives. */
static int check_end(struct document_reader *reader)
{
	struct document *document = reader->document;
	uint32_t until = reader->key_line[KEY_UNTIL], span = reader->key_line[KEY_FOR];
	enum order_kind kind = document->kind;

	if (until && span)
		return order_fault_set(reader->fault, until > span ? until : span, 1,
				       "\"until:\" or \"for:\", not both");
	if (!until && !span && 1u << kind & (EXTEND | PAUSE | ADD))
		return order_fault_set(reader->fault, reader->line, 1,
				       "an order of kind %s ends by itself: it needs \"until:\" or "
				       "\"for:\"",
				       kind_name(kind));
	if (span &&
	    __builtin_add_overflow(document->issued_ns, document->for_ns, &document->until_ns))
		return order_fault_set(reader->fault, span, 1, "no clock goes that far");
	if (until && document->until_ns <= document->issued_ns)
		return order_fault_set(reader->fault, until, 1, "it ends before it is issued");
	return 0;
}

static int check_targets(struct document_reader *reader)
{
	const struct document_list *targets = &reader->document->targets;
	uint32_t line = reader->key_line[KEY_TARGET];

	if (reader->document->kind == ORDER_EXTEND && targets->count > 1)
		return order_fault_set(reader->fault, line, 1,
				       "an order of kind extend has one target");
	if (reader->document->kind == ORDER_PARTNER_ADD &&
	    (targets->count > 1 || strncmp(targets->item[0], "partner:", 8) != 0 ||
	     strchr(targets->item[0], '@')))
		return order_fault_set(reader->fault, line, 1,
				       "an order of kind partner-add is about one partner:NAME");
	if (reader->document->kind != ORDER_PAUSE || targets->count == 0)
		return 0;
	if (targets->count > 1 || strncmp(targets->item[0], "service:", 8) != 0)
		return order_fault_set(reader->fault, line, 1,
				       "an order of kind pause is about one service, or without "
				       "\"target:\" about all");
	return 0;
}

int document_check_lines(struct document_reader *reader)
{
	int r = 0;

	if (!reader->key_line[KEY_VERSION] || !reader->key_line[KEY_KIND])
		return order_fault_set(reader->fault, reader->line, 1,
				       "an order begins with \"weir-order: 1\" and \"kind:\"");
	r = check_missing(reader);
	if (r == 0)
		r = check_end(reader);
	return r < 0 ? r : check_targets(reader);
}
