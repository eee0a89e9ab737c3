/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * abi.h - all that crosses between the kernel side and user space.
 *
 * Fixed width, explicit padding, sizes asserted. It is the only header that both sides include.
 *
 * Names become 64-bit keys (user/base/key.h). Keys are stable across policies; indices (service,
 * partner, grant, ...) hold for one policy slot only. Whatever must survive a new policy (meters,
 * latches, counters, events) is therefore identified by keys.
 *
 * Addresses are 16 bytes; IPv4 is stored v4-mapped (::ffff:a.b.c.d). Ports are in host order.
 * Times in *_ns: "boot" is CLOCK_BOOTTIME, "wall" is CLOCK_REALTIME since 1970.
 */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include <linux/types.h>

/* In control.abi stands WEIR_ABI_ID, which the Makefile makes from this file; or, when the guard is
 * being taken off on purpose and its daemon shall not put it back: */
#define WEIR_ABI_UNLOADED 0xffffffffu

#define WEIR_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

enum {
	WEIR_WINDOWS = 3,     /* windows of one budget */
	WEIR_SLICES = 17,     /* W/16 each: 16 whole ones and the running one cover W */
	WEIR_CLASS_WORDS = 4, /* 256 classes in one policy */
	WEIR_PATH_NAME = 96,  /* bytes of one cgroup path component that take part in matching */
	WEIR_PATH_DEPTH = 8,  /* components of a service's path; a power of two */
	WEIR_MAX_SERVICES = 4096, /* in one policy, the built-in ones included */
	WEIR_RULES_PER_PAIR = 64, /* rules for one (service, profile) */
	WEIR_LIFELINE_RULES = 64, /* lifeline rules that cover one address */
	WEIR_POLICY_SLOTS = 2,
	WEIR_CUT_SLOTS = 4,
	WEIR_CUT_ENTRIES = 4096,     /* cuts and exceptions of one slot */
	WEIR_OVERRIDES = 512,	     /* extensions, pauses, additions, probations of a slot */
	WEIR_ADDITIONS = 64,	     /* of them: a stranger's first packet meets each */
	WEIR_MAX_ORDERS = 4096,	     /* texts of cuts, exceptions, overrides */
	WEIR_STRANGER_SLOTS = 65536, /* power of two */
	WEIR_SPOKE_SLOTS = 1 << 18,  /* half for partners, half for strangers */
	WEIR_SPOKE_SHARE = 4096,     /* of the partners' half, for one of them; a power of two */
	WEIR_HOLDERS = 65536,
	WEIR_METERS = 1 << 20,
	WEIR_LEASES = 1024, /* of each CPU; a power of two */
	WEIR_FLOWS = 65536, /* a power of two */
	WEIR_CGROUPS = 16384,
	WEIR_EVENT_RING_BYTES = 4 << 20,
};

#define WEIR_ANY 0xffffffffu /* an index that stands for each */

/* Services known without a policy; named ones follow. `any` in a policy means the named ones. */
enum weir_builtin_service {
	WEIR_SERVICE_OTHER = 0,	    /* a local socket in no named service */
	WEIR_SERVICE_STACK = 1,	    /* the kernel's own packets */
	WEIR_SERVICE_FORWARDED = 2, /* no local socket */
	WEIR_SERVICE_NAMED = 3,	    /* the first named one */
};

/* Partner 0 and grant 0 exist in every policy and mean "none". */
#define WEIR_NO_PARTNER 0u
#define WEIR_NO_GRANT	0u

/* Keys of accounts that belong to no grant. User space never hands out a key below 256. */
enum weir_pseudo_key {
	WEIR_KEY_NONE = 0,
	WEIR_KEY_STRANGERS =
		1, /* (strangers, service, partner or 0): counters of who has no grant */
	WEIR_KEY_LIFELINE = 2, /* (lifeline, service, partner or 0) */
	WEIR_KEY_STACK = 3,    /* (stack, stack, partner or 0) */
	WEIR_KEY_REFUSED = 4,  /* (refused, service, partner): cut, or not to be classified */
	WEIR_KEY_EDGE = 5,     /* (edge, 0, partner): dropped before the stack */
	WEIR_KEY_CEILING = 6,  /* (ceiling, service, 0) or (ceiling, 0, partner) */
	WEIR_KEY_TOTAL = 7,    /* (total, service, 0): all strangers of a service */
	WEIR_KEY_PEER = 8,     /* a slot of the strangers' array */
	WEIR_KEY_HANDSHAKE =
		9, /* (handshake, service, partner or 0): no payload, not established */
	WEIR_KEY_DHCP = 10,
	WEIR_KEY_SERVICE_OTHER = 32, /* keys of the built-in services */
	WEIR_KEY_SERVICE_STACK = 33,
	WEIR_KEY_SERVICE_FORWARDED = 34,
};

