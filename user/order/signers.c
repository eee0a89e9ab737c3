/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* signers.c - who may sign what: OpenSSH's allowed_signers, read strictly. */
#include "user/order/signers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "user/base/array.h"
#include "user/base/text.h"
#include "user/order/base64.h"
#include "user/order/instant.h"
#include "user/order/words.h"

/* One line while it is read. */
struct entry {
	struct words words;
	struct signer signer;
	unsigned int options; /* 1 << index: given already */
};

/* ---- options -------------------------------------------------------------------------------- */

static int read_namespace(struct entry *entry, struct word name)
{
	struct order_fault *fault = entry->words.fault;
	enum order_namespace found;
	char text[64];
	const char *near;

	if (namespace_parse(name.text, name.length, &found) == 0) {
		if (entry->signer.namespaces & 1u << found)
			return order_fault_set(fault, entry->signer.line, name.column,
					       "%s is named twice", namespace_name(found));
		entry->signer.namespaces |= 1u << found;
		return 0;
	}
	snprintf(text, sizeof(text), "%.*s", (int)name.length, name.text);
	near = namespace_near(text);
	return order_fault_set(
		fault, entry->signer.line, name.column, "\"%s\" is no namespace of weir's%s%s%s",
		text, near ? "; did you mean " : ": ",
		near ? near : "cut, reopen, base, signers or beat, @weir", near ? "?" : "");
}

static int read_namespaces(struct entry *entry, struct word value)
{
	while (value.length) {
		const char *comma = memchr(value.text, ',', value.length);
		size_t length = comma ? (size_t)(comma - value.text) : value.length;
		size_t step = comma ? length + 1 : length;
		int r = read_namespace(entry, (struct word){value.text, length, value.column});

		if (r < 0)
			return r;
		if (comma && step == value.length)
			return order_fault_set(entry->words.fault, entry->signer.line,
					       value.column + length, "a namespace is missing");
		value.text += step;
		value.length -= step;
		value.column += step;
	}
	return 0;
}

static int read_time(struct entry *entry, struct word value, uint64_t *wall_ns)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*s", (int)value.length, value.text);
	if (value.length < sizeof(text) && instant_parse_ssh(text, wall_ns) == 0)
		return 0;
	return order_fault_set(entry->words.fault, entry->signer.line, value.column,
			       "\"%s\" is no time in UTC: YYYYMMDDZ, YYYYMMDDHHMMZ or "
			       "YYYYMMDDHHMMSSZ; without Z each host would read another",
			       text);
}

static int read_after(struct entry *entry, struct word value)
{
	return read_time(entry, value, &entry->signer.after_ns);
}

static int read_before(struct entry *entry, struct word value)
{
	return read_time(entry, value, &entry->signer.before_ns);
}

static const struct {
	const char *word;
	int (*read)(struct entry *entry, struct word value);
} options[] = {
	{"namespaces", read_namespaces},
	{"valid-after", read_after},
	{"valid-before", read_before},
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

static int unknown_option(struct entry *entry, struct word name)
{
	const char *names[OPTIONS], *near;
	char text[64];

	for (size_t i = 0; i < OPTIONS; i++)
		names[i] = options[i].word;
	snprintf(text, sizeof(text), "%.*s", (int)name.length, name.text);
	if (strcasecmp(text, "cert-authority") == 0)
		return order_fault_set(entry->words.fault, entry->signer.line, name.column,
				       "certificates are not supported: name each key");
	near = near_name(text, (char *const *)names, OPTIONS);
	return order_fault_set(entry->words.fault, entry->signer.line, name.column,
			       "unknown option \"%s\"%s%s%s", text,
			       near ? "; did you mean " : ": namespaces, valid-after, valid-before",
			       near ? near : "", near ? "?" : "");
}

static int read_option(struct entry *entry, struct word name, struct word value)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (strlen(options[i].word) != name.length ||
		    memcmp(options[i].word, name.text, name.length) != 0)
			continue;
		if (entry->options & 1u << i)
			return order_fault_set(entry->words.fault, entry->signer.line, name.column,
					       "%s is given twice", options[i].word);
		entry->options |= 1u << i;
		if (!value.text || value.length == 0)
			return order_fault_set(entry->words.fault, entry->signer.line, name.column,
					       "%s wants a value in quotes: %s=\"...\"",
					       options[i].word, options[i].word);
		return options[i].read(entry, value);
	}
	return unknown_option(entry, name);
}

/* NAME="VALUE",NAME="VALUE" */
static int read_options(struct entry *entry, struct word list)
{
	struct word name, value;
	int r = 0;

	while (r == 0 && list.length) {
		if (!word_option(&list, &name, &value))
			return order_fault_set(entry->words.fault, entry->signer.line, list.column,
					       "an option is NAME=\"VALUE\", and a comma stands "
					       "between two");
		r = read_option(entry, name, value);
	}
	return r;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* Letters, digits and what stands in names and addresses of mail: no pattern, nothing to quote. */
static bool is_plain_name(struct word word)
{
	for (size_t i = 0; i < word.length; i++) {
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+-",
			    word.text[i]))
			return false;
	}
	return word.length > 0;
}

