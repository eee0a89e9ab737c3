/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * socket.bpf.h - what is kept with a socket, and how a question is put for it.
 */
#ifndef WEIR_SOCKET_BPF_H
#define WEIR_SOCKET_BPF_H

#include "flow.bpf.h"
#include "lend.bpf.h"
#include "packet.bpf.h"
#include "service.bpf.h"
#include "spoke.bpf.h"
#include "verdict.bpf.h"

/* How long an answer about a socket without connections holds: its place in `spoke` is renewed
 * well before it goes stale. */
#define CALL_RENEW_NS (30 * NS_PER_SECOND)

static __always_inline bool is_tcp_socket(const struct bpf_sock *sk)
{
	return sk->type == SOCK_STREAM && sk->protocol == IPPROTO_TCP;
}

/* A socket that the kernel made for itself; by its address (kernel_address()). */
static __always_inline bool is_of_kernel(__u64 address)
{
	return BPF_CORE_READ_BITFIELD_PROBED((struct sock *)address, sk_kern_sock);
}

/* The answer kept with the socket, if it is about this peer, of this generation, and in time. */
static __always_inline bool answer_recall(struct weir_socket *s, const struct parcel *p,
					  struct weir_answer *a)
{
	__u32 sequence = READ_ONCE(s->sequence);

	if (sequence & 1)
		return false;
	read_barrier();
	if (s->answer.generation != weir_generation(p->active) ||
	    !address_equal(&s->peer, &p->peer) || s->peer_port != p->peer_port ||
	    s->protocol != p->protocol || p->now_ns >= s->answer.valid_until_ns)
		return false;
	*a = s->answer;
	read_barrier();
	return READ_ONCE(s->sequence) == sequence;
}

/* Until when the answer may pay with leases: while it holds, and is not overruled by another one.
 */
static __always_inline __u64 answer_until_tick(const struct weir_answer *a, __u64 now_ns)
{
	const struct weir_control *control = control_get();
	__u64 ticks;

	if (!control || !control->tick_ns || a->shadow != WEIR_NO_GRANT ||
	    a->reason != WEIR_REASON_GRANT)
		return 0;
	if (a->valid_until_ns == FOREVER)
		return FOREVER;
	ticks = (a->valid_until_ns - now_ns) / control->tick_ns;
	return ticks > LEASE_LATE ? bpf_jiffies64() + ticks - LEASE_LATE : 0;
}

/* Keeps an answer. Another CPU at it: that one's stays, ours was used once. */
static __always_inline void answer_keep(struct weir_socket *s, const struct parcel *p,
					const struct weir_answer *a)
{
	__u32 sequence = READ_ONCE(s->sequence);

	if (sequence & 1 ||
	    __sync_val_compare_and_swap(&s->sequence, sequence, sequence + 1) != sequence)
		return;
	s->peer = p->peer;
	s->peer_port = p->peer_port;
	s->protocol = p->protocol;
	s->answer = *a;
	s->until_tick = answer_until_tick(a, p->now_ns);
	add_behind(&s->sequence, 1);
}

/* The socket begins another life (tcp_disconnect() leaves what is kept with it): what was answered
 * for the last one is not what it may send in this one, even to the same peer. */
static __always_inline void answer_forget(struct weir_socket *s)
{
	if (s)
		s->answer.generation = 0;
}

static __always_inline void opener_set(struct weir_socket *s, __u64 cookie, __u32 opener)
{
	if (s)
		s->opener = opener;
	else
		bpf_map_update_elem(&openers, &cookie, &opener, BPF_ANY);
}

static __always_inline __u32 opener_get(const struct weir_socket *s, __u64 cookie)
{
	const __u32 *noted;

	if (s && s->opener != OPENER_UNKNOWN)
		return s->opener;
	noted = bpf_map_lookup_elem(&openers, &cookie);
	return noted ? *noted : OPENER_UNKNOWN;
}

static __always_inline __u64 service_key(__u32 slot, __u32 index)
{
	const struct weir_service *service = service_get(slot, index);

	return service ? service->key : 0;
}