enum weir_direction {
	WEIR_SERVES = 0,     /* they connected to our port; the rule's port is ours */
	WEIR_CALLS = 1,	     /* we connected to theirs; the rule's port is theirs */
	WEIR_CALLS_BACK = 2, /* we connected to someone who holds a connection to a port we serve */
};

enum weir_mode { WEIR_ENFORCE = 0, WEIR_OBSERVE = 1 };

enum weir_breach { WEIR_HOLD = 0, WEIR_ALERT = 1, WEIR_SEVER = 2 };

enum weir_verdict { WEIR_PASS = 0, WEIR_REFUSE = 1 };

/* Why. Every verdict carries one; the names that people see are in user/policy/words.c. */
enum weir_reason {
	WEIR_REASON_GRANT = 0, /* passes: by a grant, inside its budgets */
	WEIR_REASON_LIFELINE,  /* passes: above everything */
	WEIR_REASON_STRANGER,  /* no partner: inside the strangers' budget, or refused for it */
	WEIR_REASON_NO_GRANT,  /* a partner without a grant for this: treated as a stranger */
	WEIR_REASON_HOURS,     /* a grant matches, but not at this hour */
	WEIR_REASON_EXPIRED,   /* the partner's from/until */
	WEIR_REASON_STACK,     /* the kernel's own packet */
	WEIR_REASON_CUT,       /* an order */
	WEIR_REASON_SEVERED,   /* a latch: the guard's own cut after a breach */
	WEIR_REASON_BUDGET,    /* the grant's budget */
	WEIR_REASON_SERVICE_BUDGET, /* the service's ceiling */
	WEIR_REASON_PARTNER_BUDGET, /* the partner's ceiling */
	WEIR_REASON_PEER_BUDGET,    /* the strangers' budget of one address */
	WEIR_REASON_TOTAL_BUDGET,   /* all strangers of a service together */
	WEIR_REASON_NO_PAYLOAD,	    /* too many segments without payload */
	WEIR_REASON_MPTCP,	    /* refused at creation */
	WEIR_REASON_SOURCE,	    /* sent in somebody else's name */
	WEIR_REASON_UNCLASSIFIED,   /* the headers could not be read */
	WEIR_REASON_METERS_FULL,    /* no room for a meter */
	WEIR_REASON_FROZEN,	    /* the meters are just moving to another build's programs */
	WEIR_REASONS
};

/* ---- budgets and meters ------------------------------------------------------------------- */

struct weir_limit {
	__u64 bytes;
	__u64 window_ns; /* 0: not in use */
};
WEIR_SIZE(struct weir_limit, 16);

/* The ones in use come first, in rising order of window_ns. None in use: no limit. */
struct weir_limits {
	struct weir_limit window[WEIR_WINDOWS];
};
WEIR_SIZE(struct weir_limits, 48);

/* `used` is the sum of `slice`; `head` is the running one, which began at `slice_start_ns`. */
struct weir_window {
	__u64 window_ns;
	__u64 slice_ns;
	__u64 slice_start_ns; /* boot */
	__u64 used_bytes;
	__u64 warned_until_ns;	/* boot; no second warning at 80 % before */
	__u64 alerted_until_ns; /* boot; no second alert before */
	__u32 head;
	__u32 remade; /* how often it got another length, and so slices of another grid */
	__u64 slice[WEIR_SLICES];
};
WEIR_SIZE(struct weir_window, 192);

/*
 * The account of one (grant or pseudo key, service, partner), found by weir_meter_key().
 * Counters are exact: written under the one lock. Direction CALLS_BACK counts as CALLS.
 */
