// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * socket.bpf.c - sock_create: storage before anybody can use up the socket's option memory, who
 * made it, no MPTCP. sock_release: what a closed socket has sent. sock_ops: who opened a
 * TCP connection, what its peer acknowledged, its end.
 */
#include "socket.bpf.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define EPROTONOSUPPORT 93

/*
 * MPTCP's subflows are sockets of the kernel's own: they would escape attribution and the end of
 * sockets. With this error applications fall back to TCP. Not in observe.
 */
static __noinline bool mptcp_refuse(__u64 sk_address)
{
	struct weir_question q = {.cut_slot = WEIR_ANY, .direction = WEIR_CALLS};
	struct weir_answer a = {};
	struct parcel p = {};

	p.active = active_read();
	p.now_ns = bpf_ktime_get_boot_ns();
	p.protocol = IPPROTO_TCP;
	p.service = service_of(sk_address, p.active, &p.cgroup);
	q.service = p.service;
	q.now_ns = p.now_ns;
	verdict_decide(&q, &a, p.active);
	a.verdict = WEIR_REFUSE;
	a.reason = WEIR_REASON_MPTCP;
	a.grant = WEIR_NO_GRANT;
	return charge_refusal(&a, &p, NULL);
}

SEC("cgroup/sock_create")
int weir_sock_create(struct bpf_sock *sk)
{
	struct weir_socket *s;

	if (sk->protocol == IPPROTO_MPTCP && !mptcp_refuse(kernel_address(sk))) {
		bpf_set_retval(-EPROTONOSUPPORT);
		return 0;
	}
	s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (s) {
		s->pid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(s->program, sizeof(s->program));
	} else {
		loss_count(WEIR_LOST_STORAGE);
	}
	return 1;
}

/* A socket without connections has no other end. What a TCP socket still sends goes without a place
 * in `flows`. The control words are asked for since a program is known for the guard's by them
 * (user/kernel/adopt_links.c). */
SEC("cgroup/sock_release")
int weir_sock_release(struct bpf_sock *sk)
{
	if (control_get())
		flow_end(bpf_sk_storage_get(&sockets, sk, NULL, 0), bpf_get_socket_cookie(sk));
	return 1;
}

/* Both ends as the kernel has them; ports of bpf_sock_ops: local in host order, remote in network.
 */
static __always_inline void parcel_of_ops(struct bpf_sock_ops *ops, struct parcel *p)
{
	__u32 local4 = ops->local_ip4, remote4 = ops->remote_ip4, family = ops->family;

	/* Read here: clang would merge these with the reads below into one through a moved context
	 * pointer, which the verifier refuses. */
	barrier_var(local4);
	barrier_var(remote4);
	p->active = active_read();
	p->now_ns = bpf_ktime_get_boot_ns();
	p->protocol = IPPROTO_TCP;
	p->local_port = ops->local_port;
	p->peer_port = bpf_ntohl(ops->remote_port);
	p->is_established = 1;
	p->peer.word[0] = ops->remote_ip6[0];
	p->peer.word[1] = ops->remote_ip6[1];
	p->peer.word[2] = ops->remote_ip6[2];
	p->peer.word[3] = ops->remote_ip6[3];
	p->local.word[0] = ops->local_ip6[0];
	p->local.word[1] = ops->local_ip6[1];
	p->local.word[2] = ops->local_ip6[2];
	p->local.word[3] = ops->local_ip6[3];
	if (family == AF_INET) {
		address_from4(&p->peer, remote4);
		address_from4(&p->local, local4);
	}
}

