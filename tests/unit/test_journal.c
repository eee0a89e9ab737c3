/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_journal.c - the journal of the orders as a file: each line vouches for those before it; what
 * a crash tore, a full disk cut off, or somebody changed is seen; nobody's line gets lost.
 */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <json-c/json.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/ledger/journal.h"

/* ---- a disk that fills up ------------------------------------------------------------------- */

static size_t room = SIZE_MAX;
static bool sync_fails;

ssize_t write(int fd, const void *data, size_t length)
{
	if (length > room)
		length = room;
	if (length == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (room != SIZE_MAX)
		room -= length;
	return syscall(SYS_write, fd, data, length);
}

int fdatasync(int fd)
{
	(void)fd;
	errno = EIO;
	return sync_fails ? -1 : 0;
}

/* ---- a journal in a directory of its own ---------------------------------------------------- */

static char directory[64], path[96];
static int directory_fd;
static struct journal journal;
static struct chain_fault fault;

static void open_again(void)
{
	journal_close(&journal);
	assert_int_equal(journal_open(&journal, directory_fd, path), 0);
}

static int up(void **state)
{
	(void)state;
	room = SIZE_MAX;
	sync_fails = false;
	strcpy(directory, "/tmp/weir-test-journal-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, directory);
	directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
	return directory_fd < 0 ? -1 : journal_open(&journal, directory_fd, path);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int down(void **state)
{
	(void)state;
	journal_close(&journal);
	close(directory_fd);
	return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int append_to(struct journal *to, const char *what, size_t count)
{
	char text[3][64];
	struct journal_record record[3];
	int r = journal_lock(to);

	for (size_t i = 0; i < count; i++) {
		snprintf(text[i], sizeof(text[i]), "{\"kind\":\"%s\",\"item\":%zu}", what, i);
		record[i] = (struct journal_record){
			.text = text[i], .wall_ns = 5, .boot_ns = 7, .boot_id = "boot"};
	}
	if (r == 0)
		r = journal_append(to, record, count, &fault);
	journal_unlock(to);
	return r;
}

static void append(const char *what)
{
	assert_int_equal(append_to(&journal, what, 1), 0);
}

static size_t read_file(char **text)
{
	size_t length;

	assert_int_equal(file_read(path, 1 << 20, text, &length), 0);
	return length;
}

static void write_file(const char *text, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static char kinds[256];

static int note_kind(const struct chain_line *line, void *data)
{
	json_object *record = json_object_object_get(line->object, "record");

	(void)data;
	snprintf(kinds + strlen(kinds), sizeof(kinds) - strlen(kinds), "%s%s", kinds[0] ? " " : "",
		 json_object_get_string(json_object_object_get(record, "kind")));
	return 0;
}

/* The kinds of all records, "first second third". */
static const char *read_kinds(void)
{
	kinds[0] = '\0';
	assert_int_equal(journal_read(&journal, note_kind, NULL, NULL, &fault), 0);
	return kinds;
}

static int check(void)
{
	int r;

	open_again();
	assert_int_equal(journal_lock(&journal), 0);
	r = journal_check(&journal, NULL, NULL, &fault);
	journal_unlock(&journal);
	return r;
}

/* ---- the chain ------------------------------------------------------------------------------ */

static void lines_follow_each_other(void **state)
{
	struct chain_place end;
	struct stat st;

	(void)state;
	assert_string_equal(read_kinds(), "");
	append("first");
	append("second");
	assert_int_equal(append_to(&journal, "group", 3), 0);
	open_again(); /* another process knows the last line alone */
	append("third");
	assert_string_equal(read_kinds(), "first second group group group third");
	assert_int_equal(check(), 0);
	assert_int_equal(journal_read(&journal, NULL, NULL, &end, &fault), 0);
	assert_int_equal(end.number, 6);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(end.end, st.st_size);
}

/* By what anybody has: the hash of a line's bytes, with its end, stands in the next. */
static void a_line_has_the_hash_of_the_one_before(void **state)
{
	static const char zeros[] =
		"\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\"";
	_cleanup_free_ char *text = NULL;
	char digest[CHAIN_DIGEST], command[256], expected[CHAIN_DIGEST + 8];
	FILE *sum;

	(void)state;
	append("first");
	append("second");
	read_file(&text);
	assert_non_null(strstr(text, zeros));
	snprintf(command, sizeof(command), "head -n 1 %s | sha256sum", path);
	sum = popen(command, "r");
	assert_non_null(fgets(digest, sizeof(digest), sum));
	pclose(sum);
	snprintf(expected, sizeof(expected), "\"prev\":\"%s", digest);
	assert_non_null(strstr(strchr(text, '\n'), expected));
}

/* Of the last line only what makes it a line: no other vouches for what it says. */
static void a_flipped_byte_anywhere_is_seen(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t length, last;

	(void)state;
	append("first");
	append("second");
	append("third");
	length = read_file(&text);
	last = (char *)memrchr(text, '\n', length - 1) + 1 - text;
	for (size_t i = 0; i < last; i++) {
		for (int bit = 0; bit < 8; bit += 3) {
			text[i] ^= 1 << bit;
			write_file(text, length);
			if (check() != -EBADMSG)
				fail_msg("byte %zu, bit %d", i, bit);
			assert_in_range(fault.line, 1, 3);
			assert_in_range(fault.byte, 0, last);
			text[i] ^= 1 << bit;
		}
	}
	write_file(text, length);
	assert_int_equal(check(), 0);
}

/* The process that wrote it knows what it wrote. */
static void who_wrote_the_last_line_sees_it_changed(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t length;

	(void)state;
	append("first");
	append("second");
	length = read_file(&text);
	*strstr(text, "second") = 'S';
	write_file(text, length);
	assert_int_equal(append_to(&journal, "third", 1), -EBADMSG);
	assert_int_equal(fault.line, 2);
	write_file(text, strchr(text, '\n') + 1 - text); /* or taken away */
	assert_int_equal(append_to(&journal, "third", 1), -EBADMSG);
	unlink(path);
	assert_int_equal(append_to(&journal, "third", 1), -EBADMSG);
	assert_int_equal(access(path, F_OK), -1);
	journal_forget(&journal);
	append("anew");
	assert_string_equal(read_kinds(), "anew");
}

static void what_is_no_line_is_not_appended_to(void **state)
{
	static const char *const wrong[] = {"\n", "{}\n", "nonsense\n", "{\"n\":1,\"prev\":7}\n"};
	_cleanup_free_ char *text = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file(wrong[i], strlen(wrong[i]));
		open_again();
		assert_int_equal(append_to(&journal, "first", 1), -EBADMSG);
		assert_int_equal(check(), -EBADMSG);
		assert_int_equal(fault.line, 1);
	}
	read_file(&text);
	assert_string_equal(text, wrong[3]);
}

/* ---- torn ----------------------------------------------------------------------------------- */

static json_object *last_line(json_object **root)
{
	_cleanup_free_ char *text = NULL;
	size_t length = read_file(&text);

	text[length - 1] = '\0';
	*root = json_tokener_parse((char *)memrchr(text, '\n', length - 1) + 1);
	return json_object_object_get(*root, "torn");
}

static void a_line_torn_at_any_byte_is_told_by_the_next(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t length, first;

	(void)state;
	append("first");
	append("second");
	length = read_file(&text);
	first = strchr(text, '\n') + 1 - text;
	for (size_t cut = first + 1; cut < length; cut++) {
		char digest[CHAIN_DIGEST];
		json_object *root, *torn;

		write_file(text, cut);
		assert_int_equal(check(), 0);
		if (cut % 2) /* also for who has not looked at all of it */
			open_again();
		append("third");
		assert_string_equal(read_kinds(), "first third");
		torn = last_line(&root);
		assert_int_equal(json_object_get_int(json_object_object_get(torn, "bytes")),
				 cut - first);
		assert_int_equal(chain_digest(text + first, cut - first, digest), 0);
		assert_string_equal(json_object_get_string(json_object_object_get(torn, "sha256")),
				    digest);
		assert_memory_equal(json_object_get_string(json_object_object_get(torn, "text")),
				    text + first, cut - first);
		json_object_put(root);
		append("fourth");
		assert_null(last_line(&root)); /* once */
		json_object_put(root);
	}
}

static void the_first_line_may_be_torn(void **state)
{
	(void)state;
	write_file("{\"n\":1,", 7);
	append("first");
	assert_string_equal(read_kinds(), "first");
	append("second");
	assert_int_equal(check(), 0);
}

/* What a file system left behind may be anything, and long: it must not keep a line from being
 * written. */
static void what_is_torn_may_be_long(void **state)
{
	const size_t length = 1 << 20;
	char *torn = malloc(length), digest[CHAIN_DIGEST];
	json_object *root, *told;
	FILE *file;

	(void)state;
	append("first");
	memset(torn, 1, length); /* six bytes each in JSON */
	file = fopen(path, "a");
	assert_int_equal(fwrite(torn, 1, length, file), length);
	fclose(file);
	append("second");
	assert_string_equal(read_kinds(), "first second");
	told = last_line(&root);
	assert_int_equal(json_object_get_int(json_object_object_get(told, "bytes")), length);
	assert_int_equal(chain_digest(torn, length, digest), 0);
	assert_string_equal(json_object_get_string(json_object_object_get(told, "sha256")), digest);
	assert_int_equal(strlen(json_object_get_string(json_object_object_get(told, "text"))),
			 65536);
	json_object_put(root);
	free(torn);
	assert_int_equal(check(), 0);
}

/* ---- full ----------------------------------------------------------------------------------- */

static void a_full_disk_takes_all_lines_or_none(void **state)
{
	_cleanup_free_ char *before = NULL;
	size_t length;

	(void)state;
	append("first");
	length = read_file(&before);
	for (size_t bytes = 0; bytes < 300; bytes += 7) {
		_cleanup_free_ char *after = NULL;

		room = bytes;
		assert_int_equal(append_to(&journal, "group", 3), -ENOSPC);
		room = SIZE_MAX;
		assert_int_equal(read_file(&after), length);
		assert_string_equal(after, before);
	}
	append("second");
	assert_string_equal(read_kinds(), "first second");
}

static void what_is_not_surely_on_the_disk_is_taken_back(void **state)
{
	(void)state;
	append("first");
	sync_fails = true;
	assert_int_equal(append_to(&journal, "second", 1), -EIO);
	sync_fails = false;
	assert_string_equal(read_kinds(), "first");
	append("third");
	assert_string_equal(read_kinds(), "first third");
	assert_int_equal(check(), 0);
}

/* The torn bytes stay until they are told. */
static void a_full_disk_leaves_what_was_torn(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	FILE *file;

	(void)state;
	append("first");
	file = fopen(path, "a");
	fputs("{\"n\":2,\"pr", file);
	fclose(file);
	read_file(&before);
	room = 20;
	assert_int_equal(append_to(&journal, "second", 1), -ENOSPC);
	room = SIZE_MAX;
	read_file(&after);
	assert_string_equal(after, before);
	append("second");
	assert_string_equal(read_kinds(), "first second");
}

/* ---- many ----------------------------------------------------------------------------------- */

enum { WRITERS = 4, LINES = 100 };

static void write_many(void)
{
	struct journal own;
	int fd = open(directory, O_RDONLY | O_DIRECTORY);

	if (journal_open(&own, fd, path) < 0)
		_exit(1);
	for (int i = 0; i < LINES; i++)
		if (append_to(&own, "line", 1 + i % 3) < 0)
			_exit(1);
	_exit(0);
}

static void nobody_loses_the_line_of_another(void **state)
{
	struct chain_place end;
	int status;

	(void)state;
	fflush(stdout);
	for (int i = 0; i < WRITERS; i++) {
		if (fork() == 0)
			write_many();
	}
	for (int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(journal_read(&journal, NULL, NULL, &end, &fault), 0);
	assert_int_equal(end.number, WRITERS * (LINES / 3 * 6 + 1));
}

static void who_holds_the_lock_too_long_is_not_waited_for(void **state)
{
	int other = open(directory, O_RDONLY | O_DIRECTORY);
	struct journal held;

	(void)state;
	assert_int_equal(journal_open(&held, other, path), 0);
	assert_int_equal(journal_lock(&held), 0);
	assert_int_equal(journal_lock(&journal), -ETIMEDOUT);
	journal_unlock(&held);
	assert_int_equal(journal_lock(&journal), 0);
	journal_unlock(&journal);
	journal_close(&held);
	close(other);
}

static void without_a_directory_nothing_is_written(void **state)
{
	struct journal none;

	(void)state;
	assert_int_equal(journal_open(&none, -1, path), 0);
	assert_int_equal(journal_lock(&none), -ENOENT);
	journal_close(&none);
}

#define in_a_directory(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_a_directory(lines_follow_each_other),
		in_a_directory(a_line_has_the_hash_of_the_one_before),
		in_a_directory(a_flipped_byte_anywhere_is_seen),
		in_a_directory(who_wrote_the_last_line_sees_it_changed),
		in_a_directory(what_is_no_line_is_not_appended_to),
		in_a_directory(a_line_torn_at_any_byte_is_told_by_the_next),
		in_a_directory(the_first_line_may_be_torn),
		in_a_directory(what_is_torn_may_be_long),
		in_a_directory(a_full_disk_takes_all_lines_or_none),
		in_a_directory(what_is_not_surely_on_the_disk_is_taken_back),
		in_a_directory(a_full_disk_leaves_what_was_torn),
		in_a_directory(nobody_loses_the_line_of_another),
		in_a_directory(who_holds_the_lock_too_long_is_not_waited_for),
		in_a_directory(without_a_directory_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