struct weir_meter {
	__u64 grant_key;
	__u64 service_key;
	__u64 partner_key;
	__u64 sent_bytes[2]; /* IP bytes on the wire, by WEIR_SERVES and WEIR_CALLS */
	__u64 sent_packets[2];
	__u64 acked_bytes[2]; /* payload that the peer's TCP acknowledged */
	__u64 refused_bytes;
	__u64 refused_packets;
	__u64 would_refuse_bytes; /* observe: what would have been refused */
	__u64 would_refuse_packets;
	__u64 last_sent_ns; /* boot */
	__u64 told_ns;	    /* boot */
	__u64 told;	    /* events in the second that began at told_ns */
	__u64 untold;	    /* refusals since */
	__u64 severed_ns;   /* boot; 0: not latched */
	struct weir_window window[WEIR_WINDOWS];
	__u64 leases; /* bpf/lease.bpf.h: so many are charged here and run; not kept on disk */
};
WEIR_SIZE(struct weir_meter, 152 + 3 * 192);

/* Where in the value of `meter_lock` a u32 counts the packets that met a meter. */
#define WEIR_LOCK_CHARGES 4

/*
 * Takes back what was charged without having been measured. A part lies in the slice that was `age`
 * slices behind `head` when the running one began at start_ns; a window that was refitted since has
 * it elsewhere, and keeps it.
 */
struct weir_part {
	__u64 start_ns; /* boot */
	__u64 bytes;	/* 0: none */
	__u32 head;
	__u32 age;
};
WEIR_SIZE(struct weir_part, 24);

struct weir_forgive {
	__u64 key;  /* of `meters` */
	__u32 slot; /* of `strangers`; WEIR_ANY: it is an account */
	__u32 pad;
	struct weir_part part[WEIR_WINDOWS];
	__u64 forgiven_bytes; /* out: the most that one window got back */
};
WEIR_SIZE(struct weir_forgive, 24 + 3 * 24);

/* Adds to the counters of an account what an earlier build's programs counted meanwhile. */
struct weir_carry {
	__u64 key;
	__u64 sent_bytes[2];
	__u64 sent_packets[2];
	__u64 acked_bytes[2];
	__u64 refused_bytes;
	__u64 refused_packets;
	__u64 would_refuse_bytes;
	__u64 would_refuse_packets;
};
WEIR_SIZE(struct weir_carry, 88);

static inline __attribute__((always_inline)) __u64 weir_mix(__u64 h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}

/* Key of a meter. Two accounts with one key would share a meter, which is only stricter. */
static inline __attribute__((always_inline)) __u64 weir_meter_key(__u64 grant, __u64 service,
								  __u64 partner)
{
	return weir_mix(weir_mix(weir_mix(grant) + service) + partner);
}

/* ---- the compiled policy: one slot of tables per generation --------------------------------- */

struct weir_policy_head {
	__u8 mode;
	__u8 pad[3];
	__u32 services; /* entries in each table, the built-in ones included */
	__u32 partners;
	__u32 grants;
	__u32 rules;
	__u32 hours;
	__u32 lifeline_rules;
	__u32 pad2;
	__u8 digest[32]; /* SHA-256 over all its files */
};
WEIR_SIZE(struct weir_policy_head, 64);

enum weir_stranger_rule { WEIR_DENY = 0, WEIR_BUDGET = 1, WEIR_UNLIMITED = 2 };

struct weir_strangers {
	struct weir_limits serves; /* per peer: an IPv4 /32 or an IPv6 /56 */
	struct weir_limits calls;
	struct weir_limits total;
	__u8 serves_rule;
	__u8 calls_rule;
	__u8 on_breach;
	__u8 pad[5];
};
WEIR_SIZE(struct weir_strangers, 152);

struct weir_service {
	__u64 key;
	__u64 classes[WEIR_CLASS_WORDS];
	struct weir_limits ceiling;
	struct weir_strangers strangers;
	__u8 mode;
	__u8 pad[7];
};
WEIR_SIZE(struct weir_service, 248);

struct weir_partner {
	__u64 key;
	__u64 classes[WEIR_CLASS_WORDS];
	struct weir_limits ceiling;
	__u64 from_ns;	/* wall; 0: always */
	__u64 until_ns; /* wall; ~0: for ever */
	__u32 profile;	/* partners with the same rules share one */
	__u32 pad;
};
WEIR_SIZE(struct weir_partner, 112);

