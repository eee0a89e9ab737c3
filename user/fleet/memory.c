/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* memory.c - what an agent keeps of the orders that its brokers served. */
#include "user/fleet/memory.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"

static void kept_free(struct kept *kept)
{
	free(kept->text);
	free(kept->ack_text);
	free(kept);
}

void memory_free(struct memory *memory)
{
	for (size_t i = 0; i < memory->count; i++)
		kept_free(memory->item[i]);
	free(memory->item);
	*memory = (struct memory){0};
}

struct kept *memory_find(const struct memory *memory, const char *id, const uint8_t digest[32])
{
	for (size_t i = 0; i < memory->count; i++) {
		struct kept *kept = memory->item[i];

		if (strcmp(kept->id, id) == 0 && memcmp(kept->digest, digest, 32) == 0)
			return kept;
	}
	return NULL;
}

struct kept *memory_answer(const struct memory *memory, const char *id)
{
	struct kept *found = NULL;

	for (size_t i = 0; i < memory->count; i++) {
		struct kept *kept = memory->item[i];

		if (!kept->has_ack || strcmp(kept->id, id) != 0)
			continue;
		if (kept->state == KEPT_IS_OVER)
			return kept;
		if (!found || kept->ack.at_ns > found->ack.at_ns)
			found = kept;
	}
	return found;
}

static void forget_text(struct memory *memory, struct kept *kept)
{
	memory->bytes[kept->broker] -= kept->text ? kept->length : 0;
	free(kept->text);
	kept->text = NULL;
}

static void drop(struct memory *memory, size_t index)
{
	struct kept *kept = memory->item[index];

	forget_text(memory, kept);
	memory->orders[kept->broker]--;
	memory->item[index] = memory->item[--memory->count];
	kept_free(kept);
}

void memory_end(struct memory *memory, struct kept *kept)
{
	kept->state = KEPT_IS_OVER;
	forget_text(memory, kept);
	for (size_t i = memory->count; i-- > 0;) {
		const struct kept *other = memory->item[i];

		if (other != kept && other->state == KEPT_WAITS && strcmp(other->id, kept->id) == 0)
			drop(memory, i);
	}
}

size_t memory_drop_not_for_us(struct memory *memory)
{
	size_t before = memory->count;

	for (size_t i = memory->count; i-- > 0;) {
		const struct kept *kept = memory->item[i];

		if (kept->state == KEPT_IS_OVER && kept->ack.result == ACK_NOT_FOR_US)
			drop(memory, i);
	}
	return before - memory->count;
}

/* Whether to part with `a` rather than with `b`. */
static bool goes_first(const struct kept *a, const struct kept *b)
{
	bool is_over = a->state == KEPT_IS_OVER;

	if (is_over != (b->state == KEPT_IS_OVER))
		return is_over;
	return a->number < b->number;
}

/* False: all that the broker brought waits for its first answer. */
static bool make_room(struct memory *memory, size_t broker, bool *displaced)
{
	size_t first = memory->count;

	for (size_t i = 0; i < memory->count; i++) {
		const struct kept *kept = memory->item[i];

		if (kept->broker != broker || kept->state == KEPT_IS_ASKED || !kept->has_ack)
			continue;
		if (first == memory->count || goes_first(kept, memory->item[first]))
			first = i;
	}
	if (first == memory->count)
		return false;
	*displaced |= memory->item[first]->state != KEPT_IS_OVER;
	drop(memory, first);
	return true;
}

static struct kept *kept_new(const char *text, size_t length)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	char *copy = malloc(length + 1);

	if (!kept || !copy) {
		free(kept);
		free(copy);
		return NULL;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	kept->text = copy;
	kept->length = length;
	return kept;
}

struct kept *memory_add(struct memory *memory, size_t broker, const char *id,
			const uint8_t digest[32], const char *text, size_t length, bool *displaced)
{
	struct kept **place, *kept;

	while (memory->orders[broker] >= MEMORY_ORDERS ||
	       memory->bytes[broker] + length > MEMORY_BYTES) {
		if (!make_room(memory, broker, displaced))
			return NULL;
	}
	place = ARRAY_ADD(memory->item, memory->count);
	kept = place ? kept_new(text, length) : NULL;
	if (!kept)
		return NULL;
	strcpy(kept->id, id);
	memcpy(kept->digest, digest, 32);
	kept->broker = broker;
	kept->number = memory->number++;
	*place = kept;
	memory->count++;
	memory->orders[broker]++;
	memory->bytes[broker] += length;
	return kept;
}
