/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ask.h - what a test puts into a packet for tests/prog/ask.bpf.c, and finds in it afterwards.
 */
#ifndef WEIR_TESTS_ASK_H
#define WEIR_TESTS_ASK_H

#include "bpf/abi.h"

#define ASK_OFFSET 16 /* behind an Ethernet header, aligned */

struct ask {
	struct weir_question question;
	struct weir_answer answer;
	__u8 peer[16];
	__u64 now_ns; /* boot */
	__u32 bytes;
	__u8 protocol;
	__u8 is_established;
	__u8 is_bare;
	__u8 passes;  /* out: ASK_LEASED, a lease paid for it */
	__u64 cgroup; /* 0: nothing is lent */
	__u64 tick;
};
WEIR_SIZE(struct ask, 40 + 56 + 16 + 24 + 8);

#define ASK_LEASED 2

#endif