static __noinline int connection_tell(const struct weir_answer *a, const struct parcel *p,
				      const struct weir_socket *s, __u8 kind)
{
	struct weir_event *e;

	if (!a || !p)
		return 0;
	e = event_reserve(a, kind, p->now_ns);
	if (!e)
		return 0;
	event_peer(e, &p->peer, p->peer_port, p->local_port, p->protocol);
	__builtin_memcpy(e->local, &p->local, sizeof(e->local));
	if (s) {
		event_socket(e, s);
		e->bytes = s->sent_bytes;
		e->acked_bytes = s->acked_bytes;
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

struct pair_search {
	__u32 slot;
	__u32 first;
	__u32 calls_back;
};

static long pair_step(__u32 index, struct pair_search *s)
{
	const struct weir_rule *r = rule_get(s->slot, s->first + index);

	s->calls_back |= r && r->direction == WEIR_CALLS_BACK;
	return !r || s->calls_back;
}

/* Whether some rule lets the answer's service call its partner back. */
static __noinline bool pair_calls_back(const struct weir_answer *a)
{
	const struct weir_partner *partner = partner_get(a->policy_slot, a->partner);
	void *table = bpf_map_lookup_elem(&pairs, &a->policy_slot);
	struct pair_search s = {.slot = a->policy_slot};
	struct weir_pair pair = {.service = a->service};
	const struct weir_span *span;

	if (!partner || !table)
		return false;
	pair.profile = partner->profile;
	span = bpf_map_lookup_elem(table, &pair);
	if (!span)
		return false;
	s.first = span->first;
	bpf_loop(span->count, pair_step, &s, 0);
	return s.calls_back;
}

static __always_inline bool holder_count(const struct weir_holder *key)
{
	__u64 zero = 0, *count;

	bpf_map_update_elem(&holders, key, &zero, BPF_NOEXIST);
	count = bpf_map_lookup_elem(&holders, key);
	if (count)
		__sync_fetch_and_add(count, 1);
	return count;
}

/* A connection that a service accepted under a grant lets it call back (FTP's data connection). */
static __noinline int holder_add(struct weir_socket *s, const struct weir_answer *a,
				 const struct weir_address *peer)
{
	struct weir_holder key = {.peer = *peer};

	if (!s || s->is_holder || a->direction != WEIR_SERVES || a->verdict != WEIR_PASS ||
	    a->reason != WEIR_REASON_GRANT || !pair_calls_back(a))
		return 0;
	key.service_key = service_key(a->policy_slot, a->service);
	/* Again, if the last connection before this one took the entry away in between. */
	if (!holder_count(&key) || (!bpf_map_lookup_elem(&holders, &key) && !holder_count(&key))) {
		loss_count(WEIR_LOST_HOLDERS_FULL);
		return 0;
	}
	s->is_holder = 1;
	s->holder_service = key.service_key;
	return 0;
}

static __always_inline void holder_drop(struct weir_socket *s, const struct weir_address *peer)
{
	struct weir_holder key = {.service_key = s->holder_service, .peer = *peer};
	__u64 *count;

	if (!s->is_holder)
		return;
	s->is_holder = 0;
	count = bpf_map_lookup_elem(&holders, &key);
	if (count && __sync_fetch_and_add(count, -1) <= 1)
		bpf_map_delete_elem(&holders, &key);
}

/* Judges the connection as it stands now; `a` for what is told about it. */
static __noinline int connection_judge(const struct parcel *p, __u32 opener, struct weir_answer *a)
{
	struct weir_question q = {};

	question_set(&q, p, p->service, opener == OPENER_THEM ? WEIR_SERVES : WEIR_CALLS);
	return verdict_decide(&q, a, p->active);
}

static __noinline int connection_opened(struct bpf_sock_ops *ops, struct bpf_sock *sk,
					struct weir_socket *s, __u32 opener)
{
	struct weir_answer a = {};
	struct parcel p = {};

	opener_set(s, bpf_get_socket_cookie(ops), opener);
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	if (s) {
		/* A socket may connect again; an accepted one begins as a copy of its listener's
		 * storage, whose answer is of the listener's former life, if it had one. */
		flow_end(s, bpf_get_socket_cookie(ops));
		if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
			answer_forget(s);
		s->has_ended = 0;
		s->is_holder = 0;
		s->sent_bytes = 0;
		s->bare_bytes = 0;
		s->acked_bytes = 0;
		s->acked_base = ops->bytes_acked;
		s->is_based = 1;
	}
	parcel_of_ops(ops, &p);
	p.service = service_of(kernel_address(sk), p.active, &p.cgroup);
	connection_judge(&p, opener, &a);
	if (s)
		s->cgroup = p.cgroup;
	holder_add(s, &a, &p.peer);
	return connection_tell(&a, &p, s, WEIR_EVENT_OPENED);
}

/* The last acknowledgements. One byte less: the FIN may be among them. */
static __noinline int connection_closed(struct bpf_sock_ops *ops, struct bpf_sock *sk,
					struct weir_socket *s)
{
	struct weir_answer a = {};
	struct weir_meter *account;
	struct parcel p = {};
	__u64 acked;

	parcel_of_ops(ops, &p);
	holder_drop(s, &p.peer);
	if (!s->is_based) /* a call that came to nothing, by a socket that had a connection */
		return 0;
	s->is_based = 0;
	acked = ops->bytes_acked - s->acked_base;
	if (acked > s->acked_bytes + 1) {
		acked--;
		account = bpf_map_lookup_elem(&meters, &s->answer.account);
		if (account)
			__sync_fetch_and_add(&account->acked_bytes[counters_of(&s->answer)],
					     acked - s->acked_bytes);
		s->acked_bytes = acked;
	}
	if (!s->answer.generation)
		return 0;
	flow_end(s, bpf_get_socket_cookie(ops));
	if (!answer_recall(s, &p, &a)) { /* its slot may hold another policy by now */
		p.service = service_of(kernel_address(sk), p.active, &p.cgroup);
		connection_judge(&p, s->opener, &a);
	}
	return connection_tell(&a, &p, s, WEIR_EVENT_CLOSED);
}

/* Who opened a connection that began with a SYN of the peer's. Both ends may have called at once; a
 * socket that a listener made has no owner yet (net/ipv4/tcp_input.c, tcp_rcv_state_process()). */
static __always_inline __u32 passive_opener(const struct weir_socket *s, struct bpf_sock *sk,
					    __u64 cookie)
{
	if (opener_get(s, cookie) != OPENER_US)
		return OPENER_THEM;
	return BPF_CORE_READ((struct sock *)kernel_address(sk), sk_socket) ? OPENER_US
									   : OPENER_THEM;
}

/* The peer has closed its end: it holds nothing any more, however long the service keeps its own.
 */
static __noinline int connection_left(struct bpf_sock_ops *ops, struct weir_socket *s)
{
	struct parcel p = {};

	if (!s->is_holder)
		return 0;
	parcel_of_ops(ops, &p);
	holder_drop(s, &p.peer);
	return 0;
}

SEC("sockops")
int weir_sock_ops(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct weir_socket *s;

	if (!sk || (ops->family != AF_INET && ops->family != AF_INET6))
		return 1;
	s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		loss_count(WEIR_LOST_STORAGE);
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		answer_forget(s);
		break;
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		answer_forget(s);
		opener_set(s, bpf_get_socket_cookie(ops), OPENER_US);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		connection_opened(ops, sk, s, OPENER_US);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		connection_opened(ops, sk, s, passive_opener(s, sk, bpf_get_socket_cookie(ops)));
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (s && ops->args[1] == BPF_TCP_CLOSE)
			connection_closed(ops, sk, s);
		else if (s && ops->args[1] == BPF_TCP_CLOSE_WAIT)
			connection_left(ops, s);
		break;
	}
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
