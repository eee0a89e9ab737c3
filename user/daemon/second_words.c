/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * second_words.c - a request as the command that makes it.
 */
#include "user/daemon/second_person.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "user/base/field.h"
#include "user/base/text.h"

/* Most are called as their command is. */
static const struct {
	const char *request, *command;
} named[] = {
	{"confirm-clock", "confirm clock"},
	{"end", "order end"},
	{"meters-reset", "meters reset"},
	{"partner-add", "partner add"},
};

static const char *command_of(const char *request)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		if (strcmp(named[i].request, request) == 0)
			return named[i].command;
	}
	return request;
}

/* For a shell: as it stands, or quoted. */
static void put_word(const char *word, FILE *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-_.:/@,+=";

	if (*word && strspn(word, plain) == strlen(word)) {
		fprintf(out, " %s", word);
		return;
	}
	fputs(" '", out);
	for (; *word; word++)
		fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
	fputc('\'', out);
}

static void put_argument(json_object *request, const char *key, FILE *out)
{
	const char *text = field_text(request, key);

	if (*text)
		put_word(text, out);
}

static void put_option(json_object *request, const char *key, const char *option, FILE *out)
{
	const char *text = field_text(request, key);

	if (!*text)
		return;
	fprintf(out, " %s", option);
	put_word(text, out);
}

/* Rounded it would be another request. */
static void put_bytes(json_object *request, FILE *out)
{
	uint64_t bytes = field_number(request, "more_bytes"), read;
	char text[BYTES_TEXT];

	if (!bytes)
		return;
	bytes_format(bytes, text, sizeof(text));
	if (size_parse(text, &read) < 0 || read != bytes)
		snprintf(text, sizeof(text), "%" PRIu64 "B", bytes);
	fprintf(out, " --by %s", text);
}

static void put_span(json_object *request, FILE *out)
{
	uint64_t seconds = field_number(request, "for_seconds"), read;
	char text[SPAN_TEXT];

	if (!seconds)
		return;
	span_format(seconds * NS_PER_SECOND, text, sizeof(text));
	if (span_parse(text, &read) < 0 || read != seconds * NS_PER_SECOND)
		snprintf(text, sizeof(text), "%" PRIu64 "s", seconds);
	fprintf(out, " --for %s", text);
}

static void put_all(const char *instance, json_object *request, FILE *out)
{
	const char *name = field_text(request, "request");
	bool is_end = strcmp(name, "end") == 0; /* whose order is no option */

	fprintf(out, "weir %s", command_of(name));
	for (size_t i = 0; i < field_count(request, "targets"); i++)
		put_word(json_object_get_string(field_item(request, "targets", i)), out);
	put_argument(request, "prefix", out);
	put_argument(request, "target", out);
	put_argument(request, "digest", out);
	put_argument(request, "path", out);
	if (is_end)
		put_argument(request, "order", out);
	else
		put_option(request, "order", "--order", out);
	put_option(request, "grant", "--grant", out);
	put_bytes(request, out);
	put_span(request, out);
	if (field_number(request, "confirm_seconds"))
		fprintf(out, " --confirm %" PRIu64, field_number(request, "confirm_seconds"));
	if (field_object(request, "reason"))
		fputs(" --reason TEXT", out);
	if (strcmp(instance, "host") != 0)
		fprintf(out, " --instance %s", instance);
}

char *second_person_command(const char *instance, json_object *request)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	put_all(instance, request, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	text_make_plain(text);
	return text;
}