struct weir_grant {
	__u64 key;
	__u64 classes[WEIR_CLASS_WORDS];
	struct weir_limits budget;
	__u32 hours_first; /* its intervals in the table of hours, in rising order */
	__u32 hours_count; /* 0: at all hours */
	__u8 on_breach;
	__u8 mode;
	__u8 pad[6];
};
WEIR_SIZE(struct weir_grant, 104);

/* Closed at from_ns - 1, open at from_ns, closed at until_ns. */
struct weir_interval {
	__u64 from_ns; /* wall */
	__u64 until_ns;
};
WEIR_SIZE(struct weir_interval, 16);

/* The rules of a pair stand one after the other; the first that matches decides. */
struct weir_rule {
	__u32 grant;
	__u8 direction;
	__u8 protocol; /* IPPROTO_*; ICMP and ICMPv6 are two rules */
	__u16 port_first;
	__u16 port_last; /* 0..65535 for a protocol without ports */
	__u8 pad[2];
};
WEIR_SIZE(struct weir_rule, 12);

struct weir_pair {
	__u32 service;
	__u32 profile;
};
WEIR_SIZE(struct weir_pair, 8);

struct weir_span {
	__u32 first;
	__u32 count;
};
WEIR_SIZE(struct weir_span, 8);

/*
 * One step of the automaton that recognises a service from its cgroup path, as an LPM trie key.
 * prefixlen = 32 + 8 * bytes of `name` that must match. A literal component is stored with its
 * terminating NUL, "sftp-*" as "sftp-" without it, so that a literal wins over a `*`, and a longer
 * prefix over a shorter. State 0 is the guarded root. `state` is stored as it stands in memory.
 */
struct weir_path_key {
	__u32 prefixlen;
	__u32 state;
	char name[WEIR_PATH_NAME];
};
WEIR_SIZE(struct weir_path_key, 104);

struct weir_path_step {
	__u32 next;
	__u32 service; /* WEIR_ANY: this step names none; the last one named stands */
};
WEIR_SIZE(struct weir_path_step, 8);

struct weir_prefix4 {
	__u32 prefixlen;
	__u8 address[4];
};
WEIR_SIZE(struct weir_prefix4, 8);

struct weir_prefix6 {
	__u32 prefixlen;
	__u8 address[16];
};
WEIR_SIZE(struct weir_prefix6, 20);

/*
 * The lifeline has tries of its own: prefix -> span of rules. The span of a nested prefix repeats
 * the rules of the prefixes around it, so that one look-up finds all.
 */
struct weir_lifeline_rule {
	__u32 service;
	__u8 direction; /* WEIR_SERVES or WEIR_CALLS */
	__u8 protocol;
	__u16 port_first;
	__u16 port_last;
	__u8 pad[6];
	struct weir_limits warn;
};
WEIR_SIZE(struct weir_lifeline_rule, 64);

/* ---- orders ----------------------------------------------------------------------------------*/

enum weir_target {
	WEIR_TARGET_NOTHING = 0, /* its name is in no policy: covers nothing */
	WEIR_TARGET_ALL,
	WEIR_TARGET_STRANGERS,
	WEIR_TARGET_PARTNER,
	WEIR_TARGET_SERVICE,
	WEIR_TARGET_GRANT,
	WEIR_TARGET_CLASS, /* `index` is the number of the class's bit */
	WEIR_TARGET_ADDRESS,
};

/* A cut, followed by its exceptions. A packet is cut while one cut covers it and none of its
 * exceptions does. */
struct weir_cut_entry {
	__u64 order; /* id of the cut; of the exception's own order for an exception */
	__u8 target;
	__u8 is_exception;
	__u8 prefix_bits; /* of `address`, 0..128: v4-mapped prefixes count from 96 */
	__u8 pad[5];
	__u32 service; /* X@service:NAME; WEIR_ANY: in each */
	__u32 index;
	__u8 address[16];
};
WEIR_SIZE(struct weir_cut_entry, 40);

/*
 * What an order changes for a while. What loosens counts until its end, which no process has to
 * bring about, and not while the clock is in doubt: an extension lets a grant pass more_bytes more
 * in each window of its budget; a pause lets pass, and records, what would be refused; an addition
 * makes the addresses of a prefix those of a partner, where the policy gives them to none. A
 * probation leaves of each limit of a grant's budget so many parts, without an end, and above an
 * extension. None of them lifts a cut.
 */
