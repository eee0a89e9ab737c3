/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* document_keys.h - inside document_read(): the keys of an order's lines. */
#ifndef WEIR_DOCUMENT_KEYS_H
#define WEIR_DOCUMENT_KEYS_H

#include "user/order/document.h"

enum { DOCUMENT_KEYS = 14 };

/* The lines of one document while they are read. */
struct document_reader {
	struct document *document;
	struct order_fault *fault;
	uint32_t line;			  /* where reading is */
	uint32_t key_line[DOCUMENT_KEYS]; /* where each key stood first; 0: not yet */
};

/* One line, which is NUL-terminated and stays. 0, -EBADMSG, -ENOMEM. */
int document_read_line(struct document_reader *reader, char *line);

/* After the last line: what is missing, and what does not go together. */
int document_check_lines(struct document_reader *reader);

#endif
