/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_journal.c - the journal of the orders with any bytes in its file. What is appended to can be
 * read to its end, and nothing that was a whole line is touched; what does not fit stays as it is.
 *
 * The first byte: 'r', the others are the file; else they are records, a line each, that are
 * appended, and it says how much of the last one is torn off.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/file.h"
#include "user/base/json_in.h"
#include "user/ledger/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int directory = -1;

static char name[48];

/* As if there had never been one. */
static void begin(void)
{
	unlink(path);
	unlinkat(directory, JOURNAL_BEGUN, 0);
}

static void clean_up(void)
{
	begin();
	rmdir(name);
}

static void set_up(void)
{
	if (directory >= 0)
		return;
	snprintf(name, sizeof(name), "/dev/shm/weir-fuzz-%d", getpid());
	if (mkdir(name, 0700) < 0 && errno != EEXIST)
		abort();
	snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, name);
	directory = open(name, O_RDONLY | O_DIRECTORY);
	atexit(clean_up);
}

static void write_file(const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || file_write_all(fd, data, size) < 0)
		abort();
	close(fd);
}

static void read_file(char **text, size_t *length)
{
	if (file_read(path, 1 << 24, text, length) < 0)
		abort();
}

static int append(const char *text)
{
	const struct journal_record record = {.text = text, .boot_id = "fuzz"};
	struct chain_fault fault;
	struct journal journal;
	int r = journal_open(&journal, directory, path);

	if (r == 0)
		r = journal_lock(&journal);
	if (r == 0)
		r = journal_append(&journal, &record, 1, &fault);
	journal_unlock(&journal);
	journal_close(&journal);
	return r;
}

/* 0 or -EBADMSG, and where it ends. */
static int read_all(struct chain_place *end)
{
	struct chain_fault fault;
	struct journal journal;
	int r = journal_open(&journal, directory, path);

	if (r == 0)
		r = journal_read(&journal, NULL, NULL, end, &fault);
	if (r && r != -EBADMSG)
		abort();
	journal_close(&journal);
	return r;
}

/* Appending needs the last line alone: where all held, it must go on. */
static void append_to_any(void)
{
	struct chain_place before, after;
	char *text, *now;
	size_t length, now_length;
	int held = read_all(&before), r;

	read_file(&text, &length);
	r = append("{\"kind\":\"fuzz\"}");
	if (r && r != -EBADMSG)
		abort();
	if (held == 0 && r)
		abort();
	read_file(&now, &now_length);
	if (memcmp(text, now, r ? length : before.end) != 0 || (r && now_length != length))
		abort();
	if (held == 0 && (read_all(&after) || after.number != before.number + 1))
		abort();
	free(text);
	free(now);
}

static void append_records(uint8_t torn, const char *data, size_t size)
{
	char *text = calloc(1, size + 1), *line, *next;
	struct chain_place end;
	uint64_t count = 0;

	memcpy(text, data, size);
	for (line = text; line && *line; line = next) {
		json_object *record;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		record = json_in(line, strlen(line), 6);
		json_object_put(record);
		if (!record)
			continue;
		if (append(line) || read_all(&end) || end.number != ++count)
			abort();
	}
	free(text);
	if (count && end.end - end.start > torn && truncate(path, end.end - torn) == 0)
		append_to_any();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up();
	if (size == 0)
		return 0;
	begin();
	if (data[0] == 'r') {
		write_file(data + 1, size - 1);
		append_to_any();
	} else {
		append_records(data[0], (const char *)data + 1, size - 1);
	}
	return 0;
}
