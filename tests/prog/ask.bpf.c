// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * ask.bpf.c - the guard's own decision and meters, wrapped so that BPF_PROG_TEST_RUN can ask them:
 * tc programs, since those may take the meters' lock. Run on the maps of a loaded guard.
 */
#include "lend.bpf.h"
#include "packet.bpf.h"
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

struct tail {
	__u8 peer[16];
	__u64 now_ns;
	__u32 bytes;
	__u8 protocol, is_established, is_bare, passes;
};

static __always_inline bool read_at(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
	return !bpf_skb_load_bytes(skb, ASK_OFFSET + offset, to, size);
}

/* Apart, as in the hook, for the stack. */
static __noinline bool spends(struct __sk_buff *skb)
{
	struct usual usual = {.active = active_read()};
	struct weir_answer answer;
	__u64 of[2]; /* cgroup, tick */

	if (!read_at(skb, __builtin_offsetof(struct ask, answer), &answer, sizeof(answer)) ||
	    !read_at(skb, __builtin_offsetof(struct ask, cgroup), of, sizeof(of)) ||
	    !read_at(skb, __builtin_offsetof(struct ask, bytes), &usual.bytes, 4))
		return false;
	usual.tick = of[1];
	return of[0] && lease_spend(answer.account, of[0], counters_of(&answer), &usual);
}

static __noinline int lends(struct __sk_buff *skb, const struct weir_answer *answer,
			    const struct parcel *p)
{
	__u64 of[2];

	if (read_at(skb, __builtin_offsetof(struct ask, cgroup), of, sizeof(of)) && of[0])
		lend(answer, p, of[0], of[1]);
	return 0;
}

static __noinline bool parcel_read(struct __sk_buff *skb, struct parcel *p)
{
	struct tail tail;

	if (!read_at(skb, __builtin_offsetof(struct ask, peer), &tail, sizeof(tail)))
		return false;
	__builtin_memcpy(&p->peer, tail.peer, 16);
	p->active = active_read();
	p->now_ns = tail.now_ns;
	p->bytes = tail.bytes;
	p->protocol = tail.protocol;
	p->is_established = tail.is_established;
	p->is_bare = tail.is_bare;
	return true;
}

SEC("tc")
int ask_charge(struct __sk_buff *skb)
{
	struct weir_answer answer;
	struct parcel p = {};
	__u8 passes = ASK_LEASED;

	if (!read_at(skb, __builtin_offsetof(struct ask, answer), &answer, sizeof(answer)) ||
	    !parcel_read(skb, &p))
		return 1;
	if (!spends(skb)) {
		passes = charge(&answer, &p, 0, NULL);
		charge_shadow(&answer, &p, NULL);
		if (passes)
			lends(skb, &answer, &p);
	}
	return !!bpf_skb_store_bytes(skb, ASK_OFFSET + __builtin_offsetof(struct ask, passes),
				     &passes, 1, 0);
}

/* The IP bytes on the wire of the packet that it runs on, told in its mark; 0: it cannot be read.
 */
SEC("cgroup_skb/egress")
int ask_wire(struct __sk_buff *skb)
{
	struct packet p = {};

	skb->mark = 0;
	if (packet_read(skb, true, &p))
		skb->mark = packet_wire_bytes(skb, &p, p.parcel.protocol == IPPROTO_TCP);
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
