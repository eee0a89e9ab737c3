/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * common.bpf.h - what each program needs: helpers, constants, and the records that never leave the
 * kernel.
 */
#ifndef WEIR_COMMON_BPF_H
#define WEIR_COMMON_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "abi.h"
#include "vmlinux/kernel.h"

#define READ_ONCE(x)	 (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/*
 * A function that the verifier checks once, by itself, and not again for each caller: pointers to
 * plain memory and numbers in, a number out; a pointer may be NULL. Weak, since several objects
 * carry it. `static __noinline` is left for what takes or returns map values inside structs.
 */
#define WEIR_FUNCTION __weak __noinline

/*
 * What was read before it was read earlier than what is read after it. x86 keeps loads in order;
 * elsewhere an atomic whose result is used is a full barrier (Documentation/atomic_t.txt).
 */
#ifdef __TARGET_ARCH_x86
#define read_barrier() barrier()
#else
static __always_inline void read_barrier(void)
{
	__u64 anything = 0, was;

	asm volatile("" : : "r"(&anything) : "memory");
	was = __sync_fetch_and_add(&anything, 1);
	barrier_var(was);
}
#endif

/* Adds to a word that others read after all that was written before: an atomic whose result nobody
 * uses would be no barrier. */
#define add_behind(word, number)                                                                   \
	do {                                                                                       \
		typeof(*(word)) was_ = __sync_fetch_and_add(word, number);                         \
		barrier_var(was_);                                                                 \
	} while (0)

#define NS_PER_SECOND 1000000000ULL
#define FOREVER	      (~0ULL)

/* uapi values that live in kernel headers only */
enum {
	AF_INET = 2,
	AF_INET6 = 10,
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	LOOPBACK_IFINDEX = 1, /* include/net/flow.h: the same in each network namespace */
};

/* Who began a TCP connection. Unknown counts as called, the stricter of the two. */
enum opener { OPENER_UNKNOWN = 0, OPENER_THEM = 1, OPENER_US = 2 };

struct weir_address {
	union {
		__u8 byte[16];
		__u32 word[4]; /* network order */
	};
};

/*
 * Kept with a socket. `answer` belongs to (peer, peer_port, protocol); it is valid while `sequence`
 * is even and unchanged around the copy, since two CPUs may send on one UDP socket at once.
 */
struct weir_socket {
	__u32 sequence;
	__u8 opener;	/* enum opener */
	__u8 is_holder; /* counted in `holders` */
	__u8 is_based;	/* acked_base is set */
	__u8 protocol;
	struct weir_address peer;
	__u16 peer_port;
	__u8 is_tcp;	/* and neither raw nor another protocol's */
	__u8 has_ended; /* gets no place in `flows` */
	__u32 pid;
	char program[16];
	struct weir_answer answer;
	__u64 cgroup;
	__u64 acked_bytes;    /* of tcp_sock.bytes_acked, already in the account */
	__u64 acked_base;     /* bytes_acked when counting began: the SYN, or what left unguarded */
	__u64 sent_bytes;     /* without flow_bytes(); flow.bpf.h */
	__u64 bare_bytes;     /* segments without payload since it was established */
	__u64 holder_service; /* key, when is_holder */
	__u64 until_tick;     /* the answer pays with leases before it; lease.bpf.h */
	__u64 may_pose;	      /* in the name of somebody else; source.bpf.h */
};

/* What the usual packet of a flow needs of its socket's storage: flow.bpf.h. */
struct weir_flow {
	__u64 word;	  /* sequence << 32 | bytes that the socket has not got yet */
	__u64 cookie;	  /* of the socket; 0: of none */
	__u64 until_tick; /* as in weir_socket */
	__u64 account;	  /* key of the meter */
	__u64 cgroup;	  /* id */
	struct weir_address peer;
	__u16 peer_port;
	__u8 protocol;	/* IPPROTO_TCP: a TCP socket's, no raw one's */
	__u8 direction; /* index of the counters */
	__u32 generation;
};
WEIR_SIZE(struct weir_flow, 64);

/* The meters that a lease is charged to. */
enum { LEASE_OWN, LEASE_SERVICE, LEASE_PARTNER, LEASE_METERS };

/* What one CPU may send of an account without asking its meters: lease.bpf.h. The first 64 bytes
 * are all that a packet reads. */
struct weir_lease {
	__u64 word;    /* what was spent of it, and whether it is over */
	__u64 account; /* key of the meter */
	__u64 cgroup;  /* id */
	__u64 active;  /* control.active when it began */
	__u64 until_tick;
	__u32 bytes;
	__u8 direction; /* index of the counters */
	__u8 pad[3];
	__u64 since_ns; /* boot */
	__u64 until_ns; /* boot; not before until_tick */

