/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tell.h - what a signed order says, in words: for who signs, verifies or sends it. */
#ifndef WEIR_ORDER_TELL_H
#define WEIR_ORDER_TELL_H

#include <stdio.h>

#include "user/order/document.h"

/* Its lines, in some lines. */
void order_tell(const struct document *document, FILE *out);

/* One entry of a list of signers, without an end of line. */
void signer_tell(const struct signer *signer, FILE *out);

#endif
