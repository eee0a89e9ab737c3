/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * names.c - from keys to indices and names.
 */
#include "user/daemon/names.h"

#include <stddef.h>

static int put_key(struct table *table, const __u64 *key, uint32_t index)
{
	uint32_t found;

	return table_put(table, key, sizeof(*key), index, &found);
}

int names_init(struct names_of_keys *names, const struct image *image)
{
	int r = 0;

	*names = (struct names_of_keys){.image = image};
	for (uint32_t i = 0; i < image->head.services && r == 0; i++)
		r = put_key(&names->services, &image->services[i].key, i);
	for (uint32_t i = 1; i < image->head.partners && r == 0; i++)
		r = put_key(&names->partners, &image->partners[i].key, i);
	for (uint32_t i = 1; i < image->head.grants && r == 0; i++)
		r = put_key(&names->grants, &image->grants[i].key, i);
	if (r < 0)
		names_free(names);
	return r;
}

void names_free(struct names_of_keys *names)
{
	table_free(&names->services);
	table_free(&names->partners);
	table_free(&names->grants);
	*names = (struct names_of_keys){0};
}

uint32_t names_service_index(const struct names_of_keys *names, uint64_t key)
{
	return table_get(&names->services, &key, sizeof(key));
}

uint32_t names_partner_index(const struct names_of_keys *names, uint64_t key)
{
	return table_get(&names->partners, &key, sizeof(key));
}

uint32_t names_grant_index(const struct names_of_keys *names, uint64_t key)
{
	return table_get(&names->grants, &key, sizeof(key));
}

static const char *name_at(char *const *texts, uint32_t index, uint64_t key)
{
	if (key == WEIR_KEY_NONE)
		return "";
	return index == TABLE_NONE ? NULL : texts[index];
}

const char *names_service(const struct names_of_keys *names, uint64_t key)
{
	return name_at(names->image ? names->image->service_names : NULL,
		       names_service_index(names, key), key);
}

const char *names_partner(const struct names_of_keys *names, uint64_t key)
{
	return name_at(names->image ? names->image->partner_names : NULL,
		       names_partner_index(names, key), key);
}

const char *names_grant(const struct names_of_keys *names, uint64_t key)
{
	static const char *const pseudo[] = {
		[WEIR_KEY_NONE] = "",
		[WEIR_KEY_STRANGERS] = "strangers",
		[WEIR_KEY_LIFELINE] = "lifeline",
		[WEIR_KEY_STACK] = "stack",
		[WEIR_KEY_REFUSED] = "refused",
		[WEIR_KEY_EDGE] = "edge",
		[WEIR_KEY_CEILING] = "ceiling",
		[WEIR_KEY_TOTAL] = "strangers-total",
		[WEIR_KEY_PEER] = "stranger",
		[WEIR_KEY_HANDSHAKE] = "handshake",
		[WEIR_KEY_DHCP] = "dhcp",
	};

	if (key < sizeof(pseudo) / sizeof(pseudo[0]))
		return pseudo[key];
	return name_at(names->image ? names->image->grant_names : NULL,
		       names_grant_index(names, key), key);
}
