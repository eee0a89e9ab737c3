/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * expect.c - reads the questions and answers of a .expect file, word by word.
 */
#include "user/policy/expect.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/policy/question.h"
#include "user/policy/target.h"
#include "user/policy/words.h"

enum { MOST_WORDS = 64 };

/* One line, cut into words in place. */
struct line {
	unsigned number;
	char *text;
	char *word[MOST_WORDS + 1]; /* NULL behind the last */
	size_t count;
	size_t at; /* the next word to read */
};

struct reader {
	const struct image *image;
	struct line line;
	uint64_t now_ns;
	char **problem;
};

static __attribute__((format(printf, 2, 3))) int fail(struct reader *reader, const char *format,
						      ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (!text || asprintf(reader->problem, "%u: %s", reader->line.number, text) < 0)
		*reader->problem = NULL;
	return -EINVAL;
}

/* ---- lines and words
 * ---------------------------------------------------------------------------*/

/* Takes the next line out of *text and cuts it into words. False at the end. */
static bool next_line(struct reader *reader, char **text)
{
	struct line *line = &reader->line;
	char *start = *text, *save = NULL;

	if (!start || !*start)
		return false;
	*text = strchr(start, '\n');
	if (*text)
		*(*text)++ = 0;
	start[strcspn(start, "#")] = 0;
	*line = (struct line){.number = line->number + 1, .text = start};
	for (char *word = strtok_r(start, " \t\r", &save); word && line->count < MOST_WORDS;
	     word = strtok_r(NULL, " \t\r", &save))
		line->word[line->count++] = word;
	return true;
}

static const char *peek(const struct reader *reader)
{
	return reader->line.word[reader->line.at];
}

static const char *take(struct reader *reader)
{
	const char *word = peek(reader);

	if (word)
		reader->line.at++;
	return word ? word : "";
}

/* Takes the next word if it is this one. */
static bool take_if(struct reader *reader, const char *word)
{
	const char *next = peek(reader);

	if (!next || strcmp(next, word))
		return false;
	reader->line.at++;
	return true;
}

/* ---- the question
 * ------------------------------------------------------------------------------*/

static int read_direction(struct reader *reader, struct weir_question *question)
{
	const char *word = take(reader);
	uint8_t direction;

	if (direction_parse(word, &direction))
		return fail(reader, "\"%s\" is none of serves, calls, calls-back", word);
	question->is_held = direction == WEIR_CALLS_BACK;
	question->direction = direction == WEIR_SERVES ? WEIR_SERVES : WEIR_CALLS;
	return 0;
}

static int read_moment(struct reader *reader, uint64_t *wall_ns)
{
	const char *word = take(reader);

	if (!moment_is_absolute(word) || moment_parse(word, "UTC", wall_ns))
		return fail(reader, "\"%s\" is no moment such as 2027-03-01T20:00Z", word);
	return 0;
}

static int read_question(struct reader *reader, struct weir_question *question)
{
	const char *service = take(reader), *endpoint, *peer;
	uint64_t now_ns = 0;
	int r;

	*question = (struct weir_question){.cut_slot = WEIR_ANY, .now_ns = reader->now_ns};
	question->service = image_service(reader->image, service);
	if (question->service == WEIR_ANY)
		return fail(reader, "the policy has no service \"%s\"", service);
	r = read_direction(reader, question);
	if (r)
		return r;
	endpoint = take(reader);
	peer = take(reader);
	if (address_parse(peer, question->peer))
		return fail(reader, "\"%s\" is no address", peer);
	if (question_endpoint(endpoint, question))
		return fail(reader, "\"%s\" is none of tcp/PORT, icmp, proto/NUMBER", endpoint);
	if (!take_if(reader, "at"))
		return 0;
	r = read_moment(reader, &now_ns);
	question->now_ns = now_ns;
	return r;
}

/* ---- cuts
 * --------------------------------------------------------------------------------------*/

struct entries {
	struct weir_cut_entry *item;
	size_t count;
};

static int add_entry(struct entries *entries, const struct weir_cut_entry *entry)
{
	struct weir_cut_entry *room = ARRAY_ADD(entries->item, entries->count);

	if (!room)
		return -ENOMEM;
	*room = *entry;
	entries->count++;
	return 0;
}

