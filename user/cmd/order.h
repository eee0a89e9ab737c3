/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order.h - the verbs of `weir order`, each in a file of its own. They return the exit code.
 */
#ifndef WEIR_CMD_ORDER_H
#define WEIR_CMD_ORDER_H

#include "user/cmd/cmd.h"

int order_list(const struct arguments *arguments);
int order_show(const struct arguments *arguments);

#endif
