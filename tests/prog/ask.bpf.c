// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * ask.bpf.c - the guard's own decision and meters, wrapped so that BPF_PROG_TEST_RUN can ask them:
 * tc programs, since those may take the meters' lock. Run on the maps of a loaded guard.
 */
#include "charge.bpf.h"
#include "tests/prog/ask.h"

SEC("tc")
int ask_verdict(struct __sk_buff *skb)
{
	struct weir_question question;
	struct weir_answer answer;

	if (bpf_skb_load_bytes(skb, ASK_OFFSET, &question, sizeof(question)))
		return 1;
	verdict_decide(&question, &answer, active_read());
	return !!bpf_skb_store_bytes(skb, ASK_OFFSET + __builtin_offsetof(struct ask, answer),
				     &answer, sizeof(answer), 0);
}

SEC("tc")
int ask_charge(struct __sk_buff *skb)
{
	struct weir_answer answer;
	struct parcel p = {};
	struct {
		__u8 peer[16];
		__u64 now_ns;
		__u32 bytes;
		__u8 protocol, is_established, is_bare, passes;
	} tail;

	if (bpf_skb_load_bytes(skb, ASK_OFFSET + __builtin_offsetof(struct ask, answer), &answer,
			       sizeof(answer)) ||
	    bpf_skb_load_bytes(skb, ASK_OFFSET + __builtin_offsetof(struct ask, peer), &tail,
			       sizeof(tail)))
		return 1;
	__builtin_memcpy(&p.peer, tail.peer, 16);
	p.now_ns = tail.now_ns;
	p.bytes = tail.bytes;
	p.protocol = tail.protocol;
	p.is_established = tail.is_established;
	p.is_bare = tail.is_bare;
	tail.passes = charge(&answer, &p, 0, NULL);
	return !!bpf_skb_store_bytes(skb, ASK_OFFSET + __builtin_offsetof(struct ask, passes),
				     &tail.passes, 1, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