	__u64 service_ceiling; /* keys of the other meters that it is charged to; 0: none */
	__u64 partner_ceiling;
	__u32 remade[LEASE_METERS][WEIR_WINDOWS]; /* of each window when it was charged */
	__u32 pad2;
	__u64 asked_ns; /* boot; when a packet last was charged by itself here */
};
WEIR_SIZE(struct weir_lease, 128);

/* What is sent, as far as the meters care. */
struct parcel {
	struct weir_address local;
	struct weir_address peer;
	__u64 now_ns;
	__u64 active; /* control.active, read once: service, verdict and answer are of one policy */
	__u64 cgroup; /* of the socket; 0: not looked up */
	__u32 service;
	__u32 bytes;	  /* IP bytes on the wire */
	__u16 local_port; /* host order; 0 without ports */
	__u16 peer_port;
	__u8 protocol;
	__u8 is_established : 1; /* TCP after its handshake */
	__u8 is_bare : 1;	 /* a TCP segment without payload: in no budget */
	__u8 is_urgent : 1; /* neighbour discovery, the RST of an ended socket: never refused */
	__u8 is_shadow : 1; /* charged to the grant that only observes */
	__u8 is_final : 1;  /* refused when there is no room, whatever is lent */
	__u8 may_pose : 1;  /* its socket may send in somebody else's name */
};

/* The meters that one packet can meet. */
enum { CLAIM_OWN, CLAIM_TOTAL, CLAIM_SERVICE, CLAIM_PARTNER, WEIR_CLAIMS };

/* What came of a charge: why it was refused, and what there is to tell (enum weir_event_kind; 0:
 * nothing). */
struct charge_note {
	__u64 limit_bytes;
	__u64 window_ns;
	__u64 used_bytes;
	__u64 untold;
	__u64 overrule;	 /* in: of each limit of the meter watched; weir_limit() */
	__u64 grant_key; /* of a shadow: the event is about it, and its account; 0: the answer's */
	__u64 account;
	__u32 reason;
	__u32 event;
};

/* Who spoke first on a socket without connections. */
struct weir_spoke {
	__u64 tag; /* rest of the keyed hash; 0: free */
	__u64 last_ns;
	__u32 opener;
	__u32 pad;
};

struct weir_holder {
	__u64 service_key;
	struct weir_address peer;
};

enum { WEIR_DROP_PLACES = 256 }; /* of each CPU; a power of two */

/* What one CPU dropped at the edge since it was last settled, of one partner: drops.bpf.h. */
struct weir_drops {
	__u64 word;
	__u64 partner_key;
};

enum { WEIR_EDGE_SETS = 1 << 17 };

/* What the edge knows of a source, of one generation; valid while EDGE_WRITING is not in `word` and
 * that is unchanged around the copy. Two of them share a cache line. */
enum { EDGE_CUT = 1, EDGE_LIFELINE = 2, EDGE_FLAGS = 3, EDGE_WRITING = 4, EDGE_SEQUENCE = 8 };
struct weir_edge {
	struct weir_address source;
	__u64 partner_key; /* 0: of no partner */
	__u32 generation;
	__u32 word; /* counts up in EDGE_SEQUENCE */
};
WEIR_SIZE(struct weir_edge, 32);

/* What a cgroup hook returns: 1 lets pass, 0 refuses. The mask is for the verifier, which does not
 * know that a function's bool is 0 or 1. */
static __always_inline int hook_result(bool passes)
{
	int result = passes;

	barrier_var(result);
	return result & 1;
}

/*
 * The address of a kernel object as a plain number, so that CO-RE reads may start from it. The
 * verifier hides it behind a context type (bpf_sock, __sk_buff); reading the spilled register back
 * through probe_read gives the number. Needs CAP_PERFMON, like every read of kernel memory.
 */
static __always_inline __u64 kernel_address(const void *object)
{
	const void *spilled = object;
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &spilled);
	return address;
}

static __always_inline void address_from4(struct weir_address *to, __be32 v4)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = bpf_htonl(0xffff);
	to->word[3] = v4;
}

static __always_inline bool address_is4(const struct weir_address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == bpf_htonl(0xffff);
}

static __always_inline bool address_equal(const struct weir_address *a,
					  const struct weir_address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* 127/8, ::1, and the wildcard: connecting to 0.0.0.0 or :: goes to loopback (net/ipv4/route.c
 * ip_route_output_key_hash_rcu, net/ipv6/tcp_ipv6.c tcp_v6_connect). */
static __always_inline bool address_is_loopback(const struct weir_address *a)
{
	if (address_is4(a))
		return a->byte[12] == 127 || !a->word[3];
	return !a->word[0] && !a->word[1] && !a->word[2] &&
	       (!a->word[3] || a->word[3] == bpf_htonl(1));
}

#endif