struct weir_override {
	struct weir_cut_entry at; /* what it is about; no exception. An addition's: its prefix, and
				   * in `index` the partner */
	__u64 until_ns;		  /* wall; ~0: it has no end */
	union {
		__u64 more_bytes; /* an extension's */
		__u64 parts;	  /* a probation's: of WEIR_WHOLE, at most that */
	};
	__u32 grant; /* an extension's */
	__u8 kind;   /* enum weir_order_kind, no cut's */
	__u8 pad[3];
};
WEIR_SIZE(struct weir_override, 64);

struct weir_cut_head {
	__u32 entries;
	__u32 touches_edge; /* some entry can be judged by address alone */
	__u32 overrides;
	__u32 additions; /* so many of them, and these are the first */
};
WEIR_SIZE(struct weir_cut_head, 16);

enum weir_order_kind {
	WEIR_ORDER_CUT = 0, /* and the exceptions to one */
	WEIR_ORDER_EXTEND = 1,
	WEIR_ORDER_PAUSE = 2,
	WEIR_ORDER_PROBATION = 3,
	WEIR_ORDER_PARTNER_ADD = 4,
	WEIR_ORDER_LAST = WEIR_ORDER_PARTNER_ADD,
};

/* The text of an order, kept in the kernel so that it lives as long as the cut. User space only. */
struct weir_order {
	__u64 id;	/* 0: free */
	__u64 parent;	/* 0: an order of its own; else the cut that this reopens a part of */
	__u64 since_ns; /* wall */
	__u64 until_ns; /* wall; 0: until somebody reopens, or the plan ends a probation */
	char target[128];
	char reason[192];
	char by[64];   /* who ordered: name, uid, login uid; or who signed */
	__u8 body[32]; /* SHA-256 of the signed order that it came from; 0: it is a local one */
	union {
		__u64 more_bytes; /* of an extension */
		__u64 parts;	  /* of a probation */
		__u64 stands_for; /* of a cut: the one of which it keeps a part cut, under a policy
				   * that lacks the object of that; 0: none */
	};
	char grant[56];	  /* of an extension: its name */
	__u8 address[16]; /* of an addition: its prefix */
	__u8 kind;	  /* enum weir_order_kind */
	__u8 prefix_bits; /* of `address`, as in weir_cut_entry */
	__u8 pad[6];
};
WEIR_SIZE(struct weir_order, 536);

/* ---- the guard's state
 * -------------------------------------------------------------------------*/

/*
 * Written by user space through mmap, word by word. `active` is the commit point of every change:
 * generation << 32 | policy slot << 16 | cut slot.
 */
struct weir_control {
	__u64 active;
	__s64 wall_offset_ns; /* wall = boot + this; set by the daemon or an order, never by a step
			       */
	__u64 root_cgroup;    /* id of the guarded cgroup; service paths start below it */
	__u64 secret[2];      /* keys of the hashes; not readable but by root */
	__u64 hours_closed;   /* the clock stepped: hours stay closed until somebody confirms */
	__u64 observe;	      /* `weir run --observe`: overrides the policy's mode */
	__u64 abi;
	__u64 freeze_until_ns; /* boot; until then nothing is charged to a budget: refused */
	__u64 tick_ns;	       /* of the kernel's jiffies; 0: not known, and nothing is lent */
};
WEIR_SIZE(struct weir_control, 80);

static inline __attribute__((always_inline)) __u64 weir_active(__u32 generation, __u32 policy_slot,
							       __u32 cut_slot)
{
	return (__u64)generation << 32 | (policy_slot & 0xffff) << 16 | (cut_slot & 0xffff);
}

static inline __attribute__((always_inline)) __u32 weir_generation(__u64 active)
{
	return active >> 32;
}

static inline __attribute__((always_inline)) __u32 weir_policy_slot(__u64 active)
{
	return (active >> 16) & 0xffff;
}

static inline __attribute__((always_inline)) __u32 weir_cut_slot(__u64 active)
{
	return active & 0xffff;
}

/* What a cgroup sent, and which service it is; a cache and a statistic, never the base of a
 * refusal. Key: cgroup id. */
struct weir_cgroup {
	__u64 sent_bytes;
	__u64 sent_packets;
	__u64 stamp; /* generation << 32 | index of the service */
};
WEIR_SIZE(struct weir_cgroup, 24);

