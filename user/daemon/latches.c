/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * latches.c - accounts that the guard severed by itself.
 */
#include "user/daemon/latches.h"

#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/cover.h"

void latches_free(struct latches *latches)
{
	free(latches->item);
	*latches = (struct latches){0};
}

struct latch *latches_find(const struct latches *latches, uint64_t account)
{
	for (size_t i = 0; i < latches->count; i++) {
		if (latches->item[i].account == account)
			return &latches->item[i];
	}
	return NULL;
}

int latches_note(struct latches *latches, uint64_t key, const struct weir_meter *meter)
{
	bool is_of_slots = key == WEIR_KEY_PEER;
	struct latch *latch = NULL;

	if (!meter->severed_ns)
		return 0;
	if (is_of_slots) {
		key = weir_meter_key(WEIR_KEY_PEER, meter->service_key, 0);
		latch = latches_find(latches, key);
	}
	if (!latch) {
		latch = ARRAY_ADD(latches->item, latches->count);
		if (!latch)
			return -ENOMEM;
		latches->count++;
		*latch = (struct latch){.account = key,
					.is_of_slots = is_of_slots,
					.severed_ns = meter->severed_ns,
					.grant_key = meter->grant_key,
					.service_key = meter->service_key,
					.partner_key = meter->partner_key};
	}
	if (meter->severed_ns < latch->severed_ns)
		latch->severed_ns = meter->severed_ns;
	latch->count++;
	return 0;
}

static int note(uint64_t key, const struct weir_meter *meter, void *data)
{
	return latches_note(data, key, meter);
}

int latches_read(const struct host *host, struct latches *latches)
{
	int r;

	*latches = (struct latches){0};
	r = guard_meters(host->guard, note, latches);
	if (r < 0)
		latches_free(latches);
	return r;
}

static int load_one(const struct host *host, const char *name, struct meters_read *read)
{
	_cleanup_free_ char *path = host_path(host, name), *data = NULL;
	size_t length;
	int r = path ? file_read(path, METERS_MOST_BYTES, &data, &length) : -ENOMEM;

	return r < 0 ? r : meters_file_read((const uint8_t *)data, length, read);
}

int latches_load(const struct host *host, struct meters_read *read, bool *is_of_copy)
{
	int r = load_one(host, LATCHES_FILE, read), of_copy;

	*is_of_copy = false;
	if (r == 0 || r == -ENOMEM)
		return r;
	of_copy = load_one(host, LATCHES_COPY, read);
	*is_of_copy = of_copy == 0;
	return of_copy == 0 || of_copy == -ENOMEM || r == -ENOENT ? of_copy : r;
}

int latches_saved(const struct host *host, struct latches *latches)
{
	struct meters_read read = {0};
	bool is_of_copy;
	int r = latches_load(host, &read, &is_of_copy);

	*latches = (struct latches){0};
	if (r == -ENOENT)
		r = load_one(host, "meters", &read); /* those that were latched are among them */
	if (r == -ENOENT)
		return 0;
	for (size_t i = 0; r == 0 && i < read.count; i++)
		r = latches_note(latches, read.item[i].key, &read.item[i].meter);
	meters_read_free(&read);
	if (r < 0)
		latches_free(latches);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

bool latch_is_of_strangers(const struct latch *latch)
{
	return latch->is_of_slots || latch->grant_key == WEIR_KEY_STRANGERS ||
	       latch->grant_key == WEIR_KEY_TOTAL;
}

bool latch_is_in(const struct host *host, const struct latch *latch,
		 const struct weir_cut_entry *target)
{
	uint32_t service = names_service_index(&host->names, latch->service_key);
	uint32_t partner = names_partner_index(&host->names, latch->partner_key);
	uint32_t grant = names_grant_index(&host->names, latch->grant_key);

	return target_holds_account(&host->image, target, service, partner, grant,
				    latch_is_of_strangers(latch));
}

char *latch_target(const struct host *host, const struct latch *latch)
{
	const char *grant = names_grant(&host->names, latch->grant_key);
	const char *service = names_service(&host->names, latch->service_key);
	char *text;
	int r;

	if (latch->is_of_slots && !latch->service_key) /* whose they are is not known */
		r = asprintf(&text, "strangers");
	else if (latch_is_of_strangers(latch))
		r = asprintf(&text, "strangers@service:%s", service ? service : "?");
	else
		r = asprintf(&text, "grant:%s", grant ? grant : "?");
	return r < 0 ? NULL : text;
}
