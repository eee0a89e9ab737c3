/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * archive.h - the signed orders that were accepted, as the bytes that were signed: so that one that
 * comes again is known, and a reopening that comes before its cut is there when the cut comes.
 *
 *	DIRECTORY/CUT/order	a cut, by its id
 *	DIRECTORY/CUT/ID	a reopening of it, also when the cut itself is not there (yet)
 *
 * Whoever can write there has the host; what is damaged is not taken for an order.
 */
#ifndef WEIR_ARCHIVE_H
#define WEIR_ARCHIVE_H

#include "user/order/document.h"

/* The id of the cut that a document is about: its own, or that which it reopens. */
const char *archive_cut(const struct document *document);

/* 1: it is there; 0: it is not; -errno. */
int archive_has(const char *directory, const struct document *document);

/* Keeps it, in a directory that is made when it is missing; `text` is what it was read from. On
 * disk when this returns 0. -errno. */
int archive_keep(const char *directory, const struct document *document, const char *text,
		 size_t length);

/* Takes out the text of an order that was not done, other than a reopening, so that it is not known
 * when it comes again. After a crash it may be there still. 0, also when it is not there; -errno.
 */
int archive_forget(const char *directory, const char *id);

/*
 * Each reopening of the cut, in no order. `each` returning non-zero ends it with that value. One
 * that cannot be read, or is not what its name says, is left out and counted in *damaged: what it
 * lets back stays cut. 0 also when there is none.
 */
int archive_reopenings(const char *directory, const char *cut,
		       int (*each)(const struct document *document, void *data), void *data,
		       size_t *damaged);

#endif
