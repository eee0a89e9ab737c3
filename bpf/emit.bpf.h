/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * emit.bpf.h - an event out, or a loss counted.
 */
#ifndef WEIR_EMIT_BPF_H
#define WEIR_EMIT_BPF_H

#include "policy.bpf.h"

/* A cleared event with the times and what the answer knows, or NULL (the loss is counted). The
 * caller submits it. */
static __always_inline struct weir_event *event_reserve(const struct weir_answer *a, __u8 kind,
							__u64 now)
{
	const struct weir_control *control = control_get();
	const struct weir_service *service;
	const struct weir_partner *partner;
	const struct weir_grant *grant;
	struct weir_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		loss_count(WEIR_LOST_EVENTS);
		return NULL;
	}
	__builtin_memset(e, 0, sizeof(*e));
	service = service_get(a->policy_slot, a->service);
	partner = partner_get(a->policy_slot, a->partner);
	grant = grant_get(a->policy_slot, a->grant != WEIR_NO_GRANT ? a->grant : a->shadow);
	e->service_key = service ? service->key : 0;
	e->partner_key = partner ? partner->key : 0;
	e->grant_key = grant ? grant->key : 0;
	e->boot_ns = now;
	e->wall_ns = control ? now + control->wall_offset_ns : 0;
	e->account = a->account;
	e->order = weir_order_of(a);
	e->generation = a->generation;
	e->kind = kind;
	e->verdict = a->verdict;
	e->reason = a->reason;
	e->direction = a->direction;
	e->observe = a->observe;
	return e;
}

static __always_inline void event_peer(struct weir_event *e, const struct weir_address *peer,
				       __u16 peer_port, __u16 local_port, __u8 protocol)
{
	__builtin_memcpy(e->peer, peer, sizeof(e->peer));
	e->peer_port = peer_port;
	e->local_port = local_port;
	e->protocol = protocol;
}

/* Who made the socket. */
static __always_inline void event_socket(struct weir_event *e, const struct weir_socket *s)
{
	if (!s)
		return;
	e->pid = s->pid;
	e->cgroup = s->cgroup;
	__builtin_memcpy(e->program, s->program, sizeof(e->program));
}

#endif
