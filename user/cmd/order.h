/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* order.h - what stands behind `weir order`: one function for each of its words. */
#ifndef WEIR_CMD_ORDER_H
#define WEIR_CMD_ORDER_H

#include "user/cmd/cmd.h"

/* Each returns the exit code. arguments->item[0] is the word itself. */
int order_verify(const struct arguments *arguments);
int order_write(const struct arguments *arguments);
int order_end(const struct arguments *arguments);
int order_apply(const struct arguments *arguments);
int order_list(const struct arguments *arguments);
int order_show(const struct arguments *arguments);

#endif
