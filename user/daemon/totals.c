/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * totals.c - sums of the accounts.
 */
#include "user/daemon/totals.h"

#include <errno.h>
#include <stdlib.h>

struct summing {
	const struct host *host;
	struct totals *totals;
};

bool account_is_counted(uint64_t grant_key)
{
	switch (grant_key) {
	case WEIR_KEY_CEILING:
	case WEIR_KEY_TOTAL:
	case WEIR_KEY_PEER:
	case WEIR_KEY_HANDSHAKE:
	case WEIR_KEY_DHCP:
		return false;
	}
	return true;
}

void total_add(struct total *total, const struct weir_meter *meter)
{
	total->sent_bytes += meter->sent_bytes[0] + meter->sent_bytes[1];
	total->sent_packets += meter->sent_packets[0] + meter->sent_packets[1];
	total->acked_bytes += meter->acked_bytes[0] + meter->acked_bytes[1];
	total->refused_bytes += meter->refused_bytes;
	total->refused_packets += meter->refused_packets;
	total->would_refuse_bytes += meter->would_refuse_bytes;
	total->would_refuse_packets += meter->would_refuse_packets;
}

static int sum(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct summing *summing = data;
	struct totals *totals = summing->totals;
	const struct names_of_keys *names = &summing->host->names;
	uint32_t service, partner;
	int r = latches_note(&totals->latches, key, meter);

	if (r < 0 || key == WEIR_KEY_PEER || !account_is_counted(meter->grant_key))
		return r;
	service = names_service_index(names, meter->service_key);
	partner = meter->partner_key ? names_partner_index(names, meter->partner_key)
				     : WEIR_NO_PARTNER;
	if (meter->grant_key == WEIR_KEY_EDGE) {
		if (partner != TABLE_NONE) {
			totals->partners[partner].edge_packets += meter->refused_packets;
			totals->partners[partner].edge_bytes += meter->refused_bytes;
		}
		return 0;
	}
	total_add(service == TABLE_NONE ? &totals->former_services : &totals->services[service],
		  meter);
	total_add(partner == TABLE_NONE ? &totals->former_partners : &totals->partners[partner],
		  meter);
	if (service != TABLE_NONE && meter->grant_key == WEIR_KEY_STRANGERS)
		total_add(&totals->strangers[service], meter);
	return 0;
}

int totals_read(const struct host *host, struct totals *totals)
{
	struct summing summing = {host, totals};

	*totals = (struct totals){0};
	totals->services = calloc(host->image.head.services + 1, sizeof(struct total));
	totals->partners = calloc(host->image.head.partners + 1, sizeof(struct total));
	totals->strangers = calloc(host->image.head.services + 1, sizeof(struct total));
	if (!totals->services || !totals->partners || !totals->strangers)
		return -ENOMEM;
	return guard_meters(host->guard, sum, &summing);
}

void totals_free(struct totals *totals)
{
	free(totals->services);
	free(totals->partners);
	free(totals->strangers);
	latches_free(&totals->latches);
	*totals = (struct totals){0};
}
