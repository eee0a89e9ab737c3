/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_write.c - `weir order write`: an order as text, to be signed. What is written is read again
 * as any order is, so that it cannot have a fault.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/hex.h"
#include "user/base/now.h"
#include "user/base/text.h"
#include "user/cmd/order.h"
#include "user/cmd/order_file.h"
#include "user/order/instant.h"
#include "user/policy/question.h"

/* Options whose text is the value of a line. */
static const struct {
	const char *option, *key;
} lines[] = {
	{"--reason", "reason"}, {"--for", "for"}, {"--hosts", "hosts"},	    {"--cut", "cut"},
	{"--grant", "grant"},	{"--by", "by"},	  {"--version", "version"}, {"--prefix", "prefix"},
};

static void put_nonce(FILE *out)
{
	char text[HEX_TEXT(16)];
	uint8_t nonce[16];

	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		return; /* the line is missing then, which is told */
	fprintf(out, "nonce: %s\n", hex_format(nonce, sizeof(nonce), text));
}

/* A value with an end of line in it would be several lines. */
static int put_line(const struct arguments *arguments, FILE *out, const char *key,
		    const char *value)
{
	if (!text_is_plain(value))
		return command_usage(arguments, "%s: a value has no control character", key);
	fprintf(out, "%s: %s\n", key, value);
	return CMD_DONE;
}

static int put_until(const struct arguments *arguments, FILE *out)
{
	const char *until = arguments_value(arguments, "--until");
	char text[INSTANT_TEXT];
	uint64_t ns;

	if (!until)
		return CMD_DONE;
	if (moment_parse(until, NULL, &ns) < 0)
		return command_usage(arguments, "\"%s\" is no moment such as 2027-03-01T20:00",
				     until);
	return put_line(arguments, out, "until", instant_format(ns, text));
}

static int put_lines(const struct arguments *arguments, FILE *out)
{
	char text[INSTANT_TEXT];
	const char *value;
	int code = CMD_DONE;

	fprintf(out, "weir-order: 1\nkind: %s\nissued: %s\n", arguments->item[1],
		instant_format(wall_now(), text));
	put_nonce(out);
	for (size_t i = 2; i < arguments->count && code == CMD_DONE; i++)
		code = put_line(arguments, out, "target", arguments->item[i]);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		for (size_t n = 0; code == CMD_DONE; n++) {
			value = arguments_nth(arguments, lines[i].option, n);
			if (!value)
				break;
			code = put_line(arguments, out, lines[i].key, value);
		}
	}
	return code == CMD_DONE ? put_until(arguments, out) : code;
}

/* It is told where it stands in its own file. */
static int check_content(const struct arguments *arguments, const char *path, enum order_kind kind,
			 const char *text, size_t length)
{
	struct policy_file policy = {0};
	struct signers signers = {0};
	int code = CMD_DONE;

	if (kind == ORDER_BASE)
		code = enclosed_policy_read(arguments, path, text, length, 1, &policy);
	if (kind == ORDER_SIGNERS)
		code = signers_file_read(arguments, path, &signers);
	policy_file_free(&policy);
	signers_free(&signers);
	return code;
}

static int put_content(const struct arguments *arguments, enum order_kind kind, FILE *out)
{
	const char *path = arguments_value(arguments, "--enclose");
	_cleanup_free_ char *text = NULL;
	size_t length;
	int code;

	if (kind != ORDER_BASE && kind != ORDER_SIGNERS)
		return path ? command_usage(arguments, "--enclose is of base and signers")
			    : CMD_DONE;
	if (!path)
		return command_usage(arguments, "--enclose is missing");
	code = content_file_read(arguments, path, DOCUMENT_MAX_BYTES, &text, &length);
	if (code == CMD_DONE)
		code = check_content(arguments, path, kind, text, length);
	if (code != CMD_DONE)
		return code;
	fputc('\n', out);
	fwrite(text, 1, length, out);
	return CMD_DONE;
}

/* An existing file may have signatures. */
static int write_new(const struct arguments *arguments, const char *path, const char *text,
		     size_t length, const char *id)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : file_write_all(fd, text, length);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0) {
		printf("%s: order %s, to be signed\n", path, id);
		return CMD_DONE;
	}
	if (fd >= 0)
		unlink(path);
	return command_refuse(arguments, "%s: %s", path, strerror(-r));
}

/* Reads what was written, and puts it where it is wanted. */
static int finish(const struct arguments *arguments, const char *text, size_t length)
{
	const char *path = arguments_value(arguments, "--out");
	struct order_fault fault;
	struct document document;
	int r = document_read(text, length, &document, &fault), code = CMD_DONE;

	if (r < 0)
		return command_refuse(arguments, "%s", r == -EBADMSG ? fault.text : strerror(-r));
	if (document.signatures)
		code = command_refuse(arguments, "what it encloses has a signature: %s",
				      SSHSIG_BEGIN);
	else if (path)
		code = write_new(arguments, path, text, length, document.id);
	else if (fwrite(text, 1, length, stdout) != length || fflush(stdout) != 0)
		code = command_refuse(arguments, "standard output: %s", strerror(errno));
	document_free(&document);
	return code;
}

int order_write(const struct arguments *arguments)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	enum order_kind kind;
	FILE *out;
	int code;

	if (arguments->count < 2)
		return command_usage(arguments, "write takes a KIND");
	if (kind_parse(arguments->item[1], &kind) < 0)
		return command_usage(arguments,
				     "%s is no kind: cut, reopen, extend, pause, partner-add, "
				     "base, signers or beat",
				     arguments->item[1]);
	if (kind != ORDER_BEAT && !arguments_has(arguments, "--reason"))
		return command_usage(arguments, "--reason is missing");
	out = open_memstream(&text, &length);
	if (!out)
		return command_refuse(arguments, "out of memory");
	code = put_lines(arguments, out);
	if (code == CMD_DONE)
		code = put_content(arguments, kind, out);
	if (fclose(out) != 0 && code == CMD_DONE)
		code = command_refuse(arguments, "out of memory");
	return code == CMD_DONE ? finish(arguments, text, length) : code;
}