static int read_principal(struct entry *entry, struct word word)
{
	uint32_t line = entry->signer.line;
	struct order_fault *fault = entry->words.fault;

	if (memchr(word.text, ',', word.length))
		return order_fault_set(fault, line, word.column,
				       "one key under several principals would count as several "
				       "people");
	if (memchr(word.text, '*', word.length) || memchr(word.text, '?', word.length) ||
	    memchr(word.text, '!', word.length))
		return order_fault_set(fault, line, word.column,
				       "a principal is the name of one person, no pattern");
	if (!is_plain_name(word))
		return order_fault_set(fault, line, word.column,
				       "a principal is letters, digits and . _ @ + -");
	if (word.length > PRINCIPAL_MAX)
		return order_fault_set(fault, line, word.column,
				       "a principal has at most %d characters", PRINCIPAL_MAX);
	entry->signer.principal = strndup(word.text, word.length);
	return entry->signer.principal ? 0 : -ENOMEM;
}

/* A key without options before it: its type stands where they should. */
static bool is_key_type(struct word word)
{
	return !memchr(word.text, '=', word.length) && memchr(word.text, '-', word.length) &&
	       (strncmp(word.text, "ssh-", 4) == 0 || strncmp(word.text, "ecdsa-", 6) == 0 ||
		strncmp(word.text, "sk-", 3) == 0);
}

static int check_options(struct entry *entry, struct word list)
{
	if (entry->signer.namespaces == 0)
		return order_fault_set(entry->words.fault, entry->signer.line, list.column,
				       "an entry without namespaces=\"...\" could sign anything");
	if (entry->signer.before_ns <= entry->signer.after_ns)
		return order_fault_set(entry->words.fault, entry->signer.line, list.column,
				       "valid-before is not after valid-after");
	return 0;
}

static int read_key(struct entry *entry, struct word type, struct word base64)
{
	uint8_t *blob = entry->signer.blob = malloc(BASE64_DATA(base64.length));
	const char *why;

	if (!blob)
		return -ENOMEM;
	if (ssh_key_read_words(type.text, type.length, base64.text, base64.length, blob,
			       &entry->signer.key, &why) < 0)
		return order_fault_set(entry->words.fault, entry->signer.line, type.column, "%s",
				       why);
	return 0;
}

static int read_entry(struct entry *entry)
{
	struct word principal = {0}, list = {0}, type = {0}, base64 = {0};
	int r;

	r = words_next(&entry->words, &principal, "a principal");
	if (r == 0)
		r = read_principal(entry, principal);
	if (r == 0)
		r = words_next(&entry->words, &list, "namespaces=\"...\"");
	if (r == 0 && !is_key_type(list))
		r = read_options(entry, list);
	if (r == 0)
		r = check_options(entry, list);
	if (r == 0)
		r = words_next(&entry->words, &type, "the type of the key");
	if (r == 0)
		r = words_next(&entry->words, &base64, "the key");
	return r < 0 ? r : read_key(entry, type, base64);
}

/* Two spellings of one name would be two principals. */
static int check_others(const struct signers *signers, const struct entry *entry)
{
	const struct signer *new = &entry->signer;

	for (size_t i = 0; i < signers->count; i++) {
		const struct signer *old = &signers->item[i];

		if (ssh_key_is_same(&old->key, &new->key))
			return order_fault_set(entry->words.fault, new->line, 1,
					       "this key stands on line %u already, as %s's",
					       old->line, old->principal);
		if (strcasecmp(old->principal, new->principal) == 0 &&
		    strcmp(old->principal, new->principal) != 0)
			return order_fault_set(entry->words.fault, new->line, 1,
					       "%s is written %s on line %u: they would count as "
					       "two people",
					       new->principal, old->principal, old->line);
	}
	return 0;
}

static void free_signer(struct signer *signer)
{
	free(signer->principal);
	free(signer->blob);
}

static int add_entry(struct signers *signers, struct line line, struct order_fault *fault)
{
	struct entry entry = {
		.words = {.at = line.text, .line = line, .fault = fault},
		.signer = {.before_ns = UINT64_MAX, .line = line.number},
	};
	struct signer *room;
	int r = read_entry(&entry);

	if (r == 0)
		r = check_others(signers, &entry);
	if (r == 0 && signers->count == SIGNERS_MAX)
		r = order_fault_set(fault, line.number, 1, "a list has at most %d keys",
				    SIGNERS_MAX);
	room = r == 0 ? ARRAY_ADD(signers->item, signers->count) : NULL;
	if (r == 0 && !room)
		r = -ENOMEM;
	if (r < 0) {
		free_signer(&entry.signer);
		return r;
	}
	*room = entry.signer;
	signers->count++;
	return 0;
}

int signers_read(const char *text, size_t length, uint32_t first, struct signers *signers,
		 struct order_fault *fault)
{
	struct lines lines = {text, text + length, first};
	struct signers found = {0};
	struct line line;
	int r = lines_check(text, length, first, fault);

	if (r == 0 && length > SIGNERS_MAX_BYTES)
		r = order_fault_set(fault, first, 1, "a list of signers has at most %d KiB",
				    SIGNERS_MAX_BYTES >> 10);
	while (r == 0 && lines_next(&lines, &line)) {
		if (!words_are_comment(&line))
			r = add_entry(&found, line, fault);
	}
	if (r == 0 && found.count == 0)
		r = order_fault_set(fault, first, 1, "the list names nobody");
	if (r < 0) {
		signers_free(&found);
		return r;
	}
	*signers = found;
	return 0;
}

void signers_free(struct signers *signers)
{
	for (size_t i = 0; i < signers->count; i++)
		free_signer(&signers->item[i]);
	free(signers->item);
	*signers = (struct signers){0};
}

const struct signer *signers_find(const struct signers *signers, const struct ssh_key *key)
{
	for (size_t i = 0; i < signers->count; i++) {
		if (ssh_key_is_same(&signers->item[i].key, key))
			return &signers->item[i];
	}
	return NULL;
}