static int read_targets(struct reader *reader, struct entries *entries)
{
	_cleanup_free_ char *words = strdup(take(reader));
	char *save = NULL;

	if (!words)
		return -ENOMEM;
	if (!*words)
		return fail(reader, "a target is missing");
	for (char *word = strtok_r(words, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		_cleanup_free_ char *problem = NULL;
		struct weir_cut_entry entry;
		int r = target_resolve(reader->image, word, &entry, &problem);

		if (r)
			return fail(reader, "%s", problem ? problem : "out of memory");
		r = add_entry(entries, &entry);
		if (r)
			return r;
	}
	return 0;
}

/* Behind the word `cut`: each cut, followed by all exceptions of its `but`. */
static int read_cut(struct reader *reader, uint64_t *order, struct entries *to)
{
	struct entries cuts = {0}, exceptions = {0};
	int r;

	r = read_targets(reader, &cuts);
	if (!r && take_if(reader, "but"))
		r = read_targets(reader, &exceptions);
	for (size_t i = 0; i < cuts.count && !r; i++) {
		cuts.item[i].order = ++*order;
		r = add_entry(to, &cuts.item[i]);
		for (size_t j = 0; j < exceptions.count && !r; j++) {
			exceptions.item[j].order = ++*order;
			exceptions.item[j].is_exception = 1;
			r = add_entry(to, &exceptions.item[j]);
		}
	}
	free(cuts.item);
	free(exceptions.item);
	return r;
}

static int read_cuts(struct reader *reader, struct expect *expect)
{
	struct entries entries = {0};
	uint64_t order = 0;
	int r = 0;

	while (!r && take_if(reader, "cut"))
		r = read_cut(reader, &order, &entries);
	expect->cuts = entries.item;
	expect->cut_count = entries.count;
	return r;
}

/* ---- the answer
 * --------------------------------------------------------------------------------*/

static int read_grant(struct reader *reader, uint32_t *grant)
{
	const char *word = take(reader);

	*grant = image_grant(reader->image, word);
	return *grant == WEIR_ANY ? fail(reader, "the policy has no grant \"%s\"", word) : 0;
}

static int read_answer(struct reader *reader, struct expect *expect)
{
	const char *word;
	int r = 0;

	if (!take_if(reader, "->"))
		return fail(reader, "\"->\" is missing");
	word = take(reader);
	if (verdict_parse(word, &expect->verdict))
		return fail(reader, "\"%s\" is neither pass nor refuse", word);
	word = take(reader);
	if (reason_parse(word, &expect->reason))
		return fail(reader, "\"%s\" is no reason", word);
	expect->grant = WEIR_ANY;
	word = peek(reader);
	if (word && strcmp(word, "shadow") && strcmp(word, "observed"))
		r = read_grant(reader, &expect->grant);
	if (!r && take_if(reader, "shadow"))
		r = read_grant(reader, &expect->shadow);
	if (r)
		return r;
	expect->is_observed = take_if(reader, "observed");
	word = peek(reader);
	return word ? fail(reader, "\"%s\" is one word too many", word) : 0;
}

/* ---- the file
 * ----------------------------------------------------------------------------------*/

/* Finds the `now` line, which comes before all others. */
static int read_now(struct reader *reader, char **text)
{
	while (next_line(reader, text)) {
		if (!reader->line.count)
			continue;
		if (!take_if(reader, "now"))
			break;
		return read_moment(reader, &reader->now_ns);
	}
	return fail(reader, "the first line must be: now MOMENT");
}

static char *join(const struct line *line)
{
	size_t length = 1;
	char *text, *end;

	for (size_t i = 0; i < line->count; i++)
		length += strlen(line->word[i]) + 1;
	text = malloc(length);
	if (!text)
		return NULL;
	end = text;
	for (size_t i = 0; i < line->count; i++)
		end += sprintf(end, "%s%s", i ? " " : "", line->word[i]);
	*end = 0;
	return text;
}

static int read_expect(struct reader *reader, struct expects *expects)
{
	struct expect *expect = ARRAY_ADD(expects->item, expects->count);
	int r;

	if (!expect)
		return -ENOMEM;
	expects->count++;
	expect->line = reader->line.number;
	expect->text = join(&reader->line);
	if (!expect->text)
		return -ENOMEM;
	r = read_question(reader, &expect->question);
	if (!r)
		r = read_cuts(reader, expect);
	return r ? r : read_answer(reader, expect);
}

int expect_now(const char *text, uint64_t *wall_ns, char **problem)
{
	_cleanup_free_ char *copy = strdup(text);
	struct reader reader = {.problem = problem};
	char *rest = copy;
	int r;

	*problem = NULL;
	if (!copy)
		return -ENOMEM;
	r = read_now(&reader, &rest);
	if (!r)
		*wall_ns = reader.now_ns;
	return r;
}

int expects_read(const struct image *image, const char *text, struct expects *expects,
		 char **problem)
{
	_cleanup_free_ char *copy = strdup(text);
	struct reader reader = {.image = image, .problem = problem};
	struct expects read = {0};
	char *rest = copy;
	int r;

	*problem = NULL;
	if (!copy)
		return -ENOMEM;
	r = read_now(&reader, &rest);
	while (!r && next_line(&reader, &rest)) {
		if (reader.line.count)
			r = read_expect(&reader, &read);
	}
	if (r) {
		expects_free(&read);
		return r;
	}
	*expects = read;
	return 0;
}

void expects_free(struct expects *expects)
{
	for (size_t i = 0; i < expects->count; i++) {
		free(expects->item[i].text);
		free(expects->item[i].cuts);
	}
	free(expects->item);
	*expects = (struct expects){0};
}

/* ---- comparing
 * ---------------------------------------------------------------------------------*/

static const char *grant_name(const struct image *image, uint32_t grant)
{
	if (grant == WEIR_NO_GRANT)
		return "no grant";
	return grant < image->head.grants ? image->grant_names[grant] : "?";
}

bool expect_holds(const struct image *image, const struct expect *expect,
		  const struct weir_answer *answer, char **problem)
{
	bool is_same = answer->verdict == expect->verdict && answer->reason == expect->reason &&
		       answer->shadow == expect->shadow && !!answer->observe == expect->is_observed;

	*problem = NULL;
	if (is_same && (expect->grant == WEIR_ANY || expect->grant == answer->grant))
		return true;
	if (asprintf(problem, "%u: %s: the answer is %s %s, grant \"%s\", shadow \"%s\"%s",
		     expect->line, expect->text, verdict_name(answer->verdict),
		     reason_name(answer->reason), grant_name(image, answer->grant),
		     grant_name(image, answer->shadow), answer->observe ? ", observed" : "") < 0)
		*problem = NULL;
	return false;
}
