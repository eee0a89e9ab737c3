/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy.bpf.h - the tables of one policy slot, the commit word, and what else there is once.
 *
 * A packet reads control.active once and stays with that slot, so it never sees half a policy. User
 * space rewrites a slot only after every packet that could still be in it has left.
 */
#ifndef WEIR_POLICY_BPF_H
#define WEIR_POLICY_BPF_H

#include "maps.bpf.h"

static __always_inline struct weir_control *control_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

static __always_inline struct lock_value *meter_lock_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&meter_lock, &zero);
}

static __always_inline __u64 active_read(void)
{
	struct weir_control *c = control_get();

	return c ? READ_ONCE(c->active) : 0;
}

/* Another build's programs are taking over, and the meters with them: for some milliseconds, which
 * end by themselves. What has ended is cleared, for those who do not read the clock (egress.bpf.c).
 */
static __always_inline bool is_frozen(__u64 now_ns)
{
	struct weir_control *c = control_get();
	__u64 until_ns;

	if (!c)
		return false;
	until_ns = READ_ONCE(c->freeze_until_ns);
	if (now_ns < until_ns)
		return true;
	if (until_ns)
		__sync_val_compare_and_swap(&c->freeze_until_ns, until_ns, 0);
	return false;
}

static __always_inline void loss_count(__u32 loss)
{
	__u64 *count = bpf_map_lookup_elem(&losses, &loss);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* struct NAME *NAME_get(slot, index): one record of the slot's table, NULL when out of range. */
#define WEIR_TABLE_GET(function, type, outer)                                                      \
	static __always_inline type *function(__u32 slot, __u32 index)                             \
	{                                                                                          \
		void *table = bpf_map_lookup_elem(&outer, &slot);                                  \
                                                                                                   \
		return table ? bpf_map_lookup_elem(table, &index) : NULL;                          \
	}

WEIR_TABLE_GET(service_get, struct weir_service, services)
WEIR_TABLE_GET(partner_get, struct weir_partner, partners)
WEIR_TABLE_GET(grant_get, struct weir_grant, grants)
WEIR_TABLE_GET(rule_get, struct weir_rule, rules)
WEIR_TABLE_GET(interval_get, struct weir_interval, hours)
WEIR_TABLE_GET(lifeline_get, struct weir_lifeline_rule, lifelines)

#endif
