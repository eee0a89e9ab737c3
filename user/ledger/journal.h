/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journal.h - the journal of the orders: a file of chained lines (chain.h) that only grows.
 *
 * Nothing turns it over and nothing thins it out: orders are rare, and a line has some hundred
 * bytes. Each line is on the disk when journal_append() returns. Any process may append: it holds
 * the lock, looks at the file's end anew, and so needs to know nothing of the others.
 *
 * Bytes behind the last whole line are of a writer that was killed, or lost its power, before its
 * line was acknowledged. The next line takes their place, in one step, and tells of them:
 * "torn":{"bytes":57,"sha256":"...","text":"{\"n\":8,..."}.
 *
 * What does not fit stays as it is, and nothing is appended to it: the caller sets the file aside.
 */
#ifndef WEIR_JOURNAL_H
#define WEIR_JOURNAL_H

#include <stdbool.h>

#include "user/ledger/chain.h"

#define JOURNAL_FILE "journal.jsonl"
/* Beside it from its first line on: where this is and the journal is not, somebody took it away. */
#define JOURNAL_BEGUN "journal.begun"

/* journal_check() reads no more than this of the end. */
enum { JOURNAL_CHECKED = 64 << 20 };

struct journal {
	int directory;		  /* that the file is in, borrowed; -1: there is none */
	char *path;		  /* of the file */
	struct chain_place known; /* what this process saw there last; number 0: nothing yet */
	bool is_anew;		  /* journal_forget(): that it is not there is as it should be */
};

/* One line to be. */
struct journal_record {
	const char *text; /* a JSON object on one line */
	uint64_t wall_ns, boot_ns;
	const char *boot_id;
	uint64_t late_ns; /* how long it waited for the disk; 0: not */
};

/* No file is made yet; `path` is copied. -ENOMEM. */
int journal_open(struct journal *journal, int directory, const char *path);
void journal_close(struct journal *journal);

/* One process at a time. Does not nest. -ENOENT: there is no directory; -ETIMEDOUT: another
 * process, which may be stopped, has held it for a second. */
int journal_lock(struct journal *journal);
void journal_unlock(struct journal *journal);

/*
 * The three below are for who holds the lock. -EBADMSG with `fault`: what is there does not fit, or
 * is not any more what this process saw there, or the file is gone or empty after it had lines;
 * -errno.
 */

/* Reads all that is there, or the last JOURNAL_CHECKED bytes of it; `each` as for chain_follow().
 */
int journal_check(struct journal *journal, chain_each each, void *data, struct chain_fault *fault);
/* All of the records are on the disk, or none; the file is made when there is none (0640). */
int journal_append(struct journal *journal, const struct journal_record *record, size_t count,
		   struct chain_fault *fault);
/* The file was taken away by its owner: the next line is the first. */
void journal_forget(struct journal *journal);

/* Reads all lines, also beside a writer; *end (may be NULL) is the last one that fits. 0, also when
 * there never was a file; -EBADMSG when it is gone; else as chain_follow(). */
int journal_read(const struct journal *journal, chain_each each, void *data,
		 struct chain_place *end, struct chain_fault *fault);

/* Size and SHA-256 of any file. 0 or -errno. */
int journal_measure(const char *path, uint64_t *bytes, char digest[CHAIN_DIGEST]);

#endif
