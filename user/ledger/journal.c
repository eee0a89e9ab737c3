/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journal.c - appends to the journal of the orders.
 */
#include "user/ledger/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/flock.h"
#include "user/base/hex.h"
#include "user/base/json_out.h"

/* TORN_TEXT: a line with it stays far below CHAIN_LONGEST, whatever the bytes become in JSON. */
enum { LONGEST_FILE = 1 << 30, TORN_TEXT = 65536, LOCK_MOST_MS = 1000 };

int journal_open(struct journal *journal, int directory, const char *path)
{
	*journal = (struct journal){
		.directory = directory, .path = strdup(path), .known = chain_start()};
	return journal->path ? 0 : -ENOMEM;
}

void journal_close(struct journal *journal)
{
	free(journal->path);
	*journal = (struct journal){.directory = -1};
}

void journal_forget(struct journal *journal)
{
	journal->known = chain_start();
	journal->is_anew = true;
}

/* ---- the lock ------------------------------------------------------------------------------- */

/* On the directory: the file itself may be replaced. */
int journal_lock(struct journal *journal)
{
	return journal->directory < 0 ? -ENOENT : flock_take(journal->directory, LOCK_MOST_MS);
}

void journal_unlock(struct journal *journal)
{
	flock(journal->directory, LOCK_UN);
}

/* ---- where it ends -------------------------------------------------------------------------- */

