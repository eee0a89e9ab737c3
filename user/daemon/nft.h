/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* nft.h - nft(8), as a program of its own: it is needed once in years, and the daemon never loads
 * it. */
#ifndef WEIR_NFT_H
#define WEIR_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs `nft -f` on a text, in one transaction. 0, or -errno with `problem`; -ENOENT: there is no
 * nft. */
int nft_load(const char *text, size_t length, char **problem);
/* What the table is made of, without the elements of its sets and maps, and what its counters say;
 * malloc'd. -errno: it is not there, or nft cannot tell. */
int nft_list_table(const char *family, const char *name, char **text);
/* Adds the bytes of one of its counters; nothing when it has none. */
void nft_add_counter(const char *family, const char *table, const char *counter, uint64_t *bytes);

#endif
