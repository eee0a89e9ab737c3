/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * flow.bpf.h - what the usual packet of a running flow needs to know, in one line of the cache.
 *
 * A socket's storage lies behind three pointers and over several lines. With many flows each of
 * them has left the cache, and following them takes longer than all else that a packet costs. A
 * place of `flows` is filled from that storage, says nothing that it does not say, and is used for
 * as long as that would be. What is sent by it is noted in it; the socket gets these bytes when its
 * place is filled again, and at its end.
 *
 * word: sequence << 32 | bytes. The sequence is odd while somebody fills the place, and each
 * filling makes it another one: so who changes a word that is still as it was may trust what it
 * read of the rest in between.
 */
#ifndef WEIR_FLOW_BPF_H
#define WEIR_FLOW_BPF_H

#include "charge.bpf.h"

#define FLOW_FILLING (1ULL << 32)
#define FLOW_MOST    (16U << 20) /* bytes that the socket has to wait for */
#define FLOW_TRIES   4

static __always_inline struct weir_flow *flow_at(__u64 cookie)
{
	__u32 place = cookie & (WEIR_FLOWS - 1); /* cookies are given out one after the other */

	return bpf_map_lookup_elem(&flows, &place);
}

/* False: it is of no flow of this socket now. What is read of the rest counts while `*word` stays.
 */
static __always_inline bool flow_read(const struct weir_flow *f, __u64 cookie, __u64 *word)
{
	*word = READ_ONCE(f->word);
	read_barrier();
	return !(*word & FLOW_FILLING) && READ_ONCE(f->cookie) == cookie;
}

/* From here on nobody else fills the place, or finds anything in it; the bytes that it counted go
 * to the socket. False: the word is another one by now. */
static __always_inline bool flow_open(struct weir_flow *f, __u64 word, struct weir_socket *s)
{
	if (__sync_val_compare_and_swap(&f->word, word, word - (__u32)word + FLOW_FILLING) != word)
		return false;
	__sync_fetch_and_add(&s->sent_bytes, (__u32)word);
	return true;
}

static __always_inline void flow_close(struct weir_flow *f, __u64 cookie)
{
	f->cookie = cookie;
	add_behind(&f->word, FLOW_FILLING);
}

/* Fills the socket's place from its storage, as that was at `sequence`. For sockets alone whose end
 * comes to flow_end(): else the place would never be free again. */
static __always_inline void flow_keep(struct weir_socket *s, __u32 sequence, __u64 cookie)
{
	struct weir_flow *f = flow_at(cookie);
	bool is_same;
	__u64 word;

	if (!f)
		return;
	is_same = flow_read(f, cookie, &word);
	if (word & FLOW_FILLING || (!is_same && (__u32)word) || !flow_open(f, word, s))
		return;
	f->until_tick = s->until_tick;
	f->account = s->answer.account;
	f->cgroup = s->cgroup;
	f->peer = s->peer;
	f->peer_port = s->peer_port;
	f->protocol = s->protocol;
	f->direction = counters_of(&s->answer);
	f->generation = s->answer.generation;
	read_barrier();
	/* With another answer meanwhile it is of no socket. */
	flow_close(f, READ_ONCE(s->sequence) == sequence ? cookie : 0);
}

/* Bytes of the socket that its storage has not got. */
static __always_inline __u32 flow_bytes(__u64 cookie)
{
	const struct weir_flow *f = flow_at(cookie);
	__u64 word;

	return f && flow_read(f, cookie, &word) ? word : 0;
}

/* At the end of a socket: it gets its bytes, its place is free, and it gets no other one. */
static __always_inline void flow_end(struct weir_socket *s, __u64 cookie)
{
	struct weir_flow *f = flow_at(cookie);
	__u64 word;

	if (!s || !f)
		return;
	s->has_ended = 1;
	for (int i = 0; i < FLOW_TRIES; i++) {
		if (!flow_read(f, cookie, &word))
			return;
		if (flow_open(f, word, s)) { /* else: a last packet on another CPU */
			flow_close(f, 0);
			return;
		}
	}
}

#endif