static int open_file(const struct journal *journal, int flags, int *fd, uint64_t *size)
{
	struct stat st;

	*fd = open(journal->path, flags | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (*fd < 0)
		return -errno;
	if (fstat(*fd, &st) < 0)
		return -errno;
	*size = st.st_size;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

static bool was_begun(const struct journal *journal)
{
	return faccessat(journal->directory, JOURNAL_BEGUN, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* After the first line and not before it: who ends between the two leaves no false alarm. */
static void note_begun(const struct journal *journal)
{
	_cleanup_close_ int fd = -1;

	if (was_begun(journal))
		return;
	fd = openat(journal->directory, JOURNAL_BEGUN, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd >= 0)
		fsync(journal->directory); /* without it a loss of the journal is not told */
}

/* `error` and `size` are what opening it gave. */
static int check_gone(const struct journal *journal, int error, uint64_t size,
		      struct chain_fault *fault)
{
	bool is_gone = error == -ENOENT || (error == 0 && size == 0);

	if (!is_gone || journal->is_anew || (!journal->known.number && !was_begun(journal)))
		return error;
	*fault = (struct chain_fault){journal->known.number, 0,
				      error ? "the file is gone" : "the file is empty"};
	return -EBADMSG;
}

/* Behind what is known already, or else from the last line alone. */
static int find_end(const struct journal *journal, int fd, uint64_t size, struct chain_place *place,
		    struct chain_fault *fault)
{
	int r;

	*place = journal->known;
	r = place->number ? chain_recheck(fd, place, fault) : chain_find(fd, size, place, fault);
	return r < 0 ? r : chain_follow(fd, place, NULL, NULL, fault);
}

int journal_check(struct journal *journal, chain_each each, void *data, struct chain_fault *fault)
{
	struct chain_place place = chain_start();
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r = open_file(journal, O_RDONLY, &fd, &size);

	r = check_gone(journal, r, size, fault);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && size > JOURNAL_CHECKED)
		r = chain_find(fd, size - JOURNAL_CHECKED, &place, fault);
	if (r == 0)
		r = chain_follow(fd, &place, each, data, fault);
	if (r == 0)
		journal->known = place;
	return r;
}

int journal_read(const struct journal *journal, chain_each each, void *data,
		 struct chain_place *end, struct chain_fault *fault)
{
	struct chain_place place = chain_start();
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r = open_file(journal, O_RDONLY, &fd, &size);

	r = check_gone(journal, r, size, fault);
	r = r == -ENOENT ? 0 : r < 0 ? r : chain_follow(fd, &place, each, data, fault);
	if (end)
		*end = place;
	return r;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static int put_torn(struct json_out *json, const char *torn, size_t length)
{
	_cleanup_free_ char *text = strndup(torn, length < TORN_TEXT ? length : TORN_TEXT);
	char digest[CHAIN_DIGEST];
	int r = text ? chain_digest(torn, length, digest) : -ENOMEM;

	if (r < 0)
		return r;
	json_open(json, "torn", '{');
	json_put_uint(json, "bytes", length);
	json_put_text(json, "sha256", digest);
	json_put_text(json, "text", text); /* up to its first NUL, if there is one */
	json_close(json, '}');
	return 0;
}

/* One line behind `place`, which it becomes. */
static int make_line(const struct journal_record *record, const char *torn, size_t torn_bytes,
		     struct chain_place *place, FILE *out)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	struct json_out json = {.out = open_memstream(&text, &length)};
	int r = 0;

	if (!json.out)
		return -ENOMEM;
	json_open(&json, NULL, '{');
	json_put_uint(&json, "n", place->number + 1);
	json_put_text(&json, "prev", place->digest);
	json_put_uint(&json, "wall_ns", record->wall_ns);
	json_put_uint(&json, "boot_ns", record->boot_ns);
	json_put_text(&json, "boot_id", record->boot_id);
	if (record->late_ns)
		json_put_uint(&json, "late_ns", record->late_ns);
	if (torn_bytes)
		r = put_torn(&json, torn, torn_bytes);
	fprintf(json.out, ",\"record\":%s}\n", record->text);
	if (fclose(json.out) != 0)
		return -ENOMEM;
	if (length > CHAIN_LONGEST)
		return -E2BIG;
	if (r == 0)
		r = chain_digest(text, length, place->digest);
	if (r == 0 && fwrite(text, 1, length, out) != length)
		r = -ENOMEM;
	place->number++;
	place->start = place->end;
	place->end += length;
	return r;
}

/* The lines of all records; the first tells of what was torn. */
static int make_lines(const struct journal_record *record, size_t count, const char *torn,
		      size_t torn_bytes, struct chain_place *place, char **text, size_t *length)
{
	FILE *out = open_memstream(text, length);
	int r = 0;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++)
		r = make_line(&record[i], torn, i ? 0 : torn_bytes, place, out);
	return fclose(out) != 0 ? -ENOMEM : r;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* A line that is not surely on the disk must not be found there: its order is not acknowledged. */
static int write_end(const struct journal *journal, int fd, uint64_t end, const char *text,
		     size_t length)
{
	int r = file_write_all(fd, text, length);

	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && end == 0 && fsync(journal->directory) < 0) /* it may be new */
		r = -errno;
	if (r < 0 && ftruncate(fd, end) < 0)
		return r; /* what is left of it is found, and told, as torn */
	return r;
}

/* In one step, or what was torn could vanish untold. After a failure the new file may be there all
 * the same (file.h). */
static int append_behind_torn(const struct journal *journal, const struct chain_place *place,
			      const struct journal_record *record, size_t count,
			      struct chain_place *last)
{
	_cleanup_free_ char *file = NULL, *text = NULL, *whole = NULL;
	size_t size, length = 0;
	int r = file_read(journal->path, LONGEST_FILE, &file, &size);

	if (r < 0)
		return r;
	*last = *place;
	r = make_lines(record, count, file + place->end, size - place->end, last, &text, &length);
	if (r < 0)
		return r;
	whole = malloc(place->end + length);
	if (!whole)
		return -ENOMEM;
	memcpy(whole, file, place->end);
	memcpy(whole + place->end, text, length);
	r = file_write_atomic(journal->path, whole, place->end + length, 0640);
	if (r < 0)
		file_write_atomic(journal->path, file, size, 0640);
	return r;
}

static int append_at_end(const struct journal *journal, int fd, const struct chain_place *place,
			 const struct journal_record *record, size_t count,
			 struct chain_place *last)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	int r;

	*last = *place;
	r = make_lines(record, count, NULL, 0, last, &text, &length);
	return r < 0 ? r : write_end(journal, fd, place->end, text, length);
}

int journal_append(struct journal *journal, const struct journal_record *record, size_t count,
		   struct chain_fault *fault)
{
	struct chain_place place, last;
	_cleanup_close_ int fd = -1;
	uint64_t size;
	bool may_make = journal->is_anew || (!journal->known.number && !was_begun(journal));
	int r = open_file(journal, O_RDWR | O_APPEND | (may_make ? O_CREAT : 0), &fd, &size);

	r = check_gone(journal, r, size, fault);
	if (r == 0)
		r = find_end(journal, fd, size, &place, fault);
	if (r < 0)
		return r;
	r = size > place.end ? append_behind_torn(journal, &place, record, count, &last)
			     : append_at_end(journal, fd, &place, record, count, &last);
	if (r == -EFBIG) {
		*fault = (struct chain_fault){place.number + 1, place.end,
					      "there is too much behind the last whole line"};
		return -EBADMSG;
	}
	if (r < 0)
		return r;
	journal->known = last;
	journal->is_anew = false;
	note_begun(journal);
	return 0;
}

int journal_measure(const char *path, uint64_t *bytes, char digest[CHAIN_DIGEST])
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	EVP_MD_CTX *context = file ? EVP_MD_CTX_new() : NULL;
	bool is_good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	uint8_t sum[32], piece[65536];
	uint64_t size = 0;
	size_t got;

	if (!file)
		return -errno;
	while (is_good && (got = fread(piece, 1, sizeof(piece), file)) > 0) {
		is_good = EVP_DigestUpdate(context, piece, got);
		size += got;
	}
	is_good = is_good && !ferror(file) && EVP_DigestFinal_ex(context, sum, NULL);
	EVP_MD_CTX_free(context);
	if (!is_good)
		return -EIO;
	hex_format(sum, sizeof(sum), digest);
	*bytes = size;
	return 0;
}
