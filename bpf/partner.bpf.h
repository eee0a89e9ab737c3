/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * partner.bpf.h - address -> partner, by longest prefix; and the lifeline's own look-up. What an
 * order adds to a partner for a while is in orders.bpf.h.
 */
#ifndef WEIR_PARTNER_BPF_H
#define WEIR_PARTNER_BPF_H

#include "policy.bpf.h"

static __always_inline void *prefix_lookup4(void *trie, const struct weir_address *a)
{
	struct weir_prefix4 key = {.prefixlen = 32};

	*(__u32 *)key.address = a->word[3];
	return bpf_map_lookup_elem(trie, &key);
}

static __always_inline void *prefix_lookup6(void *trie, const struct weir_address *a)
{
	struct weir_prefix6 key = {.prefixlen = 128};
	__u32 *word = (__u32 *)key.address;

	word[0] = a->word[0];
	word[1] = a->word[1];
	word[2] = a->word[2];
	word[3] = a->word[3];
	return bpf_map_lookup_elem(trie, &key);
}

static __always_inline __u32 partner_of(__u32 slot, const struct weir_address *a)
{
	__u32 *partner = NULL;
	void *trie;

	if (address_is4(a)) {
		trie = bpf_map_lookup_elem(&prefixes4, &slot);
		if (trie)
			partner = prefix_lookup4(trie, a);
	} else {
		trie = bpf_map_lookup_elem(&prefixes6, &slot);
		if (trie)
			partner = prefix_lookup6(trie, a);
	}
	return partner ? *partner : WEIR_NO_PARTNER;
}

/* The lifeline rules whose prefix covers `a`. */
static __always_inline struct weir_span lifeline_of(__u32 slot, const struct weir_address *a)
{
	struct weir_span none = {0}, *span = NULL;
	void *trie;

	if (address_is4(a)) {
		trie = bpf_map_lookup_elem(&lifeline4, &slot);
		if (trie)
			span = prefix_lookup4(trie, a);
	} else {
		trie = bpf_map_lookup_elem(&lifeline6, &slot);
		if (trie)
			span = prefix_lookup6(trie, a);
	}
	return span ? *span : none;
}

#endif