/* Whether the peer holds a connection that this service accepted under a grant (FTP's control). */
static __always_inline bool peer_holds(__u64 key, const struct weir_address *peer)
{
	struct weir_holder holder = {.service_key = key, .peer = *peer};
	const __u64 *count = bpf_map_lookup_elem(&holders, &holder);

	return count && *(volatile const __u64 *)count;
}

/* The direction of a TCP socket, from its state or from who opened it. False: nobody noted that,
 * and it counts as called. */
static __always_inline bool tcp_direction_read(__u32 state, const struct weir_socket *s,
					       __u64 cookie, __u8 *direction)
{
	*direction = WEIR_CALLS;
	switch (state) {
	case BPF_TCP_LISTEN: /* a SYN-ACK goes out in the listener's name */
	case BPF_TCP_SYN_RECV:
		*direction = WEIR_SERVES;
		return true;
	case BPF_TCP_SYN_SENT:
		return true;
	}
	switch (opener_get(s, cookie)) {
	case OPENER_THEM:
		*direction = WEIR_SERVES;
		return true;
	case OPENER_US:
		return true;
	}
	return false;
}

static __always_inline __u8 tcp_direction(__u32 state, const struct weir_socket *s, __u64 cookie)
{
	__u8 direction;

	if (!tcp_direction_read(state, s, cookie, &direction))
		loss_count(WEIR_LOST_OPENER_UNKNOWN);
	return direction;
}

/* Puts the question for `p` in the given direction. */
static __always_inline void question_set(struct weir_question *q, const struct parcel *p,
					 __u32 service, __u8 direction)
{
	__builtin_memcpy(q->peer, &p->peer, sizeof(q->peer));
	q->service = service;
	q->direction = direction;
	q->port = direction == WEIR_SERVES ? p->local_port : p->peer_port;
	q->protocol = p->protocol;
	q->cut_slot = WEIR_ANY;
	q->now_ns = p->now_ns;
	if (direction == WEIR_CALLS && p->protocol == IPPROTO_TCP)
		q->is_held =
			peer_holds(service_key(weir_policy_slot(p->active), service), &p->peer);
}

/* A DHCP client's: it must get through whatever the policy says, at a rate of its own. */
static __always_inline bool is_dhcp(const struct parcel *p)
{
	if (p->protocol != IPPROTO_UDP)
		return false;
	if (address_is4(&p->peer))
		return p->local_port == 68 && p->peer_port == 67;
	return p->local_port == 546 && p->peer_port == 547;
}

/*
 * Judges a datagram (or anything else without connections): an answer to who spoke first, else a
 * call, which is then noted as ours. *renew_ns gets until when this holds.
 */
static __always_inline void datagram_decide(const struct parcel *p, __u32 service, __u64 cookie,
					    struct weir_question *q, struct weir_answer *a)
{
	__u64 hash = spoke_hash(cookie, &p->peer, p->peer_port, p->protocol);
	__u64 partner = partner_key_of(&p->peer, p->active, p->now_ns);
	__u64 heard = spoke_heard(hash, partner, p->now_ns);
	__u64 until = heard ? heard + SPOKE_NS : p->now_ns + CALL_RENEW_NS;

	question_set(q, p, service, heard ? WEIR_SERVES : WEIR_CALLS);
	verdict_decide(q, a, p->active);
	if (heard && a->grant == WEIR_NO_GRANT && a->reason != WEIR_REASON_LIFELINE) {
		/* Both may have spoken first (NTP peers, IKE, a flow that slept): a call that is
		 * granted stays one. */
		question_set(q, p, service, WEIR_CALLS);
		verdict_decide(q, a, p->active);
		if (a->grant != WEIR_NO_GRANT || a->reason == WEIR_REASON_LIFELINE) {
			until = p->now_ns + CALL_RENEW_NS;
		} else {
			question_set(q, p, service, WEIR_SERVES);
			verdict_decide(q, a, p->active);
		}
	}
	if (!heard && (a->verdict == WEIR_PASS || a->observe))
		spoke_note(hash, partner, OPENER_US, p->now_ns);
	else if (!heard) /* until they speak, which they may do at once */
		until = p->now_ns;
	if (until < a->valid_until_ns)
		a->valid_until_ns = until;
}

#endif
