/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* document.c - an order as text: its lines, what it encloses, its signatures. */
#include "user/order/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/hex.h"
#include "user/order/document_keys.h"

/* ---- body ----------------------------------------------------------------------------------- */

/* The body ends before the first line that begins a signature. */
static size_t find_body_end(const char *text, size_t length)
{
	struct lines lines = {text, text + length, 1};
	struct line line;

	while (lines_peek(&lines, &line)) {
		if (line_is(&line, SSHSIG_BEGIN))
			return lines.at - text;
		lines_next(&lines, &line);
	}
	return length;
}

static bool encloses(enum order_kind kind)
{
	return kind == ORDER_BASE || kind == ORDER_SIGNERS;
}

/* The lines up to the empty one, or to the end of the body. They are read in a copy, where a NUL
 * ends each. */
static int read_lines(struct document_reader *reader, struct lines *lines)
{
	struct document *document = reader->document;
	size_t length = lines->end - lines->at;
	char *copy;
	struct line line;
	int r = 0;

	if (length > DOCUMENT_MAX_LINES * (DOCUMENT_MAX_LINE + 1))
		length = DOCUMENT_MAX_LINES * (DOCUMENT_MAX_LINE + 1);
	document->text = copy = malloc(length + 1);
	if (!copy)
		return -ENOMEM;
	while (r == 0 && lines_next(lines, &line) && line.length) {
		reader->line = line.number;
		if (line.length > DOCUMENT_MAX_LINE)
			return order_fault_set(reader->fault, line.number, DOCUMENT_MAX_LINE + 1,
					       "a line has at most %d bytes", DOCUMENT_MAX_LINE);
		if (line.number > DOCUMENT_MAX_LINES)
			return order_fault_set(reader->fault, line.number, 1,
					       "an order has at most %d lines", DOCUMENT_MAX_LINES);
		memcpy(copy, line.text, line.length);
		copy[line.length] = '\0';
		r = document_read_line(reader, copy);
		copy += line.length + 1;
	}
	if (r < 0)
		return r;
	reader->line = lines->number > 1 ? lines->number - 1 : 1;
	return document_check_lines(reader);
}

/* What stands behind the empty line, if there is one. */
static int read_content(struct document_reader *reader, const struct lines *lines, bool is_behind)
{
	struct document *document = reader->document;
	const char *kind = kind_name(document->kind);

	if (is_behind && !encloses(document->kind))
		return order_fault_set(reader->fault, reader->line, 1,
				       "nothing stands behind the lines of an order of kind %s",
				       kind);
	if (!encloses(document->kind))
		return 0;
	if (!is_behind || lines->at == lines->end)
		return order_fault_set(
			reader->fault, lines->number, 1,
			"an order of kind %s goes on with an empty line and then %s", kind,
			document->kind == ORDER_BASE ? "the policy" : "the allowed_signers");
	document->content = lines->at;
	document->content_length = lines->end - lines->at;
	document->content_line = lines->number;
	if (document->kind == ORDER_BASE)
		return 0;
	return signers_read(document->content, document->content_length, document->content_line,
			    &document->signers, reader->fault);
}

static int read_body(struct document *document, const char *text, struct order_fault *fault)
{
	struct document_reader reader = {.document = document, .fault = fault, .line = 1};
	struct lines lines = {text, text + document->body_length, 1};
	bool is_behind;
	int r = read_lines(&reader, &lines);

	if (r < 0)
		return r;
	is_behind = lines.at > text + 1 && lines.at[-1] == '\n' && lines.at[-2] == '\n';
	return read_content(&reader, &lines, is_behind);
}

/* ---- signatures ----------------------------------------------------------------------------- */

static int read_signature(struct document *document, struct lines *lines, struct order_fault *fault)
{
	struct document_signature *signature = &document->signature[document->signatures];
	uint8_t blob[SSHSIG_MAX_BYTES];
	uint32_t line = lines->number;
	size_t length;
	int r;

	if (document->signatures == DOCUMENT_MAX_SIGNATURES)
		return order_fault_set(fault, line, 1, "an order has at most %d signatures",
				       DOCUMENT_MAX_SIGNATURES);
	r = sshsig_unarmor(lines, blob, &length, fault);
	if (r < 0)
		return r;
	signature->blob = malloc(length);
	if (!signature->blob)
		return -ENOMEM;
	memcpy(signature->blob, blob, length);
	signature->length = length;
	signature->line = line;
	document->signatures++;
	return 0;
}

static uint32_t count_lines(const char *text, size_t length)
{
	uint32_t count = 0;

	for (const char *end = text + length; text < end; count++)
		text = (const char *)memchr(text, '\n', end - text) + 1;
	return count;
}

/* ---- all ------------------------------------------------------------------------------------ */

static int read_all(const char *text, size_t length, struct document *document,
		    struct order_fault *fault)
{
	struct lines lines = {.end = text + length};
	int r;

	if (length > DOCUMENT_MAX_BYTES)
		return order_fault_set(fault, 1, 1, "an order has at most %d MiB",
				       DOCUMENT_MAX_BYTES >> 20);
	r = lines_check(text, length, 1, fault);
	if (r < 0)
		return r;
	document->body_length = find_body_end(text, length);
	r = read_body(document, text, fault);
	lines.at = text + document->body_length;
	lines.number = 1 + count_lines(text, document->body_length);
	while (r == 0 && lines.at < lines.end)
		r = read_signature(document, &lines, fault);
	return r < 0 ? r : sshsig_digest(text, document->body_length, &document->digests);
}

int document_read(const char *text, size_t length, struct document *document,
		  struct order_fault *fault)
{
	struct document found = {0};
	int r = read_all(text, length, &found, fault);

	if (r < 0) {
		document_free(&found);
		return r;
	}
	hex_format(found.digests.sha256, sizeof(found.digests.sha256), found.id);
	*document = found;
	return 0;
}

void document_free(struct document *document)
{
	for (size_t i = 0; i < document->signatures; i++)
		free(document->signature[i].blob);
	signers_free(&document->signers);
	free(document->targets.item);
	free(document->hosts.item);
	free(document->text);
	*document = (struct document){0};
}