/* Losses, each counted. Their names are in user/policy/words.c. */
enum weir_loss {
	WEIR_LOST_EVENTS = 0,	  /* the ring was full */
	WEIR_LOST_STORAGE,	  /* no socket-local storage: judged the full way */
	WEIR_LOST_UNCLASSIFIED,	  /* headers that could not be read: refused */
	WEIR_LOST_METERS_FULL,	  /* no room for a meter: refused */
	WEIR_LOST_HOLDERS_FULL,	  /* no room to note a held connection: its calls_back is refused */
	WEIR_LOST_SPOKE_EVICTED,  /* a UDP peer's place was taken: its answers count as calls */
	WEIR_LOST_CGROUP_UNREAD,  /* the cgroup's path could not be read: service `other` */
	WEIR_LOST_OPENER_UNKNOWN, /* a TCP connection older than the guard: counts as called */
	WEIR_LOST_EDGE_UNREAD, /* XDP could not read a header of a packet while something is cut */
	WEIR_LOST_HOOK,	       /* a hook could not find its own tables: refused */
	WEIR_LOST_UNREAD, /* events of another build, that nobody can read; user space counts */
	WEIR_LOSSES
};

/* ---- the decision: question and answer -------------------------------------------------------*/

struct weir_question {
	__u8 peer[16]; /* first, so that it is aligned */
	__u32 service;
	__u16 port; /* ours for WEIR_SERVES, theirs for WEIR_CALLS; 0 without ports */
	__u8 protocol;
	__u8 direction; /* WEIR_SERVES or WEIR_CALLS */
	__u8 is_held;	/* the peer holds a connection that this service accepted */
	__u8 pad[3];
	__u32 cut_slot; /* which cuts; WEIR_ANY: the active ones */
	__u64 now_ns;	/* boot */
};
WEIR_SIZE(struct weir_question, 40);

struct weir_answer {
	__u64 account;		/* key of the meter that it is charged to */
	union {			/* its place on each hook's stack is dear */
		__u64 order;	/* WEIR_REASON_CUT: the cut that covers it */
		__u64 overrule; /* else: of the limits of its grant's budget; weir_limit() */
	};
	__u64 valid_until_ns; /* boot; ~0: until the next generation */
	__u32 generation;
	__u32 policy_slot;
	__u32 service;
	__u32 partner;
	__u32 grant;
	__u32 shadow;	/* a grant in observe that would have decided; WEIR_NO_GRANT: none */
	__u32 lifeline; /* index of the lifeline rule, for its warning */
	__u8 verdict;
	__u8 reason;
	__u8 direction; /* WEIR_CALLS_BACK when such a rule matched */
	__u8 observe; /* host or service in observe, or paused: refusals are recorded, not done (not
		       * for cuts) */
};
WEIR_SIZE(struct weir_answer, 56);

/* What probations leave of a limit, or what extensions add to it. Bit 63 tells which. */
#define WEIR_WHOLE     1024
#define WEIR_PROBATION (1ULL << 63)

/* What a limit of so many bytes is under weir_answer.overrule. */
static inline __attribute__((always_inline)) __u64 weir_limit(__u64 bytes, __u64 overrule)
{
	__u64 parts = overrule % (2 * WEIR_WHOLE);

	if (!(overrule & WEIR_PROBATION))
		return bytes + overrule;
	return bytes / WEIR_WHOLE * parts + bytes % WEIR_WHOLE * parts / WEIR_WHOLE;
}

/* The cut that covers it, or 0. */
static inline __attribute__((always_inline)) __u64 weir_order_of(const struct weir_answer *a)
{
	return a->reason == WEIR_REASON_CUT ? a->order : 0;
}

/* ---- events ----------------------------------------------------------------------------------*/

enum weir_event_kind {
	WEIR_EVENT_REFUSED = 1,	 /* a packet's: at most one a second per account; a connect's: 16 */
	WEIR_EVENT_WOULD_REFUSE, /* the same in observe */
	WEIR_EVENT_WARNING,	 /* 80 % of a budget */
	WEIR_EVENT_ALERT,	 /* over a budget whose breach only tells */
	WEIR_EVENT_HELD,	 /* over a budget that holds */
	WEIR_EVENT_SEVERED,	 /* latched */
	WEIR_EVENT_OPENED,	 /* a TCP connection was established */
	WEIR_EVENT_CLOSED,	 /* it ended: bytes and acked_bytes are its totals */
};

