/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * names.h - from the keys that the kernel tells to the indices and names of an image.
 */
#ifndef WEIR_NAMES_H
#define WEIR_NAMES_H

#include "user/base/table.h"
#include "user/policy/image.h"

/* All zero knows no key. It borrows from the image, which must outlive it. */
struct names_of_keys {
	const struct image *image;
	struct table services, partners, grants;
};

/* 0 or -ENOMEM. */
int names_init(struct names_of_keys *names, const struct image *image);
void names_free(struct names_of_keys *names);

/* Index, or TABLE_NONE for a key of no service (partner, grant) of this policy. */
uint32_t names_service_index(const struct names_of_keys *names, uint64_t key);
uint32_t names_partner_index(const struct names_of_keys *names, uint64_t key);
uint32_t names_grant_index(const struct names_of_keys *names, uint64_t key);

/* Name; "" for key 0; NULL for one that is not known. Pseudo keys of accounts have names as grants:
 * strangers, lifeline, stack, ... */
const char *names_service(const struct names_of_keys *names, uint64_t key);
const char *names_partner(const struct names_of_keys *names, uint64_t key);
const char *names_grant(const struct names_of_keys *names, uint64_t key);

#endif
