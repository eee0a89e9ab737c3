/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * assumed.c - what meters hold that was not measured.
 */
#include "user/daemon/assumed.h"

#include <errno.h>
#include <stdlib.h>

#include "user/base/array.h"

void assumed_free(struct assumed *assumed)
{
	free(assumed->item);
	*assumed = (struct assumed){0};
}

int assumed_add(struct assumed *assumed, const struct kept_meter *kept)
{
	struct assumed_meter *item;
	bool has_part = false;

	for (unsigned i = 0; i < WEIR_WINDOWS; i++)
		has_part |= kept->part[i].bytes != 0;
	if (!has_part)
		return 0;
	item = ARRAY_ADD(assumed->item, assumed->count);
	if (!item)
		return -ENOMEM;
	assumed->count++;
	item->key = kept->key;
	item->slot = kept->slot;
	for (unsigned i = 0; i < WEIR_WINDOWS; i++) {
		const struct weir_window *w = &kept->meter.window[i];

		item->part[i] = (struct assumed_part){.start_ns = w->slice_start_ns,
						      .slice_ns = w->slice_ns,
						      .bytes = kept->part[i].bytes,
						      .head = w->head,
						      .age = kept->part[i].age};
	}
	return 0;
}

static int by_place(const void *left, const void *right)
{
	const struct assumed_meter *a = left, *b = right;

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return a->key < b->key ? -1 : a->key > b->key;
}

void assumed_sort(struct assumed *assumed)
{
	if (assumed->count)
		qsort(assumed->item, assumed->count, sizeof(*assumed->item), by_place);
}

struct assumed_meter *assumed_find(const struct assumed *assumed, uint64_t key, uint32_t slot)
{
	struct assumed_meter wanted = {.key = key, .slot = slot};

	return assumed->count
		       ? bsearch(&wanted, assumed->item, assumed->count, sizeof(wanted), by_place)
		       : NULL;
}

/* As part_place() in bpf/forgive.bpf.c finds it. */
static struct kept_part place(const struct assumed_part *part, const struct weir_window *w)
{
	uint64_t elapsed, there;

	if (!part->bytes || !w->slice_ns || w->head >= WEIR_SLICES)
		return (struct kept_part){0};
	elapsed = (w->slice_start_ns - part->start_ns) / w->slice_ns;
	if (elapsed + part->age >= WEIR_SLICES ||
	    part->start_ns + elapsed * w->slice_ns != w->slice_start_ns ||
	    (part->head + elapsed) % WEIR_SLICES != w->head)
		return (struct kept_part){0};
	there = w->slice[(part->head + WEIR_SLICES - part->age) % WEIR_SLICES];
	return (struct kept_part){.bytes = there < part->bytes ? there : part->bytes,
				  .age = part->age + elapsed};
}

void assumed_place(const struct assumed *assumed, struct kept_meter *kept)
{
	const struct assumed_meter *meter = assumed_find(assumed, kept->key, kept->slot);

	for (unsigned i = 0; i < WEIR_WINDOWS; i++)
		kept->part[i] = meter ? place(&meter->part[i], &kept->meter.window[i])
				      : (struct kept_part){0};
}

static uint64_t part_end(const struct assumed_part *part)
{
	return part->bytes ? part->start_ns + (WEIR_SLICES - part->age) * part->slice_ns : 0;
}

uint64_t assumed_bytes(const struct assumed_meter *meter, uint64_t now_boot_ns)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < WEIR_WINDOWS; i++) {
		const struct assumed_part *part = &meter->part[i];

		/* a start before the boot has wrapped, an end after it has not */
		if (part->bytes > bytes && (int64_t)(part_end(part) - now_boot_ns) > 0)
			bytes = part->bytes;
	}
	return bytes;
}

uint64_t assumed_end(const struct assumed_meter *meter)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < WEIR_WINDOWS; i++) {
		uint64_t at = part_end(&meter->part[i]);

		if ((int64_t)at > (int64_t)end)
			end = at;
	}
	return end;
}