struct weir_event {
	__u64 boot_ns;
	__u64 wall_ns;
	__u64 service_key;
	__u64 partner_key;
	__u64 grant_key;
	__u64 account; /* key of the meter concerned */
	__u64 order;
	__u64 cgroup;
	__u64 bytes;	   /* of this packet; of the connection for OPENED and CLOSED */
	__u64 acked_bytes; /* CLOSED */
	__u64 limit_bytes; /* of the window concerned */
	__u64 window_ns;
	__u64 used_bytes;
	__u64 untold; /* refusals since the last event of this account */
	__u32 pid;    /* who made the socket; 0: not known */
	__u32 generation;
	__u8 local[16];
	__u8 peer[16];
	__u16 local_port;
	__u16 peer_port;
	__u8 kind;
	__u8 verdict;
	__u8 reason;
	__u8 direction;
	__u8 protocol;
	__u8 observe;
	__u8 pad[6];
	char program[16]; /* comm of who made the socket */
};
WEIR_SIZE(struct weir_event, 184);

/* ---- ending sockets: what the iterator is asked, and what it tells ---------------------------*/

enum weir_sever_mode {
	WEIR_SEVER_CUT = 0, /* all that a cut or a latch refuses now */
	WEIR_SEVER_ACCOUNT, /* all that are charged to one account */
};

struct weir_sever_request {
	__u64 account;
	__u32 mode;
	__u32 cut_slot; /* judged by these cuts: the active ones, or those of a dry run */
	__u8 peer[16]; /* WEIR_SEVER_ACCOUNT of strangers: of this one alone (IPv4 /32, IPv6 /56) */
	__u8 is_one_peer;
	__u8 pad[7];
};
WEIR_SIZE(struct weir_sever_request, 40);

/* The /56 of an IPv6 stranger, or the whole IPv4 address, as two words in host order. */
static inline __attribute__((always_inline)) void weir_stranger(const __u8 peer[16], __u64 *high,
								__u64 *low)
{
	__u64 word[2] = {0, 0};
	int i;

	for (i = 0; i < 16; i++)
		word[i / 8] = word[i / 8] << 8 | peer[i];
	if (word[0] || word[1] >> 32 != 0xffff) {
		word[0] &= ~0xffULL;
		word[1] = 0;
	}
	*high = word[0];
	*low = word[1];
}

/* One selected socket, as the selecting iterator writes it (bpf_seq_write). */
struct weir_selected {
	__u64 cookie;
	__u64 order;
	__u32 service; /* index in the active slot */
	__u32 partner;
	__u8 local[16];
	__u8 peer[16];
	__u16 local_port;
	__u16 peer_port;
	__u16 family; /* of the socket: AF_INET or AF_INET6 */
	__u8 protocol;
	__u8 is_ended; /* the iterator ended it itself (bpf_sock_destroy) */
};
WEIR_SIZE(struct weir_selected, 64);

/* ---- looking at sockets ----------------------------------------------------------------------*/

/* One open connection, as the listing iterator writes it, judged as its next packet would be. */
struct weir_session {
	__u64 cookie;
	__u64 inode;   /* of the socket: what /proc/PID/fd/N links to; 0: no process has it */
	__u64 account; /* key of the meter that it is charged to */
	__u64 order;   /* the cut that covers it */
	__u64 sent_bytes;
	__u64 acked_bytes;
	__u64 waiting_bytes; /* written by the application, not acknowledged by the peer (TCP) */
	__u32 service;	     /* indices in the active slot */
	__u32 partner;
	__u32 grant;
	__u32 uid; /* of the socket's inode */
	__u32 pid; /* who made the socket, or its listener; 0: not known */
	__u8 local[16];
	__u8 peer[16];
	__u16 local_port;
	__u16 peer_port;
	__u16 family;
	__u8 protocol;
	__u8 direction;
	__u8 verdict;
	__u8 reason;
	__u8 is_severed; /* by a latch */
	__u8 is_counted; /* there is storage: sent_bytes and pid are known */
	char program[16];
	__u8 pad[8];
};
WEIR_SIZE(struct weir_session, 144);

#endif /* WEIR_ABI_H */
